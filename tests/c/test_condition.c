/* Conditions: the log's index decides, and what was read of a shard counts for as long as no flush has ended since. */
#include "condition.h"

#include "check.h"
#include "hash.h"
#include "logs.h"
#include "scratch.h"

#define SHARDS 2
#define KEY ((skv_slice){(const uint8_t *)"key", 3})

typedef struct {
    int dir;
    skv_parts parts;
    skv_lane lanes[SHARDS]; /* without shards: a check never opens one */
} world;

static void begin(world *all)
{
    skv_error err;
    *all = (world){.dir = scratch_make("condition")};
    CHECK_OK(skv_ring_create(NULL, SHARDS, &all->parts.ring, &err), &err);
    all->parts.log = logs_found(all->dir, logs_small);
    all->parts.lanes = all->lanes;
    all->parts.lane_count = SHARDS;
    for (int i = 0; i < SHARDS; i++) {
        skv_mutex_create(&all->lanes[i].lock);
        all->lanes[i].clock = &logs_clock;
        all->lanes[i].active = skv_index_create(skv_log_slots(all->parts.log));
        CHECK(all->lanes[i].active);
    }
}

static void end(world *all)
{
    for (int i = 0; i < SHARDS; i++) {
        skv_index_release(all->lanes[i].active);
        skv_index_release(all->lanes[i].sealed);
        skv_mutex_free(&all->lanes[i].lock);
    }
    skv_log_free(all->parts.log);
    skv_ring_free(all->parts.ring);
    scratch_remove(all->dir, "condition");
}

static skv_lane *lane_of(world *all)
{
    return skv_parts_lane(&all->parts, skv_key_of(KEY));
}

static uint64_t append_until(world *all, uint8_t flags, uint64_t expires_ms)
{
    skv_error err;
    skv_record record = {.key = KEY, .value = {(const uint8_t *)"", 0}, .flags = flags, .expires_ms = expires_ms};
    skv_position position;
    skv_lane *lane = lane_of(all);
    uint64_t hash = skv_key_of(KEY).hash;
    CHECK_OK(skv_log_reserve(all->parts.log, skv_record_bytes(&record), &err), &err);
    CHECK_EQ(skv_index_reserve(lane->active, hash, 0), SKV_OK);
    position = skv_log_append(all->parts.log, &record);
    skv_index_insert(lane->active, hash, position, &record, 0);
    return record.seqno;
}

static uint64_t append(world *all, uint8_t flags)
{
    return append_until(all, flags, 0);
}

static void seal(world *all)
{
    skv_lane *lane = lane_of(all);
    lane->sealed = lane->active;
    lane->active = skv_index_create(skv_log_slots(all->parts.log));
    CHECK(lane->active);
}

static void let_go(world *all)
{
    skv_lane *lane = lane_of(all);
    skv_index_release(lane->sealed);
    lane->sealed = NULL;
    lane->generation++;
}

static skv_code check(world *all, uint64_t least, uint64_t most, skv_version *seen)
{
    skv_condition condition = {.key = KEY, .least = least, .most = most, .seen = *seen};
    skv_conditions conditions = {.items = &condition, .count = 1, .broken = 77};
    skv_code code;
    skv_conditions_route(&all->parts, &conditions);
    code = skv_conditions_check(&all->parts, &conditions);
    CHECK_EQ(conditions.broken, code == SKV_CONFLICT ? 0 : 77);
    *seen = condition.seen;
    return code;
}

static void test_what_was_read_of_a_shard_is_old_after_a_flush(void)
{
    world all;
    skv_version absent = {.below = true}, seven = {.version = 7, .below = true};
    begin(&all);
    CHECK_EQ(check(&all, 0, 0, &absent), SKV_OK);
    CHECK_EQ(check(&all, 7, 7, &seven), SKV_OK);
    (void)append(&all, 0);
    seal(&all);
    let_go(&all); /* the key is in the shard, and nowhere else */
    CHECK_EQ(check(&all, 0, 0, &absent), SKV_AGAIN);
    CHECK_EQ(check(&all, 7, 7, &seven), SKV_AGAIN);
    end(&all);
}

static void test_nothing_seen_is_no_evidence(void)
{
    world all;
    skv_version nothing = {0}, gone = {.version = 1}; /* of the log, from where it was flushed since */
    begin(&all);
    CHECK_EQ(check(&all, 0, UINT64_MAX, &nothing), SKV_AGAIN);
    CHECK_EQ(check(&all, 0, UINT64_MAX, &gone), SKV_AGAIN);
    end(&all);
}

