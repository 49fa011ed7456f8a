/* The index against a model that remembers every version of every key. */
#include "index.h"

#include <string.h>

#include "check.h"
#include "memory.h"
#include "records.h"

#define KEYS 300
#define OPS 3000
#define SNAPSHOTS 8

typedef struct {
    records *all;
    skv_index *index;
    bool collide; /* all keys have one of three hashes */
    uint64_t versions[KEYS][OPS / 20];
    uint32_t counts[KEYS];
    uint64_t deleted_seqnos[OPS + 1]; /* 1 for a delete */
    uint64_t snapshots[SNAPSHOTS];
    uint32_t snapshot_count;
} model;

static model *model_create(bool collide)
{
    model *at = calloc(1, sizeof *at);
    CHECK(at);
    at->all = records_create(1 << 18);
    at->index = skv_index_create(&at->all->slots);
    at->collide = collide;
    CHECK(at->index);
    return at;
}

static void model_free(model *at)
{
    skv_index_release(at->index);
    records_free(at->all);
    free(at);
}

static skv_key key_of(const model *at, uint8_t out[8], uint64_t number)
{
    skv_key key = skv_key_of(records_key(out, number));
    if (at->collide)
        key.hash = number % 3;
    return key;
}

static const skv_cut *cuts_of(const model *at, skv_cut out[SNAPSHOTS])
{
    const skv_cut *newest = NULL;
    for (uint32_t s = 0; s < at->snapshot_count; s++) {
        out[s] = (skv_cut){newest, at->snapshots[s]};
        newest = &out[s];
    }
    return newest;
}

static void insert(model *at, uint64_t number, bool deletes)
{
    uint8_t bytes[8];
    skv_key key = key_of(at, bytes, number);
    skv_cut room[SNAPSHOTS];
    const skv_cut *cuts = cuts_of(at, room);
    skv_position position;
    skv_record record;
    CHECK_EQ(skv_index_reserve(at->index, key.hash, cuts), SKV_OK);
    position = records_put(at->all, key.bytes, deletes);
    record = records_at(at->all, position);
    skv_index_insert(at->index, key.hash, position, &record, cuts);
    if (at->counts[number] < OPS / 20)
        at->versions[number][at->counts[number]++] = record.seqno;
    at->deleted_seqnos[record.seqno] = deletes;
}

/* The newest version up to a seqno; 0: none. */
static uint64_t newest(const model *at, uint64_t number, uint64_t upto)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < at->counts[number]; i++)
        if (at->versions[number][i] <= upto)
            found = at->versions[number][i];
    return found;
}

static void check_find(const model *at, uint64_t number, uint64_t upto)
{
    uint8_t bytes[8];
    skv_position position;
    skv_record record;
    uint64_t wanted = newest(at, number, upto);
    bool found = skv_index_find(at->index, key_of(at, bytes, number), upto, &position, &record);
    CHECK_EQ(found, wanted != 0);
    if (!found)
        return;
    CHECK_EQ(record.seqno, wanted);
    CHECK_EQ(skv_record_deletes(&record), at->deleted_seqnos[wanted]);
    CHECK_EQ(records_at(at->all, position).seqno, wanted);
}

static void check_all(const model *at)
{
    uint64_t keys = 0;
    for (uint64_t number = 0; number < KEYS; number++) {
        check_find(at, number, UINT64_MAX);
        for (uint32_t s = 0; s < at->snapshot_count; s++)
            check_find(at, number, at->snapshots[s]);
        keys += at->counts[number] > 0;
    }
    CHECK_EQ(skv_index_measure(at->index).keys, keys);
}

static void end_snapshot(model *at, uint32_t which)
{
    at->snapshot_count--;
    memmove(&at->snapshots[which], &at->snapshots[which + 1], (at->snapshot_count - which) * sizeof at->snapshots[0]);
}

