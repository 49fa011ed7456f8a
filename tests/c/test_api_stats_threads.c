/* Ages are told beside those who write and take snapshots. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "check.h"
#include "index_state.h"
#include "made_parts.h"
#include "scratch.h"
#include "snapshot.h"
#include "store.h"

#define ROUNDS 50

typedef struct {
    skv_store *store;
    skv_stats stats;
    skv_snapshot_stats snapshot;
} look;

static void *look_at_lanes(void *context)
{
    look *at = context;
    skv_io io = {0};
    CHECK_EQ(skv_stats_read(at->store, &at->stats, &io), SKV_OK);
    return NULL;
}

static void *look_at_snapshots(void *context)
{
    look *at = context;
    skv_io io = {0};
    CHECK_EQ(skv_snapshot_stats_read(at->store, &at->snapshot, 1, &io), 1);
    return NULL;
}

static skv_store *make_store(int *dir, skv_parts **parts)
{
    skv_store *store = calloc(1, sizeof *store);
    *dir = scratch_make("stats");
    *parts = made_parts_create(*dir, 1, 65536);
    made_parts_put(*parts);
    CHECK(store != NULL);
    store->parts = **parts;
    return store;
}

static void free_store(skv_store *store, skv_parts *parts, int dir)
{
    made_parts_free(parts);
    free(store);
    scratch_remove(dir, "stats");
}

/* Begin a call that is about to wait for a lock which the caller holds. */
static pthread_t begin(void *(*call)(void *), look *at)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call, at), 0);
    while (!atomic_load(&at->store->calls))
        (void)sched_yield();
    for (int i = 0; i < 20; i++)
        (void)sched_yield();
    return thread;
}

/* Story: who looked at the clock first, and then had to wait, told of an age of centuries. */
static void test_what_came_while_one_waited_to_look_is_not_centuries_old(void)
{
    int dir;
    skv_parts *parts;
    skv_store *store = make_store(&dir, &parts);
    skv_lane *lane = &store->parts.lanes[0];
    for (int i = 0; i < ROUNDS; i++) {
        look at = {.store = store};
        pthread_t thread;
        skv_lock(&lane->lock);
        thread = begin(look_at_lanes, &at);
        lane->active->size.first_ns = skv_now_ns();
        skv_unlock(&lane->lock);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(at.stats.unflushed_age_ns < 1000 * SKV_NS_PER_S);
    }
    free_store(store, parts, dir);
}

static void test_nor_is_a_snapshot(void)
{
    int dir;
    skv_parts *parts;
    skv_store *store = make_store(&dir, &parts);
    skv_snapshot *snapshot = calloc(1, sizeof *snapshot);
    CHECK(snapshot != NULL);
    store->parts.snapshots = snapshot;
    for (int i = 0; i < ROUNDS; i++) {
        look at = {.store = store};
        pthread_t thread;
        skv_log_lock(store->parts.log);
        thread = begin(look_at_snapshots, &at);
        snapshot->created_ns = skv_now_ns();
        skv_log_unlock(store->parts.log);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(at.snapshot.age_ns < 1000 * SKV_NS_PER_S);
    }
    free(snapshot);
    free_store(store, parts, dir);
}

int main(void)
{
    RUN(test_what_came_while_one_waited_to_look_is_not_centuries_old);
    RUN(test_nor_is_a_snapshot);
    return 0;
}
