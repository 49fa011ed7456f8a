/* Order: the runs hold every record that a reader may need, however inserts, sorts, merges and drops follow each other. */
#include "index.h"

#include <string.h>

#include "check.h"
#include "memory.h"
#include "records.h"

#define KEYS 2000
#define MOST 60000

typedef struct {
    records *all;
    skv_index *index;
    uint64_t kept;
    uint64_t newest[KEYS], at_snapshot[KEYS]; /* seqnos; 0: none */
} model;

static model *create(void)
{
    model *at = calloc(1, sizeof *at);
    CHECK(at);
    at->all = records_create((size_t)MOST * 32);
    at->index = skv_index_create(&at->all->slots);
    CHECK(at->index);
    return at;
}

static void release(model *at)
{
    skv_index_release(at->index);
    records_free(at->all);
    free(at);
}

static void insert(model *at, uint64_t number)
{
    uint8_t bytes[8];
    skv_key key = skv_key_of(records_key(bytes, number));
    skv_position position;
    skv_record record;
    const skv_cut cut = {NULL, at->kept}, *cuts = at->kept ? &cut : NULL;
    CHECK_EQ(skv_index_reserve(at->index, key.hash, cuts), SKV_OK);
    position = records_put(at->all, key.bytes, false);
    record = records_at(at->all, position);
    skv_index_insert(at->index, key.hash, position, &record, cuts);
    at->newest[number] = record.seqno;
    if (!at->kept)
        at->at_snapshot[number] = record.seqno;
}

/* What one who wants order does, without the locks. */
static void order(model *at)
{
    skv_run *run = NULL, *pair[2], *merged;
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_OK);
    if (run) {
        CHECK_EQ(skv_run_sort(run, &at->all->slots), SKV_OK);
        CHECK(skv_index_add_run(at->index, run));
    }
    while (skv_index_mergeable(at->index, pair)) {
        merged = skv_run_merge(pair[0], pair[1], &at->all->slots);
        CHECK(merged);
        skv_index_replace_runs(at->index, pair, merged);
    }
}

static void check_run(const model *at, const skv_run *run, uint8_t *seen)
{
    for (uint32_t i = 0; i < run->count; i++) {
        skv_record record = records_at(at->all, run->positions[i]), before;
        CHECK(!seen[record.seqno]);
        seen[record.seqno] = 1;
        if (i) {
            before = records_at(at->all, run->positions[i - 1]);
            CHECK(skv_key_compare(before.key, record.key) <= 0);
        }
    }
}

static uint64_t check_order(model *at)
{
    static uint8_t seen[MOST + 1];
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t count;
    uint64_t held = 0;
    order(at);
    count = skv_index_runs(at->index, runs);
    CHECK(count <= SKV_INDEX_RUNS_MAX);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < count; i++) {
        held += runs[i]->count;
        check_run(at, runs[i], seen);
        skv_run_release(runs[i]);
    }
    for (uint32_t number = 0; number < KEYS; number++) {
        CHECK(!at->newest[number] || seen[at->newest[number]]);
        CHECK(!at->at_snapshot[number] || seen[at->at_snapshot[number]]);
    }
    return held;
}

static void test_every_needed_record_is_in_one_run(void)
{
    uint64_t random = check_seed();
    model *at = create();
    (void)check_order(at);
    for (uint32_t op = 1; op < 50000; op++) {
        insert(at, check_random(&random) % KEYS);
        if (op == 5000) { /* a snapshot, from now on */
            at->kept = at->all->last_seqno;
        }
        if (check_random(&random) % 400 == 0 || op == 5000)
            (void)check_order(at);
        if (check_random(&random) % 5000 == 0)
            skv_index_drop_order(at->index);
    }
    (void)check_order(at);
    release(at);
}

static void test_replaced_records_do_not_pile_up_in_the_runs(void)
{
    model *at = create();
    for (uint32_t op = 0; op < 40000; op++) {
        insert(at, op % 50);
        if (op % 100 == 0)
            CHECK(check_order(at) <= 2 * 50 + 1024 + 100);
    }
    for (uint32_t op = 0; op < 19000; op++) /* nobody sorts any more: what waits for it stays small */
        insert(at, op % 50);
    CHECK(skv_index_measure(at->index).heap_bytes < 100000);
    release(at);
}

/* Who looks again and again soon meets one run; who writes between any two looks pays for few merges. */
static void test_runs_that_readers_meet_often_become_one(void)
{
    model *at = create();
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t count = 0, looks = 0;
    for (uint64_t number = 0; number < 1000; number++)
        insert(at, number);
    (void)check_order(at);
    for (uint64_t number = 1000; number < 1010; number++)
        insert(at, number);
    CHECK(!skv_index_in_order(at->index));
    do {
        order(at);
        CHECK(skv_index_in_order(at->index));
        count = skv_index_runs(at->index, runs);
        for (uint32_t i = 0; i < count; i++)
            skv_run_release(runs[i]);
        CHECK(++looks < 300);
    } while (count > 1 || !skv_index_in_order(at->index));
    CHECK(looks > 50);
    CHECK_EQ(check_order(at), 1010);
    release(at);
}