static void fill(model *at, uint64_t *random)
{
    for (uint32_t op = 1; op <= OPS; op++) {
        uint64_t x = check_random(random), number = x % KEYS;
        if (at->counts[number] < OPS / 20 - 1)
            insert(at, number, (x >> 32) % 4 == 0);
        if (x >> 40 == 0 || op % 150 == 0) { /* a snapshot of now */
            if (at->snapshot_count == SNAPSHOTS)
                end_snapshot(at, (uint32_t)(x % SNAPSHOTS));
            at->snapshots[at->snapshot_count++] = at->all->last_seqno;
        }
        if (op == 2000) /* all are closed */
            at->snapshot_count = 0;
        if (op % 500 == 0)
            check_all(at);
    }
}

static void test_every_key_answers_with_its_newest_version_and_snapshots_with_theirs(void)
{
    uint64_t random = check_seed();
    for (int collide = 0; collide < 2; collide++) {
        model *at = model_create(collide);
        check_all(at);
        fill(at, &random);
        check_all(at);
        model_free(at);
    }
}

static void test_sizes_are_counted(void)
{
    model *at = model_create(false);
    skv_index_size size = skv_index_measure(at->index);
    CHECK(size.keys == 0 && size.bytes == 0 && size.first_seqno == 0 && size.last_seqno == 0);
    at->all->last_seqno = 41;
    insert(at, 1, false);
    insert(at, 2, false);
    insert(at, 1, true);
    size = skv_index_measure(at->index);
    CHECK(size.keys == 2 && size.first_seqno == 42 && size.last_seqno == 44);
    CHECK_EQ(size.bytes, at->all->end);
    CHECK(size.first_ns > 0 && size.heap_bytes > 0);
    model_free(at);
}

static void insert_number(records *all, skv_index *index, uint64_t number)
{
    uint8_t bytes[8];
    skv_key key = skv_key_of(records_key(bytes, number));
    skv_position position = records_put(all, key.bytes, false);
    skv_record record = records_at(all, position);
    CHECK_EQ(skv_index_reserve(index, key.hash, 0), SKV_OK);
    skv_index_insert(index, key.hash, position, &record, 0);
}

static void test_an_index_that_was_told_how_much_will_come_keeps_what_it_has(void)
{
    enum { BEFORE = 300, COUNT = 2000 };
    records *all = records_create(COUNT * 32);
    skv_index *index = skv_index_create(&all->slots);
    uint64_t small;
    for (uint64_t i = 0; i < BEFORE; i++)
        insert_number(all, index, i);
    small = skv_index_measure(index).heap_bytes;
    skv_index_prepare(index, BEFORE);
    CHECK_EQ(skv_index_measure(index).heap_bytes, small); /* what it has will do */
    skv_index_prepare(index, 1000000);
    CHECK(skv_index_measure(index).heap_bytes > (uint64_t)1000000 * 12);
    for (uint64_t i = BEFORE; i < COUNT; i++)
        insert_number(all, index, i);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t bytes[8];
        skv_position position;
        skv_record found;
        CHECK(skv_index_find(index, skv_key_of(records_key(bytes, i)), UINT64_MAX, &position, &found));
        CHECK_EQ(found.seqno, i + 1);
    }
    CHECK_EQ(skv_index_measure(index).keys, COUNT);
    skv_index_release(index);
    records_free(all);
}

static void test_a_key_takes_at_most_26_bytes_of_heap(void)
{
    enum { COUNT = 200000 };
    records *all = records_create(COUNT * 32);
    skv_index *index = skv_index_create(&all->slots);
    skv_position *copy = calloc(COUNT, sizeof *copy);
    uint64_t sum = 0, over = 0;
    CHECK(index && copy);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t bytes[8];
        skv_key key = skv_key_of(records_key(bytes, i));
        skv_position position = records_put(all, key.bytes, false);
        skv_record record = records_at(all, position);
        CHECK_EQ(skv_index_reserve(index, key.hash, 0), SKV_OK);
        skv_index_prefetch(index, key.hash);
        skv_index_insert(index, key.hash, position, &record, 0);
        if (i > 10000)
            over += skv_index_measure(index).heap_bytes >= 26 * (i + 1);
    }
    CHECK(over <= 2 * SKV_INDEX_PARTS); /* while its tables move into more memory */
    skv_index_copy(index, copy);
    for (uint64_t i = 0; i < COUNT; i++)
        sum += records_at(all, copy[i]).seqno;
    CHECK_EQ(sum, (uint64_t)COUNT * (COUNT + 1) / 2); /* each once */
    free(copy);
    skv_index_release(index);
    records_free(all);
}

