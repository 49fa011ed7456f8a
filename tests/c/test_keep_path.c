/* What the log keeps: what no shard has, and what snapshots, copies and peers need beside that. */
#include "keep_path.h"

#include <string.h>

#include "check.h"
#include "log_read.h"
#include "log_state.h"
#include "logs.h"
#include "made_parts.h"
#include "scratch.h"
#include "snapshot.h"

#define PLACE "keep"
#define LANES 3

static skv_parts *parts;
static int dir;

static void begin(void)
{
    dir = scratch_make(PLACE);
    parts = made_parts_create(dir, LANES, SKV_PAGE_BYTES);
}

static void end(void)
{
    made_parts_free(parts);
    scratch_remove(dir, PLACE);
}

/* Records until there are `count`, durable. first[i]: the oldest of each lane. */
static void fill(uint64_t count, uint64_t first[LANES])
{
    for (uint32_t i = 0; i < LANES; i++)
        first[i] = UINT64_MAX;
    while (skv_log_last(parts->log) < count) {
        uint32_t lane = made_parts_put(parts);
        uint64_t seqno = skv_log_last(parts->log);
        first[lane] = seqno < first[lane] ? seqno : first[lane];
    }
    logs_sync(parts->log);
}

static void flush_all(void)
{
    for (uint32_t i = 0; i < LANES; i++)
        made_parts_flush(parts, i, skv_log_last(parts->log));
}

/* Let the log's loop act on what it was told. */
static void tend(void)
{
    skv_error err = {0};
    skv_keep_retire(parts);
    for (int i = 0; i < 3; i++)
        CHECK_OK(logs_mark(parts->log, &err), &err);
}

static void test_the_first_unflushed_record_is_that_of_the_lane_that_is_furthest_behind(void)
{
    uint64_t first[LANES], left = 0;
    begin();
    CHECK_EQ(skv_keep_first_unflushed(parts), UINT64_MAX);
    fill(60, first);
    CHECK_EQ(skv_keep_first_unflushed(parts), 1);
    made_parts_seal(parts, 0);
    made_parts_seal(parts, 1);
    CHECK_EQ(skv_keep_first_unflushed(parts), 1); /* what is being flushed is in no shard yet */
    made_parts_flush(parts, 0, 60);
    made_parts_flush(parts, 1, 60);
    CHECK_EQ(skv_keep_first_unflushed(parts), first[2]);
    made_parts_flush(parts, 2, 60);
    CHECK_EQ(skv_keep_first_unflushed(parts), UINT64_MAX);
    left = made_parts_put(parts);
    CHECK_EQ(skv_keep_first_unflushed(parts), 61);
    made_parts_flush(parts, (uint32_t)left, 61);
    end();
}

static void test_the_log_is_given_back_up_to_what_some_shard_lacks(void)
{
    uint64_t first[LANES];
    begin();
    fill(60, first);
    tend();
    CHECK_EQ(parts->log->retire_bound, 1);
    made_parts_flush(parts, 0, 60);
    made_parts_flush(parts, 1, 58);
    tend();
    CHECK_EQ(parts->log->retire_bound, first[2] < 61 ? first[2] : 61);
    CHECK_EQ(parts->log->applied_sum, 118);
    made_parts_flush(parts, 2, 59);
    tend();
    CHECK_EQ(parts->log->retire_bound, 61); /* the next one to come */
    CHECK_EQ(parts->log->applied_sum, 177);
    end();
}

static void test_a_snapshot_keeps_the_log_from_its_own_place_on(void)
{
    uint64_t first[LANES];
    skv_snapshot older = {.pin_seqno = 20}, newer = {.pin_seqno = 40, .next = &older};
    begin();
    fill(60, first);
    flush_all();
    parts->snapshots = &newer;
    tend();
    CHECK_EQ(parts->log->retire_bound, 20);
    newer.next = NULL;
    newer.pin_seqno = 50;
    (void)made_parts_put(parts);
    tend();
    CHECK_EQ(parts->log->retire_bound, 50);
    newer.pin_seqno = 1000; /* of a store that has less: what no shard has counts all the same */
    tend();
    CHECK_EQ(parts->log->retire_bound, 61);
    flush_all();
    parts->snapshots = NULL;
    tend();
    CHECK_EQ(parts->log->retire_bound, 62);
    end();
}

