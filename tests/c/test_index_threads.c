/* One lane's worth of threads: writers put records into the log and the index, readers find and pin them, a scanner sorts
 * beside the inserts, and generations are sealed, sorted and let go with the segments that held them. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "index.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "lanes"
#define KEYS 400
#define WRITERS 3
#define RECORDS 20000 /* of each writer */
#define SEAL_KEYS 300

typedef struct {
    skv_log *log;
    skv_mutex lock;       /* after the log's: both generations, the model, the scan's pin */
    skv_mutex order_lock; /* before the lock */
    skv_index *active, *sealed;
    uint64_t newest[KEYS];  /* seqnos; the model */
    uint64_t flushed[KEYS]; /* what was let go */
    uint64_t scan_pin;      /* the log is needed from here on; UINT64_MAX: no scan */
    atomic_bool stopping;
    atomic_ullong found, scanned, flushes;
    skv_event grown; /* a record was put */
    atomic_uint random;
} lane;

static uint64_t seed_of(lane *at)
{
    return (uint64_t)atomic_fetch_add(&at->random, 1) << 20;
}

static skv_key key_of(uint8_t out[16], uint64_t number)
{
    memset(out, 'k', 16);
    out[8] = (uint8_t)(number >> 8);
    out[9] = (uint8_t)number;
    return skv_key_of((skv_slice){out, 10});
}

/* -- writers -------------------------------------------------------------------------------------------------------- */

static void put(lane *at, uint64_t number, size_t bytes)
{
    static const uint8_t value[256];
    uint8_t key_bytes[16];
    skv_key key = key_of(key_bytes, number);
    skv_error err = {0};
    skv_code code;
    do {
        unsigned seen = skv_log_room_read(at->log);
        skv_record record = {.key = key.bytes, .value = {value, bytes}};
        skv_log_lock(at->log);
        code = skv_log_reserve(at->log, skv_record_bytes(&record), &err);
        if (code == SKV_OK) {
            skv_position position = skv_log_append(at->log, &record);
            skv_lock(&at->lock);
            CHECK_EQ(skv_index_reserve(at->active, key.hash, 0), SKV_OK);
            skv_index_insert(at->active, key.hash, position, &record, 0);
            at->newest[number] = record.seqno;
            skv_unlock(&at->lock);
            skv_event_notify(&at->grown);
            skv_log_want_sync(at->log);
        }
        skv_log_unlock(at->log);
        if (code == SKV_BUSY)
            skv_log_room_wait(at->log, seen, SKV_NS_PER_S);
    } while (code == SKV_BUSY);
    CHECK_OK(code, &err);
}

static void *run_writer(void *context)
{
    lane *at = context;
    uint64_t random = seed_of(at);
    for (int i = 0; i < RECORDS; i++) {
        uint64_t x = check_random(&random);
        put(at, x % KEYS, (x >> 32) % 200);
    }
    return NULL;
}

/* -- readers -------------------------------------------------------------------------------------------------------- */

static void *run_reader(void *context)
{
    lane *at = context;
    uint64_t random = seed_of(at);
    while (!atomic_load(&at->stopping)) {
        uint8_t key_bytes[16];
        uint64_t number = check_random(&random) % KEYS, newest;
        skv_key key = key_of(key_bytes, number);
        skv_position position;
        skv_record record;
        bool found;
        skv_lock(&at->lock);
        found = skv_index_find(at->active, key, UINT64_MAX, &position, &record) ||
                (at->sealed && skv_index_find(at->sealed, key, UINT64_MAX, &position, &record));
        newest = at->newest[number];
        CHECK(found || newest == at->flushed[number]);
        if (found)
            skv_slots_pin(skv_log_slots(at->log), position);
        skv_unlock(&at->lock);
        if (!found)
            continue;
        skv_slots_read(skv_log_slots(at->log), position, &record);
        CHECK_EQ(record.seqno, newest);
        CHECK(skv_record_verify(&record) && skv_key_compare(record.key, key.bytes) == 0);
        skv_slots_unpin(skv_log_slots(at->log), position);
        atomic_fetch_add(&at->found, 1);
    }
    return NULL;
}

/* -- order ---------------------------------------------------------------------------------------------------------- */

static void check_runs(lane *at, skv_run **runs, uint32_t count)
{
    for (uint32_t r = 0; r < count; r++) {
        skv_record before = {0}, record;
        for (uint32_t i = 0; i < runs[r]->count; i++, before = record) {
            skv_slots_read(skv_log_slots(at->log), runs[r]->positions[i], &record);
            CHECK(skv_record_verify(&record));
            if (i)
                CHECK(skv_key_compare(before.key, record.key) <= 0);
        }
        atomic_fetch_add(&at->scanned, runs[r]->count);
        skv_run_release(runs[r]);
    }
}

/* As a lane does it: take and give under the lock, sort and merge without. */
static uint32_t order(lane *at, skv_index *generation, skv_run **out)
{
    skv_run *run, *pair[2], *merged;
    bool again = true;
    uint32_t count;
    skv_lock(&at->order_lock);
    skv_lock(&at->lock);
    while (again) {
        CHECK_EQ(skv_index_take_unsorted(generation, &run), SKV_OK);
        if (!run)
            break;
        skv_unlock(&at->lock);
        CHECK_EQ(skv_run_sort(run, skv_log_slots(at->log)), SKV_OK);
        skv_lock(&at->lock);
        again = !skv_index_add_run(generation, run);
    }
    while (skv_index_mergeable(generation, pair)) {
        skv_unlock(&at->lock);
        merged = skv_run_merge(pair[0], pair[1], skv_log_slots(at->log));
        CHECK(merged);
        skv_lock(&at->lock);
        skv_index_replace_runs(generation, pair, merged);
    }
    count = skv_index_runs(generation, out);
    skv_unlock(&at->lock);
    skv_unlock(&at->order_lock);
    return count;
}