static void test_what_was_reserved_cannot_fail_and_what_failed_reserved_nothing(void)
{
    model *at = model_create(true);
    const skv_cut one = {NULL, 1};
    at->snapshots[at->snapshot_count++] = 1;
    for (uint64_t number = 0; number < KEYS; number++) {
        uint8_t bytes[8];
        skv_key key = key_of(at, bytes, number);
        for (long nth = 1; nth <= 2; nth++) {
            skv_memory_fail(nth, 1);
            if (skv_index_reserve(at->index, key.hash, &one) == SKV_OK)
                skv_index_unreserve(at->index, key.hash, &one);
            skv_memory_fail(0, 0);
        }
        check_find(at, number, UINT64_MAX);
        for (int twice = 0; twice < 2; twice++) {
            skv_position position;
            skv_record record;
            CHECK_EQ(skv_index_reserve(at->index, key.hash, &one), SKV_OK);
            skv_memory_fail(1, 1);
            position = records_put(at->all, key.bytes, false);
            record = records_at(at->all, position);
            skv_index_insert(at->index, key.hash, position, &record, &one);
            skv_memory_fail(0, 0);
            at->versions[number][at->counts[number]++] = record.seqno;
        }
    }
    at->snapshot_count = 0; /* only seqno 1 was kept */
    check_all(at);
    check_find(at, 0, 1);
    model_free(at);
}

static void test_reservations_that_fail_take_no_room(void)
{
    model *at = model_create(false);
    uint8_t bytes[8];
    uint64_t before;
    const skv_cut one = {NULL, 1};
    insert(at, 7, false);
    before = skv_index_measure(at->index).heap_bytes;
    for (int i = 0; i < 100; i++) {
        skv_memory_fail(1, 1); /* the key has its room, the version that it replaces has none */
        CHECK_EQ(skv_index_reserve(at->index, key_of(at, bytes, 7).hash, &one), SKV_NO_MEMORY);
        skv_memory_fail(0, 0);
    }
    CHECK_EQ(skv_index_reserve(at->index, key_of(at, bytes, 7).hash, &one), SKV_OK);
    CHECK_EQ(skv_index_measure(at->index).heap_bytes, before + 8 * 12);
    model_free(at);
}

/* Story: each snapshot left a version, and all stood in one row that every look and every growing walked: put beside scans took
 * seconds. */
static void test_a_key_that_is_written_beside_short_snapshots_keeps_what_they_see(void)
{
    model *at = model_create(false);
    uint64_t bytes = 0;
    insert(at, 7, false);
    at->snapshots[at->snapshot_count++] = 1;
    for (int turn = 0; turn < OPS / 20 - 2; turn++) {
        at->snapshots[1] = at->all->last_seqno;
        at->snapshot_count = 2;
        insert(at, 7, turn % 3 == 0);
        check_find(at, 7, 1);
        check_find(at, 7, at->snapshots[1]);
        check_find(at, 7, UINT64_MAX);
        bytes = turn < 5 ? skv_index_measure(at->index).heap_bytes : bytes;
        CHECK(skv_index_measure(at->index).heap_bytes <= bytes);
    }
    model_free(at);
}

int main(void)
{
    RUN(test_a_key_that_is_written_beside_short_snapshots_keeps_what_they_see);
    RUN(test_every_key_answers_with_its_newest_version_and_snapshots_with_theirs);
    RUN(test_sizes_are_counted);
    RUN(test_an_index_that_was_told_how_much_will_come_keeps_what_it_has);
    RUN(test_a_key_takes_at_most_26_bytes_of_heap);
    RUN(test_reservations_that_fail_take_no_room);
    RUN(test_what_was_reserved_cannot_fail_and_what_failed_reserved_nothing);
    return 0;
}
