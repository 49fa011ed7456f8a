/* A set of seqnos between two bounds, against a table of booleans. */
#include "known.h"

#include <string.h>

#include "check.h"
#include "memory.h"

static skv_known make(uint64_t after, uint64_t last)
{
    skv_error err = {0};
    skv_known known;
    CHECK_OK(skv_known_create(after, last, &known, &err), &err);
    return known;
}

/* The gaps behind `after`, as whoever counts them on paper finds them. */
static void check_gaps(const skv_known *known, const bool *has, uint64_t low, uint64_t high, uint64_t after)
{
    uint64_t first, last = after, at = after > low ? after : low;
    while (skv_known_gap(known, last, &first, &last)) {
        for (at++; has[at]; at++)
            CHECK(at < high);
        CHECK_EQ(first, at);
        while (at < high && !has[at + 1])
            at++;
        CHECK_EQ(last, at);
    }
    for (at++; at <= high; at++)
        CHECK(has[at]);
}

static void test_gaps_are_what_was_not_added_inside_the_bounds(void)
{
    uint64_t random = check_seed();
    for (int round = 0; round < 300; round++) {
        bool has[80] = {false};
        uint64_t low = check_random(&random) % 20, high = low + check_random(&random) % 40, count = 0;
        skv_known known = make(low, high);
        for (uint64_t n = check_random(&random) % 60; n > 0; n--) {
            uint64_t seqno = check_random(&random) % 70; /* outside of them, too, and twice */
            skv_known_add(&known, seqno);
            count += seqno > low && seqno <= high && !has[seqno];
            has[seqno] = has[seqno] || (seqno > low && seqno <= high);
        }
        CHECK_EQ(known.count, count);
        for (uint64_t after = 0; after <= high; after++)
            check_gaps(&known, has, low, high, after);
        skv_known_free(&known);
    }
}

static void test_a_set_without_room_has_no_gap_and_takes_nothing(void)
{
    uint64_t first, last;
    skv_known known = make(9, 9);
    skv_known_add(&known, 9);
    skv_known_add(&known, 10);
    CHECK_EQ(known.count, 0);
    CHECK(!skv_known_gap(&known, 0, &first, &last));
    skv_known_free(&known);
    skv_known_free(&known); /* of what was freed nothing is left */
}

static void test_bounds_may_be_as_high_as_seqnos_are(void)
{
    uint64_t first, last, high = ((uint64_t)1 << 56) - 1;
    skv_known known = make(high - 3, high);
    skv_known_add(&known, high - 3);
    skv_known_add(&known, high - 1);
    CHECK(skv_known_gap(&known, 0, &first, &last));
    CHECK(first == high - 2 && last == high - 2);
    CHECK(skv_known_gap(&known, last, &first, &last));
    CHECK(first == high && last == high);
    CHECK(!skv_known_gap(&known, last, &first, &last));
    skv_known_free(&known);
}

static void test_without_memory_there_is_no_set(void)
{
    skv_error err = {0};
    skv_known known;
    skv_memory_fail(1, 0);
    CHECK_EQ(skv_known_create(0, 100, &known, &err), SKV_NO_MEMORY);
    skv_memory_fail(0, 0);
    CHECK_EQ(err.code, SKV_NO_MEMORY);
    skv_known_free(&known);
}

int main(void)
{
    RUN(test_gaps_are_what_was_not_added_inside_the_bounds);
    RUN(test_a_set_without_room_has_no_gap_and_takes_nothing);
    RUN(test_bounds_may_be_as_high_as_seqnos_are);
    RUN(test_without_memory_there_is_no_set);
    return 0;
}