static void *run_scanner(void *context)
{
    lane *at = context;
    while (!atomic_load(&at->stopping)) {
        skv_run *runs[SKV_INDEX_RUNS_MAX];
        skv_index *active;
        skv_log_lock(at->log);
        skv_lock(&at->lock);
        active = at->active;
        skv_index_keep(active);
        at->scan_pin = skv_index_measure(active).first_seqno;
        at->scan_pin = at->scan_pin ? at->scan_pin : skv_log_last(at->log) + 1;
        skv_unlock(&at->lock);
        skv_log_unlock(at->log);
        check_runs(at, runs, order(at, active, runs));
        skv_lock(&at->lock);
        at->scan_pin = UINT64_MAX;
        skv_unlock(&at->lock);
        skv_index_release(active);
    }
    return NULL;
}

/* -- flushing ------------------------------------------------------------------------------------------------------- */

static uint64_t seal(lane *at)
{
    skv_index *fresh = skv_index_create(skv_log_slots(at->log));
    uint64_t last;
    CHECK(fresh);
    skv_log_lock(at->log);
    skv_lock(&at->lock);
    at->sealed = at->active;
    at->active = fresh;
    last = skv_log_last(at->log);
    skv_unlock(&at->lock);
    skv_log_unlock(at->log);
    return last;
}

/* The sealed generation is as good as in the shard: let it go, and what it needed of the log. */
static void let_go(lane *at, uint64_t last)
{
    uint64_t bound = last + 1;
    skv_lock(&at->lock);
    for (uint64_t number = 0; number < KEYS; number++) {
        uint8_t key_bytes[16];
        skv_position position;
        skv_record record;
        if (skv_index_find(at->sealed, key_of(key_bytes, number), UINT64_MAX, &position, &record))
            at->flushed[number] = record.seqno;
    }
    skv_index_release(at->sealed);
    at->sealed = NULL;
    bound = at->scan_pin < bound ? at->scan_pin : bound;
    skv_unlock(&at->lock);
    skv_log_retire(at->log, bound, 0);
}

static void *run_flusher(void *context)
{
    lane *at = context;
    while (!atomic_load(&at->stopping)) {
        skv_run *runs[SKV_INDEX_RUNS_MAX];
        skv_error err = {0};
        unsigned seen = skv_event_read(&at->grown);
        uint64_t last;
        skv_lock(&at->lock);
        last = skv_index_measure(at->active).keys;
        skv_unlock(&at->lock);
        if (last < SEAL_KEYS) {
            skv_event_wait(&at->grown, seen, SKV_NS_PER_S);
            continue;
        }
        last = seal(at);
        check_runs(at, runs, order(at, at->sealed, runs));
        while (skv_log_wait(at->log, last, SKV_NS_PER_S, &err) == SKV_AGAIN)
            continue;
        let_go(at, last);
        atomic_fetch_add(&at->flushes, 1);
    }
    return NULL;
}

static void *run_log_loop(void *context)
{
    lane *at = context;
    skv_error err = {0};
    unsigned seen = skv_log_tend_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_tend_read(at->log)) {
        CHECK_OK(skv_log_tend(at->log, &err), &err);
        skv_log_tend_wait(at->log, seen, SKV_NS_PER_S);
    }
    return NULL;
}

static void *run_sync_loop(void *context)
{
    lane *at = context;
    unsigned seen = skv_log_sync_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_sync_read(at->log))
        skv_log_sync_round(at->log, seen, SKV_NS_PER_S);
    return NULL;
}

static void test_readers_see_the_newest_record_whatever_goes_on_beside_them(void)
{
    void *(*const others[])(void *) = {run_log_loop, run_sync_loop, run_flusher, run_scanner, run_reader, run_reader};
    enum { OTHERS = sizeof others / sizeof others[0] };
    lane at = {.scan_pin = UINT64_MAX};
    pthread_t writers[WRITERS], threads[OTHERS];
    int dir = scratch_make(PLACE);
    at.log = logs_found(dir, (skv_log_sizes){8 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    at.active = skv_index_create(skv_log_slots(at.log));
    CHECK(at.active);
    skv_mutex_create(&at.lock);
    skv_mutex_create(&at.order_lock);
    atomic_store(&at.random, (unsigned)check_seed());
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, others[i], &at), 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(pthread_create(&writers[i], NULL, run_writer, &at), 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(pthread_join(writers[i], NULL), 0);
    while (!atomic_load(&at.flushes) || !atomic_load(&at.found) || !atomic_load(&at.scanned))
        put(&at, 0, 1);
    atomic_store(&at.stopping, true);
    skv_log_wake_loops(at.log);
    skv_event_notify(&at.grown);
    for (int i = 0; i < OTHERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(skv_log_last(at.log) >= WRITERS * RECORDS);
    skv_index_release(at.sealed);
    skv_index_release(at.active);
    skv_log_free(at.log);
    skv_mutex_free(&at.order_lock);
    skv_mutex_free(&at.lock);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_readers_see_the_newest_record_whatever_goes_on_beside_them);
    return 0;
}
