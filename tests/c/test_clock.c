/* The engine's clock: it follows the machine's forward, never back, and goes on meanwhile. */
#include "clock.h"

#include "check.h"
#include "sync.h"

#define YEARS_10 ((int64_t)315360000000)

static uint64_t wall_ms(void)
{
    return skv_wall_us() / 1000;
}

/* Two readings of the same clock: the second is not earlier, and not later than the test takes. */
static void expect_close(uint64_t later, uint64_t earlier)
{
    CHECK(later >= earlier);
    CHECK(later - earlier < 60000);
}

static void test_it_is_the_wall_clock_while_nothing_jumps(void)
{
    skv_clock clock = {0};
    uint64_t wall = wall_ms();
    expect_close(skv_clock_now(&clock) + 1, wall);
}

static void test_a_jump_forward_is_followed_and_one_back_is_not(void)
{
    skv_clock clock = {0};
    uint64_t before = skv_clock_now(&clock), after;
    skv_clock_shift(&clock, YEARS_10);
    after = skv_clock_now(&clock);
    expect_close(after + 1, before + (uint64_t)YEARS_10);
    skv_clock_shift(&clock, -YEARS_10);
    expect_close(skv_clock_now(&clock), after);
}

/* A clock that stood still after a jump back would let nothing expire for as long as the jump was. */
static void test_it_goes_on_while_the_wall_clock_is_behind(void)
{
    skv_clock clock = {0};
    uint64_t first;
    skv_clock_shift(&clock, -YEARS_10);
    skv_clock_raise(&clock, wall_ms());
    first = skv_clock_now(&clock);
    while (skv_clock_now(&clock) == first)
        continue;
    expect_close(skv_clock_now(&clock), first);
}

static void test_what_was_saved_is_the_least_it_says(void)
{
    skv_clock clock = {0};
    uint64_t wall = wall_ms();
    skv_clock_raise(&clock, wall + (uint64_t)YEARS_10);
    expect_close(skv_clock_now(&clock), wall + (uint64_t)YEARS_10);
    skv_clock_raise(&clock, wall);
    expect_close(skv_clock_now(&clock), wall + (uint64_t)YEARS_10);
}

static void test_an_expiry_passes_in_its_own_millisecond(void)
{
    skv_clock clock = {0};
    CHECK(!skv_clock_passed_at(&clock, 1000, 999));
    CHECK(skv_clock_passed_at(&clock, 1000, 1000));
    CHECK(skv_clock_passed_at(&clock, 1000, 1001));
    CHECK(skv_clock_passed(&clock, wall_ms()));
    CHECK(!skv_clock_passed(&clock, wall_ms() + 60000));
}

static void test_who_is_told_of_an_expiry_makes_the_clock_worth_saving(void)
{
    skv_clock clock = {0};
    CHECK(!skv_clock_unsaved(&clock));
    CHECK(!skv_clock_passed_at(&clock, 1000, 10));
    CHECK(!skv_clock_unsaved(&clock));
    CHECK(skv_clock_passed_at(&clock, 1000, 1010));
    CHECK(skv_clock_unsaved(&clock));
    skv_clock_saved(&clock, 999);
    CHECK(skv_clock_unsaved(&clock));
    skv_clock_saved(&clock, 1000);
    CHECK(!skv_clock_unsaved(&clock));
    CHECK(skv_clock_passed_at(&clock, 700, 1010));
    CHECK(!skv_clock_unsaved(&clock));
}

int main(void)
{
    RUN(test_it_is_the_wall_clock_while_nothing_jumps);
    RUN(test_a_jump_forward_is_followed_and_one_back_is_not);
    RUN(test_it_goes_on_while_the_wall_clock_is_behind);
    RUN(test_what_was_saved_is_the_least_it_says);
    RUN(test_an_expiry_passes_in_its_own_millisecond);
    RUN(test_who_is_told_of_an_expiry_makes_the_clock_worth_saving);
    return 0;
}
