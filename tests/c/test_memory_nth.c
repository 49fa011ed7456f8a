/* The n-th allocation fails, for n = 1.. until a script over ring, log, index, runs and manifest needs no more: the step
 * that met it says so, has done nothing by halves, and succeeds when it is called again. */
#include <string.h>

#include "check.h"
#include "index.h"
#include "logs.h"
#include "manifest.h"
#include "memory.h"
#include "ring.h"
#include "scratch.h"

#define PLACE "nth"
#define KEYS 150
#define ROUNDS 3

typedef struct {
    int dir;
    skv_ring *ring;
    skv_log *log;
    skv_index *index;
    skv_log_found_tail tail;
    uint64_t written; /* records that log and index took */
    uint64_t acked;
    uint64_t last;    /* after the scan */
} world;

typedef skv_code (*step)(world *at);

static skv_code make_ring(world *at)
{
    return skv_ring_create(NULL, 3, &at->ring, NULL);
}

static skv_code make_log(world *at)
{
    return skv_log_create(at->dir, logs_id, logs_small, &logs_clock, &at->log, NULL);
}

static skv_code found_log(world *at)
{
    skv_error err = {0};
    return skv_log_found(at->log, &err);
}

static skv_code start_log(world *at)
{
    skv_error err = {0};
    return skv_log_start(at->log, 1, 0, &err);
}

static skv_code sync_start(world *at)
{
    skv_error err = {0};
    return skv_log_sync_start(at->log, &err);
}

static skv_code make_index(world *at)
{
    at->index = skv_index_create(skv_log_slots(at->log));
    return at->index ? SKV_OK : SKV_NO_MEMORY;
}

/* As the write path: all that can fail comes before the append. */
static skv_code put(world *at, uint64_t number)
{
    uint8_t bytes[8];
    skv_error err = {0};
    skv_record record = {.value = {(const uint8_t *)"a value", 7}};
    skv_position position;
    skv_key key;
    skv_code code;
    const skv_cut cut = {NULL, 20};
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    key = skv_key_of((skv_slice){bytes, 8});
    record.key = key.bytes;
    skv_log_lock(at->log);
    code = skv_log_reserve(at->log, skv_record_bytes(&record), &err);
    if (code == SKV_OK)
        code = skv_index_reserve(at->index, key.hash, &cut);
    if (code == SKV_OK) {
        position = skv_log_append(at->log, &record);
        skv_index_insert(at->index, key.hash, position, &record, &cut);
        at->written++;
    }
    CHECK_EQ(skv_log_last(at->log), at->written);
    skv_log_unlock(at->log);
    return code;
}

static skv_code write_all(world *at)
{
    skv_error err = {0};
    skv_code code = skv_log_tend(at->log, &err); /* a failure of the pool is told until the next round of its loop */
    for (uint64_t end = at->written / KEYS * KEYS + KEYS; at->written < end && code == SKV_OK;) {
        code = put(at, at->written % KEYS);
        if (code == SKV_BUSY)
            code = skv_log_tend(at->log, &err);
        CHECK(code == SKV_OK || code == SKV_NO_MEMORY);
    }
    return code;
}

static skv_code sync_all(world *at)
{
    skv_error err = {0};
    skv_code code = skv_log_wait(at->log, at->written, SKV_NS_PER_S, &err);
    at->acked = code == SKV_OK ? at->written : at->acked;
    return code;
}

static skv_code order(world *at)
{
    skv_run *run, *pair[2], *merged = NULL;
    skv_code code = skv_index_take_unsorted(at->index, &run);
    if (code == SKV_OK && run) {
        code = skv_run_sort(run, skv_log_slots(at->log));
        if (code == SKV_OK) {
            CHECK(skv_index_add_run(at->index, run));
        } else { /* as a lane does */
            skv_run_release(run);
            skv_index_drop_order(at->index);
        }
    }
    while (code == SKV_OK && skv_index_mergeable(at->index, pair)) {
        merged = skv_run_merge(pair[0], pair[1], skv_log_slots(at->log));
        if (merged) {
            skv_index_replace_runs(at->index, pair, merged);
            continue;
        }
        skv_run_release(pair[0]);
        skv_run_release(pair[1]);
        code = SKV_NO_MEMORY;
    }
    return code;
}

