/* The engine's clock under threads: what one thread saw, no later reading of any thread is before. */
#include <pthread.h>

#include "check.h"
#include "clock.h"

#define THREADS 4
#define READINGS 20000

typedef struct {
    skv_clock clock;
    atomic_ullong highest; /* that anybody saw */
} world;

static void *read_and_shift(void *argument)
{
    world *at = argument;
    for (int i = 0; i < READINGS; i++) {
        uint64_t seen = atomic_load(&at->highest), now;
        if (i % 64 == 0)
            skv_clock_shift(&at->clock, (i % 128 ? 1 : -1) * i);
        now = skv_clock_now(&at->clock);
        CHECK(now >= seen);
        while (seen < now && !atomic_compare_exchange_weak(&at->highest, (unsigned long long *)&seen, now))
            continue;
    }
    return NULL;
}

static void test_no_thread_sees_time_go_back(void)
{
    static world at;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, read_and_shift, &at), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    RUN(test_no_thread_sees_time_go_back);
    return 0;
}
