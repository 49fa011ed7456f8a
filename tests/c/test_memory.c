/* The door to the heap, and the switch that closes it for tests. */
#include "memory.h"

#include <string.h>

#include "check.h"

static void test_memory_comes_zeroed_and_keeps_its_content_when_it_grows(void)
{
    uint8_t *block = skv_alloc(100), *larger;
    CHECK(block);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(block[i], 0);
    memset(block, 7, 100);
    larger = skv_resize(block, 10000);
    CHECK(larger);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(larger[i], 7);
    skv_release(larger);
    skv_release(NULL);
}

static void test_nothing_at_all_can_be_had(void)
{
    void *none = skv_alloc(0), *grown;
    CHECK(none);
    grown = skv_resize(none, 0);
    CHECK(grown);
    skv_release(grown);
    grown = skv_resize(NULL, 8);
    CHECK(grown);
    skv_release(grown);
}

static void test_the_nth_allocation_fails_once_or_from_then_on(void)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        skv_memory_fail(3, sticky);
        for (int i = 1; i <= 6; i++) {
            void *block = skv_alloc(8);
            CHECK_EQ(block == NULL, i == 3 || (sticky && i > 3));
            skv_release(block);
        }
        CHECK_EQ(skv_memory_count(), 6);
    }
    skv_memory_fail(0, 0);
    CHECK_EQ(skv_memory_count(), 0);
}

static void test_a_resize_that_fails_leaves_the_block(void)
{
    uint8_t *block = skv_alloc(16);
    CHECK(block);
    block[15] = 9;
    skv_memory_fail(1, 0);
    CHECK(!skv_resize(block, 1 << 20));
    skv_memory_fail(0, 0);
    CHECK_EQ(block[15], 9);
    skv_release(block);
}

int main(void)
{
    RUN(test_memory_comes_zeroed_and_keeps_its_content_when_it_grows);
    RUN(test_nothing_at_all_can_be_had);
    RUN(test_the_nth_allocation_fails_once_or_from_then_on);
    RUN(test_a_resize_that_fails_leaves_the_block);
    return 0;
}