static void test_the_log_decides_whatever_was_seen(void)
{
    world all;
    uint64_t first, second;
    skv_version seen = {.below = true};
    begin(&all);
    first = append(&all, 0);
    CHECK_EQ(check(&all, 0, 0, &seen), SKV_CONFLICT);
    CHECK_EQ(seen.version, first);
    CHECK_EQ(seen.wait_seqno, first); /* its writer waits for the disk */
    CHECK_EQ(check(&all, first, first, &seen), SKV_OK);
    seal(&all);
    CHECK_EQ(check(&all, first, first, &seen), SKV_OK);
    second = append(&all, SKV_RECORD_MEMORY_ACK);
    CHECK_EQ(check(&all, first, first, &seen), SKV_CONFLICT);
    CHECK_EQ(seen.version, second);
    CHECK_EQ(seen.wait_seqno, 0);
    CHECK_EQ(check(&all, 1, second, &seen), SKV_OK);
    CHECK_EQ(check(&all, second + 1, UINT64_MAX, &seen), SKV_CONFLICT);
    end(&all);
}

static void test_a_delete_is_absence_that_has_to_be_durable_too(void)
{
    world all;
    skv_version seen = {0};
    uint64_t deleted;
    begin(&all);
    (void)append(&all, 0);
    deleted = append(&all, SKV_RECORD_DELETE);
    CHECK_EQ(check(&all, 1, UINT64_MAX, &seen), SKV_CONFLICT);
    CHECK_EQ(seen.version, 0);
    CHECK_EQ(seen.wait_seqno, deleted);
    logs_sync(all.parts.log);
    CHECK_EQ(check(&all, 0, 0, &seen), SKV_OK);
    CHECK_EQ(seen.wait_seqno, 0);
    end(&all);
}

static void test_a_broken_condition_is_named_even_behind_an_old_one(void)
{
    world all;
    skv_condition items[3] = {{.key = KEY, .most = UINT64_MAX, .seen.below = true},
                              {.key = {(const uint8_t *)"b", 1}, .most = UINT64_MAX},
                              {.key = {(const uint8_t *)"c", 1}, .least = 1, .most = 1, .seen.below = true}};
    skv_conditions conditions = {.items = items, .count = 3};
    begin(&all);
    skv_conditions_route(&all.parts, &conditions);
    CHECK_EQ(skv_conditions_check(&all.parts, &conditions), SKV_CONFLICT);
    CHECK_EQ(conditions.broken, 2);
    conditions.count = 2;
    CHECK_EQ(skv_conditions_check(&all.parts, &conditions), SKV_AGAIN);
    end(&all);
}

static skv_code check_expired_too(world *all, uint64_t version, const skv_version *seen)
{
    skv_condition condition = {.key = KEY, .least = version, .most = version, .seen = *seen, .expired_too = true};
    skv_conditions conditions = {.items = &condition, .count = 1};
    skv_conditions_route(&all->parts, &conditions);
    return skv_conditions_check(&all->parts, &conditions);
}

static void test_what_was_seen_in_a_shard_may_have_expired_since(void)
{
    world all;
    uint64_t now = skv_clock_now(&logs_clock);
    skv_version later = {.version = 7, .below = true, .expires_ms = now + 60000};
    skv_version over = {.version = 7, .below = true, .expires_ms = now}, again = over;
    begin(&all);
    CHECK_EQ(check(&all, 7, 7, &later), SKV_OK);
    CHECK_EQ(check_expired_too(&all, 7, &over), SKV_OK);
    CHECK_EQ(check(&all, 7, 7, &over), SKV_CONFLICT);
    CHECK_EQ(over.version, 0);
    CHECK_EQ(check(&all, 0, 0, &again), SKV_OK);
    end(&all);
}

static void test_an_expired_record_of_the_log_is_absence_but_for_who_removes_it(void)
{
    world all;
    uint64_t now = skv_clock_now(&logs_clock), version;
    skv_version seen = {.below = true};
    begin(&all);
    version = append_until(&all, SKV_RECORD_EXPIRES, now + 60000);
    CHECK_EQ(check(&all, version, version, &seen), SKV_OK);
    CHECK_EQ(seen.expires_ms, now + 60000);
    version = append_until(&all, SKV_RECORD_EXPIRES, now);
    CHECK_EQ(check(&all, version, version, &seen), SKV_CONFLICT);
    CHECK_EQ(check(&all, 0, 0, &seen), SKV_OK);
    CHECK_EQ(seen.wait_seqno, version); /* that there was nothing else before may be taken back, too */
    CHECK_EQ(check_expired_too(&all, version, &seen), SKV_OK);
    CHECK_EQ(check_expired_too(&all, version - 1, &seen), SKV_CONFLICT);
    (void)append(&all, SKV_RECORD_DELETE);
    CHECK_EQ(check_expired_too(&all, version, &seen), SKV_CONFLICT);
    end(&all);
}

int main(void)
{
    RUN(test_what_was_read_of_a_shard_is_old_after_a_flush);
    RUN(test_nothing_seen_is_no_evidence);
    RUN(test_the_log_decides_whatever_was_seen);
    RUN(test_a_delete_is_absence_that_has_to_be_durable_too);
    RUN(test_what_was_seen_in_a_shard_may_have_expired_since);
    RUN(test_an_expired_record_of_the_log_is_absence_but_for_who_removes_it);
    RUN(test_a_broken_condition_is_named_even_behind_an_old_one);
    return 0;
}
