/* L1. Locks, waits and the clock: every wait of the engine goes through here. */
#ifndef SKV_SYNC_H
#define SKV_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SKV_NS_PER_MS 1000000ULL
#define SKV_NS_PER_S 1000000000ULL

typedef struct {
    pthread_mutex_t inner;
} skv_mutex;

void skv_mutex_create(skv_mutex *mutex);
void skv_mutex_free(skv_mutex *mutex);
static inline void skv_lock(skv_mutex *mutex)
{
    (void)pthread_mutex_lock(&mutex->inner);
}
static inline void skv_unlock(skv_mutex *mutex)
{
    (void)pthread_mutex_unlock(&mutex->inner);
}

/* A gate that threads wait at until it is opened: one system call lets all of them through. */
typedef struct {
    atomic_uint word;
} skv_gate;

/* Read the word under the lock that guards the condition, then wait without it: an opening in between is not missed.
 * false: the time is over or a signal arrived. */
static inline unsigned skv_gate_read(skv_gate *gate)
{
    return atomic_load_explicit(&gate->word, memory_order_acquire);
}
bool skv_gate_wait(skv_gate *gate, unsigned seen, uint64_t timeout_ns);
/* Let everybody through; let one of the sleepers through, and whoever is about to sleep. */
void skv_gate_open(skv_gate *gate);
void skv_gate_open_one(skv_gate *gate);

/* Something happened: any number of waiters. Read the count, check the condition, then wait for the count to move on;
 * a notify between read and wait is never missed. */
typedef struct {
    atomic_uint count;
    atomic_uint waiters;
} skv_event;

unsigned skv_event_read(skv_event *event);
void skv_event_notify(skv_event *event);
/* Returns when the count moved, or may have; false: the time is over or a signal arrived. */
bool skv_event_wait(skv_event *event, unsigned seen, uint64_t timeout_ns);

/* Monotonic time. */
uint64_t skv_now_ns(void);
/* What the machine takes the time of day to be, in Unix microseconds: it may jump. The engine's clock is built on it. */
uint64_t skv_wall_us(void);

#endif