/* Live for them while the log is not too long; beyond that they get a copy. */
static void test_peers_keep_the_log_until_it_is_four_budgets_long(void)
{
    uint64_t first[LANES], bytes, segments;
    skv_error err = {0};
    begin();
    fill(300, first);
    flush_all();
    CHECK_EQ(skv_acks_add(&parts->acks, "peer", &err), 0);
    atomic_store(&parts->acks.peers[0].kept_seqno, 5);
    skv_log_extent(parts->log, &bytes, &segments);
    CHECK(segments > 2);
    atomic_store(&parts->pressure.budget_bytes, bytes / 4);
    skv_keep_retire(parts);
    CHECK_EQ(parts->log->retire_bound, 5);
    CHECK_EQ(parts->log->held_seqno, 5);
    atomic_store(&parts->pressure.budget_bytes, bytes / 4 - 1);
    skv_keep_retire(parts);
    CHECK_EQ(parts->log->retire_bound, 301);
    CHECK_EQ(parts->log->held_seqno, UINT64_MAX);
    end();
}

static void test_a_pin_holds_the_log_from_what_no_shard_has_yet(void)
{
    uint64_t first[LANES], seqno, later;
    uint32_t pin, second;
    skv_error err = {0};
    begin();
    fill(200, first);
    CHECK_OK(skv_keep_pin(parts, &pin, &seqno, &err), &err);
    CHECK_EQ(seqno, 1);
    flush_all();
    CHECK_OK(skv_keep_pin(parts, &second, &later, &err), &err);
    CHECK_EQ(later, 201);
    CHECK_EQ(parts->log->held_seqno, 1);
    tend();
    CHECK_EQ(parts->log->retire_bound, 201); /* retained, not live */
    CHECK_EQ(skv_log_oldest(parts->log), 1);
    skv_keep_unpin(parts, pin);
    CHECK_EQ(parts->log->held_seqno, 201);
    tend();
    CHECK(skv_log_oldest(parts->log) > 1);
    skv_keep_unpin(parts, second);
    CHECK_EQ(parts->log->held_seqno, UINT64_MAX);
    end();
}

static void test_pins_are_few_and_one_that_is_given_back_can_be_had_again(void)
{
    uint64_t first[LANES], seqno;
    uint32_t pins[SKV_PINS_MAX], one_more;
    skv_error err = {0};
    begin();
    fill(5, first);
    for (int i = 0; i < SKV_PINS_MAX; i++) {
        CHECK_OK(skv_keep_pin(parts, &pins[i], &seqno, &err), &err);
        for (int j = 0; j < i; j++)
            CHECK(pins[i] != pins[j]);
    }
    CHECK_EQ(skv_keep_pin(parts, &one_more, &seqno, &err), SKV_FULL);
    CHECK_EQ(err.code, SKV_FULL);
    skv_keep_unpin(parts, pins[7]);
    CHECK_OK(skv_keep_pin(parts, &one_more, &seqno, &err), &err);
    CHECK_EQ(one_more, pins[7]);
    CHECK_EQ(parts->log->retire_bound, 1);
    flush_all();
    skv_keep_unpin(parts, pins[3]);
    CHECK_EQ(parts->log->retire_bound, 6); /* the log hears of it at once */
    end();
}

static void test_a_pin_goes_back_as_far_as_the_log_does(void)
{
    uint64_t first[LANES], seqno, oldest;
    uint32_t pin;
    skv_error err = {0};
    begin();
    fill(200, first);
    flush_all();
    tend();
    skv_log_retain(parts->log, SKV_PAGE_BYTES);
    tend();
    oldest = skv_log_oldest(parts->log);
    CHECK(oldest > 2 && oldest < 201);
    CHECK_OK(skv_keep_pin(parts, &pin, &seqno, &err), &err);
    CHECK_EQ(seqno, 201);
    CHECK(skv_keep_pin_back(parts, pin, 201));
    CHECK(skv_keep_pin_back(parts, pin, 500));
    CHECK_EQ(parts->pins[pin], 201); /* it is early enough */
    CHECK(!skv_keep_pin_back(parts, pin, oldest - 1));
    CHECK_EQ(parts->pins[pin], 201);
    CHECK_EQ(parts->log->held_seqno, 201);
    CHECK(skv_keep_pin_back(parts, pin, oldest));
    CHECK_EQ(parts->pins[pin], oldest);
    CHECK_EQ(parts->log->held_seqno, oldest);
    skv_log_retain(parts->log, 0);
    tend();
    CHECK_EQ(skv_log_oldest(parts->log), oldest);
    end();
}

int main(void)
{
    RUN(test_the_first_unflushed_record_is_that_of_the_lane_that_is_furthest_behind);
    RUN(test_the_log_is_given_back_up_to_what_some_shard_lacks);
    RUN(test_a_snapshot_keeps_the_log_from_its_own_place_on);
    RUN(test_peers_keep_the_log_until_it_is_four_budgets_long);
    RUN(test_a_pin_holds_the_log_from_what_no_shard_has_yet);
    RUN(test_pins_are_few_and_one_that_is_given_back_can_be_had_again);
    RUN(test_a_pin_goes_back_as_far_as_the_log_does);
    return 0;
}
