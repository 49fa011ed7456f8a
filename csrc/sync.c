/* L1. Locks, waits, clock on Linux: futex for waits, so that a waiter is woken alone and without a lock. */
#include "sync.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void skv_mutex_create(skv_mutex *mutex)
{
    (void)pthread_mutex_init(&mutex->inner, NULL);
}

void skv_mutex_free(skv_mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->inner);
}

static void wake(atomic_uint *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* false when the time is over or a signal arrived. */
static bool sleep_on(atomic_uint *word, unsigned expected, uint64_t timeout_ns)
{
    struct timespec wait = {(time_t)(timeout_ns / SKV_NS_PER_S), (long)(timeout_ns % SKV_NS_PER_S)};
    return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &wait, NULL, 0) == 0 || errno == EAGAIN;
}

bool skv_gate_wait(skv_gate *gate, unsigned seen, uint64_t timeout_ns)
{
    return sleep_on(&gate->word, seen, timeout_ns);
}

void skv_gate_open(skv_gate *gate)
{
    atomic_fetch_add_explicit(&gate->word, 1, memory_order_release);
    wake(&gate->word, INT_MAX);
}

void skv_gate_open_one(skv_gate *gate)
{
    atomic_fetch_add_explicit(&gate->word, 1, memory_order_release);
    wake(&gate->word, 1);
}

unsigned skv_event_read(skv_event *event)
{
    return atomic_load(&event->count);
}

void skv_event_notify(skv_event *event)
{
    atomic_fetch_add(&event->count, 1);
    if (atomic_load(&event->waiters))
        wake(&event->count, INT_MAX);
}

bool skv_event_wait(skv_event *event, unsigned seen, uint64_t timeout_ns)
{
    bool woken = true;
    atomic_fetch_add(&event->waiters, 1);
    if (atomic_load(&event->count) == seen)
        woken = sleep_on(&event->count, seen, timeout_ns);
    atomic_fetch_sub(&event->waiters, 1);
    return woken;
}

uint64_t skv_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SKV_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t skv_wall_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