static void test_there_is_no_order_while_somebody_sorts(void)
{
    model *at = create();
    skv_run *run = NULL;
    CHECK(skv_index_has_order(at->index) && skv_index_in_order(at->index)); /* of nothing */
    for (uint64_t number = 0; number < 100; number++)
        insert(at, number);
    CHECK(!skv_index_has_order(at->index) && !skv_index_in_order(at->index));
    (void)check_order(at);
    CHECK(skv_index_has_order(at->index) && skv_index_in_order(at->index));
    insert(at, 7);
    CHECK(skv_index_has_order(at->index) && !skv_index_in_order(at->index));
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_OK);
    CHECK(run && run->count == 1);
    CHECK(!skv_index_has_order(at->index) && !skv_index_in_order(at->index));
    insert(at, 8);
    CHECK(skv_index_add_run(at->index, run));
    CHECK(skv_index_has_order(at->index) && !skv_index_in_order(at->index));
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_OK);
    skv_run_release(run);
    CHECK(!skv_index_add_run(at->index, NULL)); /* it could not be sorted */
    CHECK(!skv_index_has_order(at->index) && !skv_index_in_order(at->index));
    CHECK_EQ(check_order(at), 100);
    CHECK(skv_index_in_order(at->index));
    release(at);
}

static void test_an_order_that_was_dropped_meanwhile_is_begun_again(void)
{
    model *at = create();
    skv_run *run = NULL, *pair[2], *merged, *runs[SKV_INDEX_RUNS_MAX];
    for (uint64_t number = 0; number < 100; number++)
        insert(at, number);
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_OK);
    CHECK(run && run->count == 100);
    skv_index_drop_order(at->index);
    CHECK(!skv_index_add_run(at->index, run));
    CHECK_EQ(skv_index_runs(at->index, runs), 0);
    (void)check_order(at);
    for (uint64_t number = 100; number < 200; number++)
        insert(at, number);
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_OK);
    CHECK_EQ(skv_run_sort(run, &at->all->slots), SKV_OK);
    CHECK(skv_index_add_run(at->index, run));
    CHECK(skv_index_mergeable(at->index, pair));
    merged = skv_run_merge(pair[0], pair[1], &at->all->slots);
    skv_index_drop_order(at->index);
    skv_index_replace_runs(at->index, pair, merged);
    CHECK_EQ(skv_index_runs(at->index, runs), 0);
    CHECK_EQ(check_order(at), 200);
    release(at);
}

static void test_runs_outlive_the_index_that_gave_them(void)
{
    model *at = create();
    skv_run *runs[SKV_INDEX_RUNS_MAX];
    uint32_t count;
    for (uint64_t number = 0; number < 500; number++)
        insert(at, number);
    order(at);
    count = skv_index_runs(at->index, runs);
    skv_index_keep(at->index);
    skv_index_release(at->index);
    CHECK_EQ(skv_index_measure(at->index).keys, 500); /* one reference was left */
    skv_index_release(at->index);
    at->index = NULL;
    CHECK(count == 1 && runs[0]->count == 500);
    skv_run_release(runs[0]);
    release(at);
}

static void test_without_memory_nothing_is_taken_and_inserts_go_on(void)
{
    model *at = create();
    skv_run *run;
    for (uint64_t number = 0; number < 300; number++)
        insert(at, number);
    skv_memory_fail(1, 1);
    CHECK_EQ(skv_index_take_unsorted(at->index, &run), SKV_NO_MEMORY);
    skv_memory_fail(0, 0);
    CHECK(!run);
    CHECK_EQ(check_order(at), 300);
    for (uint64_t number = 300; number < 1200; number++) {
        uint8_t bytes[8];
        CHECK_EQ(skv_index_reserve(at->index, skv_key_of(records_key(bytes, number)).hash, 0), SKV_OK);
        skv_index_unreserve(at->index, skv_key_of(records_key(bytes, number)).hash, 0);
        skv_memory_fail(number % 2 ? 0 : 1, 1); /* what waits to be sorted cannot grow: the order goes, not the record */
        insert(at, number);
        skv_memory_fail(0, 0);
    }
    (void)check_order(at);
    release(at);
}

int main(void)
{
    RUN(test_every_needed_record_is_in_one_run);
    RUN(test_replaced_records_do_not_pile_up_in_the_runs);
    RUN(test_runs_that_readers_meet_often_become_one);
    RUN(test_there_is_no_order_while_somebody_sorts);
    RUN(test_an_order_that_was_dropped_meanwhile_is_begun_again);
    RUN(test_runs_outlive_the_index_that_gave_them);
    RUN(test_without_memory_nothing_is_taken_and_inserts_go_on);
    return 0;
}
