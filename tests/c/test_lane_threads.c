/* Order is made beside inserts, without the lane's lock; inserts may drop it at any moment. */
#include <pthread.h>

#include "lane.h"

#include "check.h"
#include "index_state.h"
#include "records.h"

#define KEYS 20000
#define MORE (KEYS / 2)
#define DROPPING 32769 /* so many that nobody orders drop the order */
#define ROUNDS 200

typedef struct {
    skv_lane lane;
    records *all;
    skv_clock clock;
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t count;
    atomic_bool over;
} world;

static void put(world *at, uint64_t number)
{
    uint8_t bytes[8];
    skv_key key = skv_key_of(records_key(bytes, number));
    skv_position position = records_put(at->all, key.bytes, false);
    skv_record record = records_at(at->all, position);
    CHECK_EQ(skv_index_reserve(at->lane.active, key.hash, 0), SKV_OK);
    skv_index_insert(at->lane.active, key.hash, position, &record, 0);
}

static void *order(void *context)
{
    world *at = context;
    skv_error err = {0};
    CHECK_OK(skv_lane_order(&at->lane, at->lane.active, &at->all->slots, at->runs, &at->count, &err), &err);
    atomic_store(&at->over, true);
    return NULL;
}

static void check_runs(world *at)
{
    static uint8_t seen[KEYS + MORE];
    size_t found = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t r = 0; r < at->count; r++) {
        for (uint32_t i = 0; i < at->runs[r]->count; i++) {
            skv_record record = records_at(at->all, at->runs[r]->positions[i]);
            uint64_t number = 0;
            for (size_t b = 0; b < record.key.bytes; b++)
                number = number << 8 | record.key.data[b];
            found += !seen[number];
            seen[number] = 1;
        }
        skv_run_release(at->runs[r]);
    }
    CHECK_EQ(found, KEYS + MORE);
}

/* Drop the order while two runs are merged; false: the merge was faster. */
static bool drop_meanwhile(world *at)
{
    bool dropped = false;
    while (!dropped && !atomic_load(&at->over)) {
        skv_lock(&at->lane.lock);
        if (at->lane.active->run_count == 2 && !at->lane.active->sorting) {
            for (uint64_t i = 0; i < DROPPING; i++)
                put(at, i % KEYS);
            dropped = !at->lane.active->ordered;
        }
        skv_unlock(&at->lane.lock);
    }
    return dropped;
}

static bool order_beside_inserts(void)
{
    static world at;
    skv_error err = {0};
    pthread_t thread;
    bool dropped;
    at = (world){.all = records_create((size_t)(KEYS + MORE + DROPPING) * 32)};
    CHECK_OK(skv_lane_create(&at.lane, NULL, &at.clock, &at.all->slots, &err), &err);
    for (uint64_t i = 0; i < KEYS; i++)
        put(&at, i);
    (void)order(&at);
    for (uint32_t r = 0; r < at.count; r++)
        skv_run_release(at.runs[r]);
    for (uint64_t i = 0; i < MORE; i++)
        put(&at, KEYS + i);
    atomic_store(&at.over, false);
    CHECK_EQ(pthread_create(&thread, NULL, order, &at), 0);
    dropped = drop_meanwhile(&at);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    check_runs(&at);
    skv_index_release(at.lane.active);
    records_free(at.all);
    return dropped;
}

static void test_an_order_that_inserts_drop_during_a_merge_is_taken_again(void)
{
    int round = 0;
    while (!order_beside_inserts())
        CHECK(++round < ROUNDS);
}

int main(void)
{
    RUN(test_an_order_that_inserts_drop_during_a_merge_is_taken_again);
    return 0;
}
