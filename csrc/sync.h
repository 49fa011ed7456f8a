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

/* A word that one thread waits on and another sets, once. May live on the waiter's stack: after the set, the setter
 * touches only the address, never the memory. */
typedef struct {
    atomic_uint word;
} skv_flag;

void skv_flag_set(skv_flag *flag);
/* true: set; false: the time is over or a signal arrived. */
bool skv_flag_wait(skv_flag *flag, uint64_t timeout_ns);

/* Something happened: any number of waiters. Read the count, check the condition, then wait for the count to move on;
 * a notify between read and wait is never missed. */
typedef struct {
    atomic_uint count;
    atomic_uint waiters;
} skv_event;

unsigned skv_event_read(skv_event *event);
void skv_event_notify(skv_event *event);
/* Returns when the count moved, the time is over, or a signal arrived. */
void skv_event_wait(skv_event *event, unsigned seen, uint64_t timeout_ns);

/* Monotonic time. */
uint64_t skv_now_ns(void);
void skv_pause_ns(uint64_t ns);

#endif
