/* Replay: whatever the log holds and no shard has is in the indexes, its newest version; one thread reads while another enters. */
#include "replay_path.h"

#include <pthread.h>
#include <string.h>

#include "check.h"
#include "logs.h"
#include "made_parts.h"
#include "memory.h"
#include "scratch.h"
#include "shard_state.h"

#define PLACE "replay"
#define LANES 3
#define KEYS 700
#define SEGMENT_BYTES ((uint64_t)64 << 10)

static const char *key_of(uint64_t seqno, char *into, size_t bytes)
{
    CHECK(snprintf(into, bytes, "key %llu", (unsigned long long)(seqno % KEYS)) > 0);
    return into;
}

/* What a kill leaves of a store that wrote so many records. */
static int leave(uint64_t count)
{
    char key[32];
    int dir = scratch_make(PLACE);
    skv_parts *parts = made_parts_create(dir, LANES, SEGMENT_BYTES);
    for (uint64_t seqno = 1; seqno <= count; seqno++) {
        (void)made_parts_put_at(parts, key_of(seqno, key, sizeof key), seqno % 50);
        if (seqno % 100 == 0)
            logs_sync(parts->log);
    }
    logs_sync(parts->log);
    made_parts_free(parts);
    return dir;
}

static void *help(void *helper)
{
    skv_helper_run(helper);
    return NULL;
}

/* With a helper, or with one thread for both. */
static skv_code replay(skv_parts *parts, bool helped, uint64_t *replayed, skv_error *err)
{
    skv_helper *helper = skv_helper_new();
    pthread_t thread;
    skv_code code;
    CHECK(helper);
    CHECK_EQ(pthread_create(&thread, NULL, help, helper), 0);
    code = skv_replay(parts, helped ? helper : NULL, replayed, err);
    skv_helper_dismiss(helper);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    skv_helper_free(helper);
    return code;
}

/* Every key has its newest record in its lane, unless the lane's shard had it. */
static void check_all(skv_parts *parts, uint64_t count)
{
    for (uint64_t seqno = count > KEYS ? count - KEYS + 1 : 1; seqno <= count; seqno++) {
        char text[32];
        const char *at = key_of(seqno, text, sizeof text);
        skv_key key = skv_key_of(skv_slice_at(at, strlen(at)));
        const skv_lane *lane = &parts->lanes[skv_ring_route(parts->ring, key.hash)];
        skv_position position;
        skv_record record;
        bool found = skv_index_find(lane->active, key, UINT64_MAX, &position, &record);
        CHECK_EQ(found, seqno > skv_shard_applied(lane->shard));
        if (found) {
            CHECK_EQ(record.seqno, seqno);
            CHECK_EQ(record.value.bytes, seqno % 50);
        }
    }
}

static void test_every_record_is_in_its_index_however_many_there_are(void)
{
    static const uint64_t counts[] = {0, 1, 15, 16, 17, 511, 512, 513, 528, 2047, 2048, 2049, 9999};
    for (size_t i = 0; i < 2 * sizeof counts / sizeof counts[0]; i++) {
        skv_error err = {0};
        uint64_t replayed, count = counts[i / 2];
        int dir = leave(count);
        skv_parts *parts = made_parts_open(dir, LANES, SEGMENT_BYTES);
        CHECK_OK(replay(parts, i % 2, &replayed, &err), &err);
        CHECK_EQ(replayed, count);
        CHECK_EQ(skv_log_last(parts->log), count);
        check_all(parts, count);
        made_parts_free(parts);
        scratch_remove(dir, PLACE);
    }
}

static void test_what_a_shard_has_is_not_entered(void)
{
    skv_error err = {0};
    uint64_t replayed, entered = 0;
    int dir = leave(5000);
    skv_parts *parts = made_parts_open(dir, LANES, SEGMENT_BYTES);
    atomic_store(&parts->lanes[1].shard->applied_seqno, 4700);
    CHECK_OK(replay(parts, true, &replayed, &err), &err);
    check_all(parts, 5000);
    for (uint32_t i = 0; i < LANES; i++)
        entered += skv_index_measure(parts->lanes[i].active).keys;
    CHECK(entered < KEYS);
    CHECK(replayed < 5000);
    made_parts_free(parts);
    scratch_remove(dir, PLACE);
}

/* The n-th allocation fails, in either thread: replay says so, ends, and another one finds everything. A helper that was given
 * nothing, as in small replays, is dismissed. */
static void test_without_memory_it_fails_whole_and_can_be_done_again(void)
{
    int dir = leave(5000);
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        skv_error err = {0};
        uint64_t replayed;
        skv_parts *parts = made_parts_open(dir, LANES, SEGMENT_BYTES);
        skv_code code;
        skv_memory_fail(nth + 1, 0); /* the first is the helper's own */
        code = replay(parts, true, &replayed, &err);
        failed = skv_memory_count() > nth;
        skv_memory_fail(0, 0);
        CHECK_EQ(code, failed ? SKV_NO_MEMORY : SKV_OK);
        if (failed)
            CHECK_EQ(err.code, SKV_NO_MEMORY);
        else
            check_all(parts, 5000);
        made_parts_free(parts);
    }
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_every_record_is_in_its_index_however_many_there_are);
    RUN(test_what_a_shard_has_is_not_entered);
    RUN(test_without_memory_it_fails_whole_and_can_be_done_again);
    return 0;
}
