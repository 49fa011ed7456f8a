/* Sorted runs: in key order, newest first among equal keys, whatever the keys look like. */
#include "run.h"

#include <string.h>

#include "check.h"
#include "memory.h"
#include "records.h"

#define MOST 600

/* Kinds of keys that the sort treats in different ways. */
static skv_slice make_key(int kind, uint8_t out[64], uint64_t *random)
{
    uint64_t x = check_random(random);
    size_t bytes;
    switch (kind) {
    case 0: /* all different in the first bytes */
        return records_key(out, x);
    case 1: /* one long beginning, short ends */
        memcpy(out, "user/2024/inbox/", 16);
        bytes = 16 + x % 3;
        memset(out + 16, (int)(x >> 8 & 3), bytes - 16);
        return (skv_slice){out, bytes};
    case 2: /* equal but for what comes after the first eight bytes */
        memset(out, 'x', 20);
        out[15] = (uint8_t)(x % 5);
        return (skv_slice){out, 14 + x % 7};
    case 3: /* few keys, many versions */
        return records_key(out, x % 7);
    case 4: /* one key */
        return records_key(out, 42);
    default: /* short, with zeros, which a padded prefix cannot tell from an end */
        memset(out, 0, 8);
        bytes = 1 + x % 8;
        out[x % bytes] = (uint8_t)(x >> 20 & 1);
        return (skv_slice){out, bytes};
    }
}

static int compare(const records *all, skv_position a, skv_position b)
{
    skv_record left = records_at(all, a), right = records_at(all, b);
    int order = skv_key_compare(left.key, right.key);
    return order ? order : (left.seqno < right.seqno) - (left.seqno > right.seqno);
}

static skv_run *fill(records *all, uint32_t count, int kind, uint64_t *random)
{
    skv_run *run = skv_run_create(count);
    uint8_t key[64];
    CHECK(run);
    for (uint32_t i = 0; i < count; i++)
        run->positions[i] = records_put(all, make_key(kind, key, random), false);
    for (uint32_t i = count; i > 1; i--) { /* shuffled */
        uint32_t j = (uint32_t)(check_random(random) % i);
        skv_position swapped = run->positions[i - 1];
        run->positions[i - 1] = run->positions[j];
        run->positions[j] = swapped;
    }
    return run;
}

static void check_order(const records *all, const skv_run *run)
{
    for (uint32_t i = 1; i < run->count; i++)
        CHECK(compare(all, run->positions[i - 1], run->positions[i]) < 0);
}

static void test_any_keys_are_sorted_and_merged(void)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 50, MOST};
    uint64_t random = check_seed();
    for (int kind = 0; kind < 6; kind++)
        for (size_t c = 0; c < 6; c++) {
            records *all = records_create(1 << 17);
            skv_run *a = fill(all, counts[c], kind, &random), *b = fill(all, counts[5 - c], kind, &random), *merged;
            CHECK_EQ(skv_run_sort(a, &all->slots), SKV_OK);
            CHECK_EQ(skv_run_sort(b, &all->slots), SKV_OK);
            check_order(all, a);
            check_order(all, b);
            merged = skv_run_merge(a, b, &all->slots);
            CHECK(merged && merged->count == a->count + b->count);
            check_order(all, merged); /* strictly ascending: nothing is there twice, so nothing is missing */
            skv_run_release(merged);
            skv_run_release(b);
            skv_run_release(a);
            records_free(all);
        }
}

static void test_a_seek_finds_the_first_key_that_is_not_before(void)
{
    uint64_t random = check_seed();
    for (int kind = 0; kind < 6; kind++) {
        records *all = records_create(1 << 16);
        skv_run *run = fill(all, 200, kind, &random);
        CHECK_EQ(skv_run_sort(run, &all->slots), SKV_OK);
        for (int i = 0; i < 200; i++) {
            uint8_t bytes[64];
            skv_slice key = make_key(i % 2 ? kind : 5, bytes, &random);
            uint32_t wanted = 0;
            while (wanted < run->count && skv_key_compare(records_at(all, run->positions[wanted]).key, key) < 0)
                wanted++;
            CHECK_EQ(skv_run_seek(run, &all->slots, key), wanted);
        }
        skv_run_release(run);
        records_free(all);
    }
}

static void test_without_memory_a_run_stays_as_it_was(void)
{
    uint64_t random = 1;
    records *all = records_create(1 << 16);
    skv_run *run = fill(all, 100, 0, &random), *copy = skv_run_create(100);
    CHECK(copy);
    memcpy(copy->positions, run->positions, 100 * sizeof run->positions[0]);
    for (long nth = 1; nth <= 2; nth++) {
        skv_memory_fail(nth, 0);
        CHECK_EQ(skv_run_sort(run, &all->slots), SKV_NO_MEMORY);
        skv_memory_fail(0, 0);
        CHECK(memcmp(copy->positions, run->positions, 100 * sizeof run->positions[0]) == 0);
    }
    skv_memory_fail(1, 1);
    CHECK(!skv_run_merge(run, copy, &all->slots));
    CHECK(!skv_run_create(5));
    skv_memory_fail(0, 0);
    skv_run_keep(run);
    skv_run_release(run);
    CHECK_EQ(run->count, 100); /* a reference was left */
    skv_run_release(run);
    skv_run_release(copy);
    skv_run_release(NULL);
    records_free(all);
}

int main(void)
{
    RUN(test_any_keys_are_sorted_and_merged);
    RUN(test_a_seek_finds_the_first_key_that_is_not_before);
    RUN(test_without_memory_a_run_stays_as_it_was);
    return 0;
}
