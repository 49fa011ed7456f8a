/* Admission: the rates hold, what was not used may be made up for once, nobody overtakes, and a place on the line is kept
 * between calls. */
#include "admission.h"

#include <pthread.h>

#include "check.h"

#define MS SKV_NS_PER_MS
#define LONG (60 * SKV_NS_PER_S)

static skv_admission *make(uint64_t writes_per_s, uint64_t bytes_per_s)
{
    static skv_admission admission;
    admission = (skv_admission){0};
    skv_admission_create(&admission);
    skv_admission_limit(&admission, (skv_rates){writes_per_s, bytes_per_s});
    return &admission;
}

/* How many writes of `bytes` pass without a wait. */
static unsigned passing(skv_admission *admission, uint64_t bytes)
{
    unsigned count = 0;
    skv_turn turn = {0};
    while (skv_admission_wait(admission, &turn, (skv_demand){1, bytes}, 0) == 0) {
        skv_admission_spend(&turn);
        count++;
    }
    skv_admission_withdraw(admission, &turn);
    return count;
}

static void test_without_a_limit_nobody_looks(void)
{
    skv_admission *admission = make(0, 0);
    CHECK(!skv_admission_limited(admission));
    skv_admission_limit(admission, (skv_rates){1, 0});
    CHECK(skv_admission_limited(admission));
    skv_admission_limit(admission, (skv_rates){0, 1});
    CHECK(skv_admission_limited(admission));
    skv_admission_limit(admission, (skv_rates){0, 0});
    CHECK(!skv_admission_limited(admission));
    skv_admission_free(admission);
}

static void test_a_tenth_of_a_second_may_come_at_once(void)
{
    unsigned count = passing(make(10, 0), 1 << 20);
    CHECK(count == 1 || count == 2);
    count = passing(make(1000, 0), 1 << 20);
    CHECK(count >= 100 && count < 2000); /* a slow machine lives through more than that tenth */
    count = passing(make(0, 1 << 20), 1 << 10);
    CHECK(count >= 102 && count < 2000);
    count = passing(make(1000, 100 * 1000), 1000); /* the stricter one counts */
    CHECK(count >= 10 && count < 200);
}

static void test_the_rate_holds(void)
{
    skv_admission *admission = make(1000, 0);
    uint64_t began = skv_now_ns();
    skv_turn turn = {0};
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){1, 1}, LONG), 0);
        skv_admission_spend(&turn);
    }
    CHECK(skv_now_ns() - began >= 199 * MS); /* a hundred at once, two hundred in their time */
    CHECK(atomic_load(&admission->stall_ns) >= 100 * MS);
    skv_admission_free(admission);
}

/* A batch that is larger than the burst goes when the line is free; what comes after it pays. */
static void test_a_large_batch_is_paid_for_by_what_follows(void)
{
    skv_admission *admission = make(1000, 0);
    skv_turn turn = {0};
    uint64_t wait_ns;
    CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){5000, 1}, 0), 0);
    skv_admission_spend(&turn);
    wait_ns = skv_admission_wait(admission, &turn, (skv_demand){1, 1}, 0);
    CHECK(wait_ns > 4000 * MS && wait_ns < 5000 * MS);
    skv_admission_free(admission);
}

static void test_a_slice_ends_and_the_place_is_kept(void)
{
    skv_admission *admission = make(10, 0);
    skv_turn first = {0}, second = {0}, third = {0};
    uint64_t began, at;
    (void)passing(admission, 1);
    CHECK(skv_admission_wait(admission, &first, (skv_demand){2, 1}, 0) > 0);
    CHECK(skv_admission_wait(admission, &second, (skv_demand){2, 1}, 0) > 0);
    at = second.at_ns;
    CHECK(at >= first.at_ns + 200 * MS);
    began = skv_now_ns();
    CHECK(skv_admission_wait(admission, &second, (skv_demand){2, 1}, 5 * MS) > 0);
    CHECK(skv_now_ns() - began >= 5 * MS);
    CHECK(skv_admission_wait(admission, &third, (skv_demand){2, 1}, 0) > 0);
    CHECK(third.at_ns >= at + 200 * MS);
    (void)skv_admission_wait(admission, &second, (skv_demand){2, 1}, 0); /* behind nobody who came later */
    CHECK_EQ(second.at_ns, at);
    CHECK_EQ(skv_admission_wait(admission, &second, (skv_demand){2, 1}, LONG), 0);
    CHECK(skv_now_ns() >= at);
    skv_admission_free(admission);
}

static void test_who_gives_up_is_not_waited_for(void)
{
    skv_admission *admission = make(10, 0);
    skv_turn turns[50] = {0}, last = {0};
    uint64_t at;
    (void)passing(admission, 1);
    CHECK(skv_admission_wait(admission, &last, (skv_demand){1, 1}, 0) > 0);
    at = last.at_ns;
    skv_admission_withdraw(admission, &last);
    for (int i = 0; i < 50; i++)
        CHECK(skv_admission_wait(admission, &turns[i], (skv_demand){1, 1}, 0) > 0);
    CHECK(turns[49].at_ns >= at + 4800 * MS);
    for (int i = 0; i < 50; i++)
        skv_admission_withdraw(admission, &turns[i]);
    CHECK(skv_admission_wait(admission, &last, (skv_demand){1, 1}, 0) > 0);
    CHECK(last.at_ns <= at + 100 * MS);
    skv_admission_free(admission);
}

/* A turn that was left over is not a ticket for a larger write. */
static void test_a_turn_is_good_for_writes_of_its_size_alone(void)
{
    skv_admission *admission = make(0, 1000);
    skv_turn turn = {0};
    CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){1, 90}, 0), 0); /* not spent */
    CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){1, 5000}, 0), 0);
    skv_admission_spend(&turn);
    CHECK(skv_admission_wait(admission, &turn, (skv_demand){1, 90}, 0) > 4500 * MS);
    skv_admission_free(admission);
}

static void *raise_limit(void *context)
{
    skv_admission_limit(context, (skv_rates){1000 * 1000, 0});
    return NULL;
}

static void *lift_limit(void *context)
{
    skv_admission_limit(context, (skv_rates){0, 0});
    return NULL;
}

static void test_a_change_of_the_limit_reaches_who_waits(void)
{
    for (int i = 0; i < 100; i++) {
        skv_admission *admission = make(1, 0);
        skv_turn turn = {0};
        pthread_t thread;
        uint64_t began = skv_now_ns();
        CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){3600, 1}, 0), 0);
        skv_admission_spend(&turn);
        CHECK_EQ(pthread_create(&thread, NULL, i % 2 ? raise_limit : lift_limit, admission), 0);
        CHECK_EQ(skv_admission_wait(admission, &turn, (skv_demand){1, 1}, LONG), 0);
        CHECK(skv_now_ns() - began < LONG);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        skv_admission_free(admission);
    }
}

int main(void)
{
    RUN(test_without_a_limit_nobody_looks);
    RUN(test_a_tenth_of_a_second_may_come_at_once);
    RUN(test_the_rate_holds);
    RUN(test_a_large_batch_is_paid_for_by_what_follows);
    RUN(test_a_slice_ends_and_the_place_is_kept);
    RUN(test_who_gives_up_is_not_waited_for);
    RUN(test_a_turn_is_good_for_writes_of_its_size_alone);
    RUN(test_a_change_of_the_limit_reaches_who_waits);
    return 0;
}
