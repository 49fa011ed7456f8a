/* Many threads on one line: the rate holds for all of them together, and they are served in the order in which they came. */
#include <pthread.h>

#include "admission.h"
#include "check.h"

#define THREADS 6
#define RATE 2000

typedef struct {
    skv_admission admission;
    atomic_bool stopping;
    uint64_t counts[THREADS];
    atomic_uint number;
} shared;

/* Slices that run out in the middle of a wait, as calls do. */
static void *run_writer(void *context)
{
    shared *at = context;
    unsigned number = atomic_fetch_add(&at->number, 1);
    skv_turn turn = {0};
    while (!atomic_load(&at->stopping)) {
        if (skv_admission_wait(&at->admission, &turn, (skv_demand){1, 100}, SKV_NS_PER_MS))
            continue;
        skv_admission_spend(&turn);
        at->counts[number]++;
    }
    skv_admission_withdraw(&at->admission, &turn);
    return NULL;
}

static void test_threads_share_the_rate(void)
{
    static shared at;
    pthread_t threads[THREADS];
    uint64_t began, spent, sum = 0, most;
    skv_event never = {0};
    skv_admission_create(&at.admission);
    skv_admission_limit(&at.admission, (skv_rates){RATE, 0});
    began = skv_now_ns();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run_writer, &at), 0);
    while (skv_now_ns() - began < SKV_NS_PER_S) {
        skv_event_wait(&never, 0, 100 * SKV_NS_PER_MS);
        skv_admission_limit(&at.admission, (skv_rates){RATE, RATE * 200}); /* a new line, the same rate */
    }
    atomic_store(&at.stopping, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    spent = skv_now_ns() - began;
    for (int i = 0; i < THREADS; i++)
        sum += at.counts[i];
    most = spent * RATE / SKV_NS_PER_S + 12 * RATE / 10; /* each new line begins with a burst */
    CHECK(sum <= most);
    CHECK(sum > RATE / 10);
    skv_admission_free(&at.admission);
}

/* Whoever was served asks again at once, and stands behind all the others. */
static void test_nobody_overtakes(void)
{
    skv_admission admission = {0};
    skv_turn turns[THREADS] = {0}, burst = {0};
    skv_admission_create(&admission);
    skv_admission_limit(&admission, (skv_rates){RATE, 0});
    CHECK_EQ(skv_admission_wait(&admission, &burst, (skv_demand){RATE / 5, 1}, 0), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(skv_admission_wait(&admission, &turns[i], (skv_demand){1, 1}, 0) > 0);
    for (int step = 0; step < 300; step++) {
        skv_turn *next = &turns[step % THREADS];
        for (int i = 0; i < THREADS; i++)
            CHECK(next->at_ns <= turns[i].at_ns);
        CHECK_EQ(skv_admission_wait(&admission, next, (skv_demand){1, 1}, 60 * SKV_NS_PER_S), 0);
        skv_admission_spend(next);
        (void)skv_admission_wait(&admission, next, (skv_demand){1, 1}, 0);
    }
    skv_admission_free(&admission);
}

int main(void)
{
    RUN(test_threads_share_the_rate);
    RUN(test_nobody_overtakes);
    return 0;
}
