/* Snapshots and counts beside a map that is about to grow, and beside the end of a flush. */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "fake_lmdb.h"
#include "log_state.h"
#include "made_parts.h"
#include "read_path.h"
#include "scratch.h"
#include "shard_state.h"

#define PLACE "snapshot"
#define LANES 2

static skv_parts *make_parts(int *dir)
{
    skv_error err = {0};
    skv_parts *parts;
    *dir = scratch_make(PLACE);
    fake_lmdb_clear();
    parts = made_parts_create(*dir, LANES, 65536);
    for (uint32_t i = 0; i < LANES; i++) {
        char path[32];
        skv_shard_place place = {.lmdb = &fake_lmdb, .path = path, .number = i, .map_bytes = 1 << 20};
        CHECK(snprintf(path, sizeof path, PLACE "/%u", i) > 0);
        CHECK_EQ(mkdir(path, 0700), 0);
        skv_shard_free(parts->lanes[i].shard);
        CHECK_OK(skv_shard_open(&place, true, &parts->lanes[i].shard, &err), &err);
    }
    return parts;
}

/* A key of the first lane. */
static skv_key put_one(skv_parts *parts)
{
    static char name[2] = "a";
    while (skv_ring_route(parts->ring, skv_key_of(skv_slice_at(name, 1)).hash) != 0)
        name[0]++;
    CHECK_EQ(made_parts_put_at(parts, name, 8), 0);
    return skv_key_of(skv_slice_at(name, 1));
}

static void flush_one(skv_parts *parts, skv_key key)
{
    skv_error err = {0};
    skv_lane *lane = &parts->lanes[0];
    skv_position position;
    skv_record record;
    made_parts_seal(parts, 0);
    CHECK(skv_lane_find(lane, key, &position, &record));
    CHECK_OK(skv_shard_apply_begin(lane->shard, &err), &err);
    CHECK_OK(skv_shard_apply(lane->shard, &record, &err), &err);
    CHECK_OK(skv_shard_apply_commit(lane->shard, record.seqno, &err), &err);
    made_parts_flush(parts, 0, record.seqno);
}

static void set_growing(skv_shard *shard, bool growing)
{
    skv_lock(&shard->lock);
    shard->growing = growing;
    skv_unlock(&shard->lock);
    skv_event_notify(&shard->quiet);
}

static bool is_free(skv_mutex *lock)
{
    bool got = pthread_mutex_trylock(&lock->inner) == 0;
    if (got)
        skv_unlock(lock);
    return got;
}

typedef struct {
    skv_parts *parts;
    skv_snapshot *snapshot;
    uint64_t keys;
} reader;

static void *take(void *context)
{
    reader *at = context;
    skv_error err = {0};
    CHECK_OK(skv_snapshot_take(at->parts, &at->snapshot, &err), &err);
    return NULL;
}

static void *count(void *context)
{
    reader *at = context;
    skv_error err = {0};
    uint64_t wait_seqno;
    CHECK_OK(skv_read_count(at->parts, 0, &at->keys, &wait_seqno, &err), &err);
    return NULL;
}

/* The reader waits for the second lane's map, and the locks are there for others. */
static void meet(const reader *at)
{
    skv_lane *lanes = at->parts->lanes;
    while (!atomic_load(&lanes[1].shard->quiet.waiters))
        continue;
    CHECK(is_free(&at->parts->log->lock) && is_free(&lanes[0].lock) && is_free(&lanes[1].lock));
}

/* Let it count in steps, and stop it again before it counts the rest. */
static void let_past_the_steps(const reader *at)
{
    skv_lane *lanes = at->parts->lanes;
    uint32_t begun = 0;
    skv_lock(&lanes[0].lock);
    set_growing(lanes[1].shard, false);
    while (!begun) {
        skv_lock(&lanes[1].shard->lock);
        begun = lanes[1].shard->open_txns;
        skv_unlock(&lanes[1].shard->lock);
    }
    set_growing(lanes[1].shard, true);
    skv_unlock(&lanes[0].lock);
    meet(at);
}

/* While it waits, a flush of the first lane ends. */
static void read_beside_growth(reader *at, void *(*read)(void *), skv_key key)
{
    skv_shard *growing = at->parts->lanes[1].shard;
    pthread_t thread;
    set_growing(growing, true);
    CHECK_EQ(pthread_create(&thread, NULL, read, at), 0);
    meet(at);
    if (read == count)
        let_past_the_steps(at);
    flush_one(at->parts, key);
    set_growing(growing, false);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Story: it began its transactions under the log's lock, and all writers waited with it, up to a second. */
static void test_a_snapshot_that_waits_for_a_map_holds_nobody_up_and_misses_nothing(void)
{
    int dir;
    skv_error err = {0};
    reader at = {.parts = make_parts(&dir)};
    skv_key key = put_one(at.parts);
    read_beside_growth(&at, take, key);
    CHECK_EQ(skv_read_snapshot(at.snapshot, key.bytes, NULL, NULL, &err), SKV_OK);
    CHECK_EQ(at.parts->snapshot_count, 1);
    (void)skv_snapshot_end(at.snapshot);
    skv_snapshot_release(at.snapshot);
    CHECK(at.parts->lanes[0].shard->open_txns == 0 && at.parts->lanes[1].shard->open_txns == 0);
    made_parts_free(at.parts);
    scratch_remove(dir, PLACE);
}

/* Story: it did so under the lane's lock, and under the log's. */
static void test_a_count_that_waits_for_a_map_holds_nobody_up_and_misses_nothing(void)
{
    int dir;
    reader at = {.parts = make_parts(&dir)};
    skv_key key = put_one(at.parts);
    read_beside_growth(&at, count, key);
    CHECK_EQ(at.keys, 1);
    CHECK(at.parts->lanes[0].shard->open_txns == 0 && at.parts->lanes[1].shard->open_txns == 0);
    made_parts_free(at.parts);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_snapshot_that_waits_for_a_map_holds_nobody_up_and_misses_nothing);
    RUN(test_a_count_that_waits_for_a_map_holds_nobody_up_and_misses_nothing);
    return 0;
}
