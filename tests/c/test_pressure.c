/* Back-pressure: free below 70 % of the budget, slowed down above, held at 100 %, and never longer than a slice. */
#include "pressure.h"

#include <string.h>

#include <pthread.h>

#include "check.h"

#define BUDGET ((uint64_t)1 << 20)
#define SLICE (20 * SKV_NS_PER_MS)
#define LONG (60 * SKV_NS_PER_S)

static uint64_t percent(unsigned share)
{
    return BUDGET / 100 * share;
}

static void test_below_70_percent_nobody_waits(void)
{
    skv_pressure pressure = {0};
    skv_pressure_create(&pressure, BUDGET);
    CHECK_EQ(skv_pressure_level(&pressure), 0);
    skv_pressure_add(&pressure, percent(69));
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(skv_pressure_admit(&pressure, 1 << 20, LONG), SKV_OK);
    CHECK_EQ(atomic_load(&pressure.stall_ns), 0);
}

static void test_a_flush_is_wanted_from_half_of_the_budget_on(void)
{
    skv_pressure pressure = {0};
    unsigned seen;
    skv_pressure_create(&pressure, BUDGET);
    seen = skv_event_read(&pressure.wanted);
    skv_pressure_add(&pressure, percent(49));
    CHECK(!skv_pressure_wants_flush(&pressure));
    CHECK_EQ(skv_event_read(&pressure.wanted), seen);
    skv_pressure_add(&pressure, percent(2));
    CHECK(skv_pressure_wants_flush(&pressure));
    CHECK(skv_event_read(&pressure.wanted) != seen);
    seen = skv_event_read(&pressure.wanted);
    skv_pressure_add(&pressure, percent(2)); /* told once */
    CHECK_EQ(skv_event_read(&pressure.wanted), seen);
    skv_pressure_relieve(&pressure, percent(53), 1);
    CHECK(!skv_pressure_wants_flush(&pressure));
    CHECK_EQ(atomic_load(&pressure.unflushed_bytes), 0);
}

static void test_between_70_and_100_percent_writers_are_slowed_to_what_a_flush_manages(void)
{
    skv_pressure pressure = {0};
    uint64_t began = skv_now_ns(), bytes = 1 << 20, rate, spent;
    skv_pressure_create(&pressure, BUDGET);
    rate = atomic_load(&pressure.flush_rate);
    skv_pressure_add(&pressure, percent(90));
    for (int i = 0; i < 6; i++)
        CHECK_EQ(skv_pressure_admit(&pressure, bytes, LONG), SKV_OK);
    spent = skv_now_ns() - began;
    CHECK(spent > 5 * bytes * SKV_NS_PER_S / (2 * rate)); /* twice the rate at most */
    CHECK(atomic_load(&pressure.stall_ns) > 0 && atomic_load(&pressure.stall_ns) <= spent);
}

static void test_a_delay_is_no_longer_than_a_slice(void)
{
    skv_pressure pressure = {0};
    uint64_t began;
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, percent(95));
    CHECK_EQ(skv_pressure_admit(&pressure, (size_t)1 << 36, SLICE), SKV_OK); /* a debt of minutes */
    began = skv_now_ns();
    CHECK_EQ(skv_pressure_admit(&pressure, 1, SLICE), SKV_OK);
    CHECK(skv_now_ns() - began < LONG);
}

static void test_a_full_budget_is_busy_after_a_slice(void)
{
    skv_pressure pressure = {0};
    uint64_t began = skv_now_ns();
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, BUDGET);
    CHECK_EQ(skv_pressure_level(&pressure), 100);
    CHECK_EQ(skv_pressure_admit(&pressure, 1, SLICE), SKV_BUSY);
    CHECK(skv_now_ns() - began >= SLICE);
    CHECK(atomic_load(&pressure.stall_ns) >= SLICE / 2);
    CHECK_EQ(skv_pressure_admit(&pressure, 1, 0), SKV_BUSY);
}

static void test_who_may_not_wait_is_told_when_to_come_again(void)
{
    skv_pressure pressure = {0};
    uint64_t retry_ns = 1, stalled;
    skv_pressure_create(&pressure, BUDGET);
    CHECK_EQ(skv_pressure_try(&pressure, 1 << 20, &retry_ns), SKV_OK);
    CHECK_EQ(retry_ns, 0);
    skv_pressure_add(&pressure, percent(95));
    CHECK_EQ(skv_pressure_try(&pressure, (size_t)1 << 36, &retry_ns), SKV_OK); /* the first of a burst goes on */
    CHECK_EQ(skv_pressure_try(&pressure, 1, &retry_ns), SKV_BUSY);
    CHECK(retry_ns > 0 && retry_ns <= 100 * SKV_NS_PER_MS);
    stalled = atomic_load(&pressure.stall_ns);
    CHECK(stalled > 0);
    skv_pressure_add(&pressure, percent(10));
    CHECK_EQ(skv_pressure_try(&pressure, 1, &retry_ns), SKV_BUSY);
    CHECK_EQ(retry_ns, 0); /* room, not time, is what lacks */
    skv_pressure_fail(&pressure, SKV_FULL, &(skv_error){0});
    CHECK_EQ(skv_pressure_try(&pressure, 1, &retry_ns), SKV_FULL);
}