static skv_code check_index(world *at)
{
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t count = skv_index_runs(at->index, runs);
    uint64_t held = 0;
    for (uint32_t i = 0; i < count; i++) {
        held += runs[i]->count;
        skv_run_release(runs[i]);
    }
    CHECK(held >= KEYS);
    CHECK_EQ(skv_index_measure(at->index).keys, KEYS);
    CHECK_EQ(skv_index_measure(at->index).last_seqno, at->written);
    return SKV_OK;
}

static skv_code tend(world *at)
{
    skv_error err = {0};
    return logs_mark(at->log, &err);
}

static skv_code keep_manifest(world *at)
{
    skv_error err = {0};
    skv_manifest manifest = {.generation = 1, .shards = 1, .weights = {1}}, loaded;
    skv_code code = skv_manifest_save(at->dir, &manifest, &err);
    return code == SKV_OK ? skv_manifest_load(at->dir, &loaded, &err) : code;
}

static void release(world *at)
{
    skv_index_release(at->index);
    skv_log_free(at->log);
    skv_ring_free(at->ring);
    at->index = NULL;
    at->log = NULL;
    at->ring = NULL;
}

static skv_code scan(world *at)
{
    skv_error err = {0};
    skv_code code;
    release(at);
    code = logs_recover(at->dir, 0, &at->log, &at->tail, &err);
    if (code == SKV_OK)
        CHECK_EQ(at->tail.last_seqno, at->written);
    return code;
}

static const step script[] = {make_ring, make_log, found_log, start_log, sync_start, make_index,  write_all, sync_all,
                              order,     tend,     write_all, sync_all,  order,      write_all, sync_all,  order,
                              tend,      check_index, keep_manifest, scan};

/* Run the script; with `again`, a step that met the failure is called a second time. Returns how far it came. */
static size_t run(world *at, bool again)
{
    size_t done = 0;
    while (done < sizeof script / sizeof script[0]) {
        skv_code code = script[done](at);
        CHECK(code == SKV_OK || code == SKV_NO_MEMORY);
        if (code != SKV_OK && again)
            CHECK_EQ(script[done](at), SKV_OK);
        else if (code != SKV_OK)
            return done;
        done++;
    }
    return done;
}

static void test_a_step_that_ran_out_of_memory_succeeds_when_called_again(void)
{
    bool met = true;
    long nth;
    for (nth = 1; met; nth++) {
        world at = {.dir = scratch_make(PLACE)};
        skv_memory_fail(nth, 0);
        (void)run(&at, true);
        met = skv_memory_count() >= nth;
        skv_memory_fail(0, 0);
        CHECK_EQ(at.acked, ROUNDS * KEYS);
        release(&at);
        scratch_remove(at.dir, PLACE);
    }
    CHECK(nth > 100);
}

static void test_without_any_more_memory_nothing_leaks_and_nothing_acked_is_lost(void)
{
    size_t done = 0;
    for (long nth = 1; done < sizeof script / sizeof script[0]; nth += 1 + nth / 20) {
        world at = {.dir = scratch_make(PLACE)};
        skv_log_found_tail tail;
        skv_error err = {0};
        skv_memory_fail(nth, 1);
        done = run(&at, false);
        skv_memory_fail(0, 0);
        release(&at);
        if (done > 4) { /* founded: the first header is there */
            CHECK_OK(logs_scan(at.dir, 0, &at.log, &tail, &err), &err);
            CHECK(tail.last_seqno >= at.acked && tail.last_seqno <= at.written);
            release(&at);
        }
        scratch_remove(at.dir, PLACE);
    }
}

int main(void)
{
    RUN(test_a_step_that_ran_out_of_memory_succeeds_when_called_again);
    RUN(test_without_any_more_memory_nothing_leaks_and_nothing_acked_is_lost);
    return 0;
}
