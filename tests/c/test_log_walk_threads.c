/* Walks beside an appender and those who sync: nothing that a walk reads is written to meanwhile. */
#include <pthread.h>

#include "check.h"
#include "log_walk.h"
#include "logs.h"
#include "scratch.h"

#define RECORDS 4000
#define WALKERS 2

typedef struct {
    skv_log *log;
    atomic_bool over;
} shared;

static void *append(void *context)
{
    shared *at = context;
    for (int i = 0; i < RECORDS / 4; i++)
        logs_append(at->log, 1, 4);
    atomic_store(&at->over, true);
    return NULL;
}

static void *sync_always(void *context)
{
    shared *at = context;
    skv_error err;
    while (!atomic_load(&at->over)) {
        uint64_t last;
        skv_log_lock(at->log);
        last = skv_log_last(at->log);
        skv_log_unlock(at->log);
        CHECK_OK(skv_log_wait(at->log, last, 60 * SKV_NS_PER_S, &err), &err);
    }
    return NULL;
}

static bool see(void *context, const skv_record *record)
{
    uint64_t *seqno = context;
    CHECK_EQ(record->seqno, ++*seqno);
    CHECK(skv_record_verify(record));
    return true;
}

static void *walk(void *context)
{
    shared *at = context;
    uint64_t seqno = 0;
    skv_log_place place;
    skv_log_lock(at->log);
    place = skv_log_end(at->log);
    skv_log_unlock(at->log);
    seqno = place.seqno;
    while (!atomic_load(&at->over))
        CHECK(skv_log_walk(at->log, &place, see, &seqno));
    CHECK(skv_log_walk(at->log, &place, see, &seqno));
    CHECK_EQ(seqno, RECORDS);
    return NULL;
}

int main(void)
{
    shared at = {0};
    pthread_t threads[2 + WALKERS];
    int dir = scratch_make("walks");
    at.log = logs_found(dir, (skv_log_sizes){65536, 65536});
    CHECK_EQ(pthread_create(&threads[0], NULL, append, &at), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, sync_always, &at), 0);
    for (int i = 0; i < WALKERS; i++)
        CHECK_EQ(pthread_create(&threads[2 + i], NULL, walk, &at), 0);
    for (int i = 0; i < 2 + WALKERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    skv_log_free(at.log);
    scratch_remove(dir, "walks");
    return 0;
}