static void test_relief_and_its_failure_are_told_to_notifiers(void)
{
    skv_notifiers all = {0};
    skv_pressure pressure = {.notifiers = &all};
    skv_notifiers_create(&all);
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, BUDGET);
    skv_pressure_relieve(&pressure, BUDGET, 1);
    CHECK_EQ(skv_notify_room_read(&all), 1);
    skv_pressure_fail(&pressure, SKV_IO, &(skv_error){0});
    CHECK_EQ(skv_notify_room_read(&all), 2);
    skv_notifiers_free(&all);
}

static void *relieve(void *context)
{
    skv_pressure *pressure = context;
    skv_pressure_relieve(pressure, BUDGET / 2, SKV_NS_PER_MS);
    return NULL;
}

static void *fail(void *context)
{
    skv_error why = {.text = "no space"};
    skv_pressure_fail(context, SKV_FULL, &why);
    return NULL;
}

static skv_code admit_against(void *(*other)(void *))
{
    skv_pressure pressure = {0};
    pthread_t thread;
    uint64_t began = skv_now_ns();
    skv_code code;
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, BUDGET);
    CHECK_EQ(pthread_create(&thread, NULL, other, &pressure), 0);
    code = skv_pressure_admit(&pressure, 1, LONG);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(skv_now_ns() - began < LONG);
    return code;
}

static void test_a_flush_lets_the_held_go_on_and_its_failure_tells_them_why(void)
{
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(admit_against(relieve), SKV_OK);
        CHECK_EQ(admit_against(fail), SKV_FULL);
    }
}

static void test_a_flush_that_succeeds_takes_a_failure_back(void)
{
    skv_pressure pressure = {0};
    skv_error err;
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, 2 * BUDGET);
    skv_pressure_fail(&pressure, SKV_IO, &(skv_error){.text = "no disk"});
    CHECK_EQ(skv_pressure_admit(&pressure, 1, LONG), SKV_IO);
    CHECK_EQ(skv_pressure_failure(&pressure, "flushing fails", &err), SKV_IO);
    CHECK(strstr(err.text, "flushing fails: no disk") != NULL);
    skv_pressure_relieve(&pressure, 1, 1);
    CHECK_EQ(skv_pressure_admit(&pressure, 1, SLICE), SKV_BUSY);
    skv_pressure_relieve(&pressure, 2 * BUDGET - 1, 1);
    CHECK_EQ(skv_pressure_admit(&pressure, 1, LONG), SKV_OK);
}

static void test_another_budget_holds_at_once(void)
{
    skv_pressure pressure = {0};
    unsigned wanted;
    skv_pressure_create(&pressure, BUDGET);
    skv_pressure_add(&pressure, percent(40));
    CHECK_EQ(skv_pressure_admit(&pressure, 1, 0), SKV_OK);
    wanted = skv_event_read(&pressure.wanted);
    skv_pressure_resize(&pressure, BUDGET / 4);
    CHECK(skv_event_read(&pressure.wanted) != wanted && skv_pressure_wants_flush(&pressure));
    CHECK_EQ(skv_pressure_admit(&pressure, 1, 0), SKV_BUSY);
    skv_pressure_resize(&pressure, BUDGET);
    CHECK_EQ(skv_pressure_admit(&pressure, 1, 0), SKV_OK);
    CHECK(!skv_pressure_wants_flush(&pressure));
    skv_pressure_free(&pressure);
}

static void test_the_rate_follows_large_flushes_only(void)
{
    skv_pressure pressure = {0};
    uint64_t rate;
    skv_pressure_create(&pressure, BUDGET);
    rate = atomic_load(&pressure.flush_rate);
    skv_pressure_add(&pressure, (uint64_t)1 << 40);
    skv_pressure_relieve(&pressure, 1000, SKV_NS_PER_S);
    CHECK_EQ(atomic_load(&pressure.flush_rate), rate);
    for (int i = 0; i < 40; i++)
        skv_pressure_relieve(&pressure, (uint64_t)300 << 20, SKV_NS_PER_S);
    CHECK(atomic_load(&pressure.flush_rate) > (uint64_t)299 << 20);
    for (int i = 0; i < 100; i++)
        skv_pressure_relieve(&pressure, (uint64_t)2 << 20, 100 * SKV_NS_PER_S);
    CHECK(atomic_load(&pressure.flush_rate) >= 1 << 20); /* never so slow that a write waits for ever */
}

int main(void)
{
    RUN(test_below_70_percent_nobody_waits);
    RUN(test_a_flush_is_wanted_from_half_of_the_budget_on);
    RUN(test_between_70_and_100_percent_writers_are_slowed_to_what_a_flush_manages);
    RUN(test_a_delay_is_no_longer_than_a_slice);
    RUN(test_a_full_budget_is_busy_after_a_slice);
    RUN(test_a_flush_lets_the_held_go_on_and_its_failure_tells_them_why);
    RUN(test_a_flush_that_succeeds_takes_a_failure_back);
    RUN(test_who_may_not_wait_is_told_when_to_come_again);
    RUN(test_relief_and_its_failure_are_told_to_notifiers);
    RUN(test_another_budget_holds_at_once);
    RUN(test_the_rate_follows_large_flushes_only);
    return 0;
}
