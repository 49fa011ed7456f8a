/* Cursors beside appenders, syncs, retirement and a budget: each sees an unbroken run of whole records, or is told where to go
 * on; those who watch are woken. */
#include <pthread.h>

#include "check.h"
#include "log_read.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "read_threads"
#define APPENDERS 3
#define READERS 3
#define RECORDS 1500 /* of each appender */
#define LOST (30 * SKV_NS_PER_S)

typedef struct {
    skv_log *log;
    atomic_bool stopping;
    atomic_uint random;
    atomic_ullong gone; /* how often a reader was too late */
} shared;

static void *run_appender(void *context)
{
    shared *at = context;
    uint64_t random = atomic_fetch_add(&at->random, 1);
    static const uint8_t value[3000];
    for (int i = 0; i < RECORDS; i++) {
        uint64_t x = check_random(&random);
        skv_record record = {.key = {(const uint8_t *)"some key", 8}, .value = {value, x % 300}};
        skv_error err = {0};
        skv_code code;
        do {
            unsigned seen = skv_log_room_read(at->log);
            skv_log_lock(at->log);
            code = skv_log_reserve(at->log, skv_record_bytes(&record), &err);
            if (code == SKV_OK)
                (void)skv_log_append(at->log, &record);
            if (x % 3 == 0)
                skv_log_want_sync(at->log);
            skv_log_unlock(at->log);
            if (code == SKV_BUSY)
                skv_log_room_wait(at->log, seen, LOST);
        } while (code == SKV_BUSY);
        CHECK_OK(code, &err);
        if (x % 3)
            CHECK_OK(skv_log_wait(at->log, record.seqno, LOST, &err), &err);
    }
    return NULL;
}

static void *run_sync_loop(void *context)
{
    shared *at = context;
    unsigned seen = skv_log_sync_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_sync_read(at->log))
        skv_log_sync_round(at->log, seen, LOST);
    return NULL;
}

/* Retires whatever is durable, with a budget that changes all the while. */
static void *run_log_loop(void *context)
{
    shared *at = context;
    uint64_t random = atomic_fetch_add(&at->random, 1);
    unsigned seen = skv_log_tend_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_tend_read(at->log)) {
        skv_error err = {0};
        skv_log_retain(at->log, check_random(&random) % 8 * SKV_PAGE_BYTES);
        skv_log_retire(at->log, skv_log_durable(at->log) + 1, 0);
        CHECK_OK(skv_log_tend(at->log, &err), &err);
        skv_log_tend_wait(at->log, seen, SKV_NS_PER_MS);
    }
    return NULL;
}

static skv_code take_record(void *context, const skv_record *record, skv_error *err)
{
    uint64_t *next = context;
    (void)err;
    CHECK_EQ(record->seqno, *next);
    CHECK(skv_record_verify(record));
    ++*next;
    return SKV_OK;
}

static skv_log_cursor *cursor_at(shared *at, uint64_t next)
{
    skv_error err = {0};
    skv_log_cursor *cursor;
    CHECK_OK(skv_log_cursor_create(at->log, next, &cursor, &err), &err);
    return cursor;
}

static void *run_reader(void *context)
{
    shared *at = context;
    uint64_t next = 1, random = atomic_fetch_add(&at->random, 1), began = skv_now_ns();
    skv_log_cursor *cursor = cursor_at(at, next);
    while (next <= APPENDERS * RECORDS) {
        skv_error err = {0};
        skv_code code = skv_log_read(cursor, check_random(&random) % 4000, take_record, &next, &err);
        CHECK(skv_now_ns() - began < 2 * LOST);
        if (code == SKV_LOG_GONE) {
            CHECK(err.seqno >= next);
            next = err.seqno + 1;
            skv_log_cursor_free(cursor);
            cursor = cursor_at(at, next);
            atomic_fetch_add(&at->gone, 1);
        } else if (code == SKV_AGAIN) {
            code = skv_log_watch(at->log, next, LOST, &err);
            CHECK(code == SKV_OK || code == SKV_AGAIN);
        } else {
            CHECK_OK(code, &err);
        }
    }
    skv_log_cursor_free(cursor);
    return NULL;
}

static void test_cursors_see_an_unbroken_run_beside_everything(void)
{
    int dir = scratch_make(PLACE);
    shared at = {.log = logs_found(dir, (skv_log_sizes){SKV_PAGE_BYTES, 4 * SKV_PAGE_BYTES})};
    pthread_t appenders[APPENDERS], readers[READERS], loops[2];
    atomic_store(&at.random, (unsigned)check_seed());
    CHECK_EQ(pthread_create(&loops[0], NULL, run_sync_loop, &at), 0);
    CHECK_EQ(pthread_create(&loops[1], NULL, run_log_loop, &at), 0);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&readers[i], NULL, run_reader, &at), 0);
    for (int i = 0; i < APPENDERS; i++)
        CHECK_EQ(pthread_create(&appenders[i], NULL, run_appender, &at), 0);
    for (int i = 0; i < APPENDERS; i++)
        CHECK_EQ(pthread_join(appenders[i], NULL), 0);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_join(readers[i], NULL), 0);
    atomic_store(&at.stopping, true);
    skv_log_wake_loops(at.log);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(loops[i], NULL), 0);
    (void)printf("too late: %llu times\n", (unsigned long long)atomic_load(&at.gone));
    skv_log_free(at.log);
    scratch_remove(dir, PLACE);
}

/* -- watching ------------------------------------------------------------------------------------------------------- */

static void *sync_one(void *context)
{
    logs_append(context, 1, 1);
    logs_sync(context);
    return NULL;
}

/* A wake that came between the look and the wait was lost, and with it half a minute. */
static void test_a_watcher_is_woken_by_a_sync(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    for (uint64_t seqno = 1; seqno <= 200; seqno++) {
        skv_error err = {0};
        pthread_t thread;
        uint64_t began = skv_now_ns();
        CHECK_EQ(skv_log_watch(log, seqno, 0, &err), SKV_AGAIN);
        CHECK_EQ(pthread_create(&thread, NULL, sync_one, log), 0);
        while (skv_log_watch(log, seqno, LOST, &err) != SKV_OK)
            continue;
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(skv_now_ns() - began < LOST);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_cursors_see_an_unbroken_run_beside_everything);
    RUN(test_a_watcher_is_woken_by_a_sync);
    return 0;
}
