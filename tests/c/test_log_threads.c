/* Many threads on one log: appenders who wait, appenders who do not, the sync loop, the log loop, readers, retirement and
 * signals. Whoever is told that a record is durable finds it after a crash; nobody waits for a wake that was lost. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "threads"
#define APPENDERS 5
#define READERS 2
#define RECORDS 500 /* of each appender */
#define WINDOW 512  /* the newest records are published; what is older is given back */
#define LOST (30 * SKV_NS_PER_S)

typedef struct {
    skv_log *log;
    skv_mutex lock; /* as a lane's: after the log's */
    skv_position published[WINDOW];
    uint64_t low, high; /* readable seqnos */
    atomic_bool stopping;
    atomic_ullong acked; /* the newest */
    atomic_ullong refused, reads;
    skv_event progress; /* an appender did something */
    atomic_uint random;
} shared;

static uint64_t seed_of(shared *at)
{
    return (uint64_t)atomic_fetch_add(&at->random, 1) << 20;
}

/* -- appenders ------------------------------------------------------------------------------------------------------ */

static skv_code append(shared *at, size_t bytes, bool sync_later, uint64_t *seqno)
{
    static const uint8_t value[3000];
    skv_error err = {0};
    for (;;) {
        unsigned seen = skv_log_room_read(at->log);
        skv_record record = {.key = {(const uint8_t *)"some key", 8}, .value = {value, bytes}};
        skv_code code;
        skv_log_lock(at->log);
        code = skv_log_reserve(at->log, skv_record_bytes(&record), &err);
        if (code == SKV_OK) {
            skv_position position = skv_log_append(at->log, &record);
            *seqno = record.seqno;
            skv_lock(&at->lock);
            at->published[record.seqno % WINDOW] = position;
            at->high = record.seqno;
            skv_unlock(&at->lock);
            if (sync_later)
                skv_log_want_sync(at->log);
        }
        skv_log_unlock(at->log);
        if (code != SKV_BUSY)
            return code;
        skv_log_room_wait(at->log, seen, SKV_NS_PER_S);
    }
}

/* Wait with times that run out at all moments, or with one that must not. */
static skv_code wait_for(shared *at, uint64_t seqno, uint64_t x)
{
    skv_error err = {0};
    uint64_t began = skv_now_ns(), timeout = x % 4 == 0 ? 2 * LOST : x % 4 == 1 ? 0 : (x >> 8) % (300 * 1000);
    skv_code code;
    while ((code = skv_log_wait(at->log, seqno, timeout, &err)) == SKV_AGAIN)
        CHECK(skv_now_ns() - began < LOST);
    CHECK(skv_now_ns() - began < LOST);
    CHECK(code == SKV_OK || code == SKV_POISONED);
    if (code == SKV_OK)
        CHECK(skv_log_durable(at->log) >= seqno);
    return code;
}

static void note_acked(shared *at, uint64_t seqno)
{
    unsigned long long before = atomic_load(&at->acked);
    while (before < seqno && !atomic_compare_exchange_weak(&at->acked, &before, seqno))
        continue;
}

/* Nothing newer is durable before it: so only what is durable is given back, and what nobody reads. */
static void give_back(shared *at)
{
    uint64_t durable = skv_log_durable(at->log), low;
    skv_lock(&at->lock);
    low = at->high > WINDOW / 2 ? at->high - WINDOW / 2 : 1;
    low = low <= durable ? low : durable + 1;
    at->low = low > at->low ? low : at->low;
    low = at->low;
    skv_unlock(&at->lock);
    skv_log_retire(at->log, low, 0);
}

static void *run_appender(void *context)
{
    shared *at = context;
    uint64_t random = seed_of(at);
    for (int i = 0; i < RECORDS; i++) {
        uint64_t x = check_random(&random), seqno = 0;
        bool later = x % 3 == 0;
        skv_code code = append(at, (x >> 16) % 2500, later, &seqno);
        if (code == SKV_OK && !later)
            code = wait_for(at, seqno, x >> 32);
        if (code != SKV_OK) {
            atomic_fetch_add(&at->refused, 1);
            return NULL;
        }
        if (!later)
            note_acked(at, seqno);
        if (i % 20 == 0)
            give_back(at);
        skv_event_notify(&at->progress);
    }
    return NULL;
}

/* -- the others ----------------------------------------------------------------------------------------------------- */

static void *run_sync_loop(void *context)
{
    shared *at = context;
    unsigned seen = skv_log_sync_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_sync_read(at->log))
        skv_log_sync_round(at->log, seen, LOST);
    return NULL;
}

static void *run_log_loop(void *context)
{
    shared *at = context;
    skv_error err;
    unsigned seen = skv_log_tend_read(at->log);
    for (; !atomic_load(&at->stopping); seen = skv_log_tend_read(at->log)) {
        if (skv_log_tend(at->log, &err) == SKV_OK)
            skv_log_tend_wait(at->log, seen, LOST);
        else
            skv_log_tend_wait(at->log, skv_log_tend_read(at->log), SKV_NS_PER_MS);
    }
    return NULL;
}

/* Pin under the lock, read without it: the record stays as it was, whether its segment is being synced or given back. */
static void *run_reader(void *context)
{
    shared *at = context;
    uint64_t random = seed_of(at);
    while (!atomic_load(&at->stopping)) {
        skv_slots *slots = skv_log_slots(at->log);
        skv_position position;
        skv_record record;
        uint64_t seqno;
        skv_lock(&at->lock);
        seqno = at->low + check_random(&random) % (at->high - at->low + 1);
        if (seqno < at->low || seqno > at->high || at->high - seqno >= WINDOW) {
            skv_unlock(&at->lock);
            continue;
        }
        position = at->published[seqno % WINDOW];
        skv_slots_pin(slots, position);
        skv_unlock(&at->lock);
        skv_slots_read(slots, position, &record);
        CHECK_EQ(record.seqno, seqno);
        CHECK(skv_record_verify(&record));
        skv_slots_unpin(slots, position);
        atomic_fetch_add(&at->reads, 1);
    }
    return NULL;
}

static void ignore(int number)
{
    (void)number;
}

/* -- the run -------------------------------------------------------------------------------------------------------- */

static void start(shared *at, int dir)
{
    uint64_t seqno;
    at->log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 64 * SKV_PAGE_BYTES});
    at->low = 1;
    atomic_store(&at->random, (unsigned)check_seed());
    skv_mutex_create(&at->lock);
    CHECK_EQ(append(at, 10, false, &seqno), SKV_OK); /* so that readers find one */
}

static void run_threads(shared *at)
{
    pthread_t appenders[APPENDERS], readers[READERS], loops[2];
    CHECK_EQ(pthread_create(&loops[0], NULL, run_sync_loop, at), 0);
    CHECK_EQ(pthread_create(&loops[1], NULL, run_log_loop, at), 0);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&readers[i], NULL, run_reader, at), 0);
    for (int i = 0; i < APPENDERS; i++)
        CHECK_EQ(pthread_create(&appenders[i], NULL, run_appender, at), 0);
    for (int i = 0; i < 200; i++) { /* signals end waits early, and only waits */
        CHECK_EQ(pthread_kill(appenders[i % APPENDERS], SIGUSR1), 0);
        skv_event_wait(&at->progress, skv_event_read(&at->progress), SKV_NS_PER_MS);
    }
    for (int i = 0; i < APPENDERS; i++)
        CHECK_EQ(pthread_join(appenders[i], NULL), 0);
    atomic_store(&at->stopping, true);
    skv_log_wake_loops(at->log);
    for (int i = 0; i < READERS; i++)
        CHECK_EQ(pthread_join(readers[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(loops[i], NULL), 0);
    CHECK(at->log->waiting[0] == 0 && at->log->waiting[1] == 0 && !at->log->leading);
    CHECK(atomic_load(&at->reads) > 0);
}

static skv_code count_record(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    uint64_t *next = context;
    (void)position, (void)err;
    CHECK(*next == 0 || record->seqno == *next);
    CHECK(skv_record_verify(record));
    *next = record->seqno + 1;
    return SKV_OK;
}

/* After a crash: an unbroken log, up to the newest acked record at least. */
static void check_crashed(int dir, uint64_t applied, uint64_t acked)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    uint64_t next = 0;
    CHECK_OK(logs_scan(dir, applied, &log, &tail, &err), &err);
    CHECK(tail.last_seqno >= acked);
    CHECK_OK(skv_log_visit_records(log, 0, UINT64_MAX, count_record, &next, &err), &err);
    CHECK_EQ(next, tail.last_seqno + 1);
    skv_log_free(log);
}

static void test_every_acked_record_is_there_after_a_crash(void)
{
    shared at = {.log = NULL};
    int dir = scratch_make(PLACE);
    skv_stats stats = {0};
    start(&at, dir);
    run_threads(&at);
    CHECK_EQ(atomic_load(&at.refused), 0);
    CHECK_EQ(skv_log_last(at.log), APPENDERS * RECORDS + 1);
    CHECK(atomic_load(&at.acked) <= skv_log_durable(at.log));
    skv_log_stats_read(at.log, &stats);
    CHECK(stats.log_bytes < 30 * 64 * SKV_PAGE_BYTES); /* segments were given back all the while */
    skv_log_free(at.log);
    check_crashed(dir, at.low - 1, atomic_load(&at.acked));
    skv_mutex_free(&at.lock);
    scratch_remove(dir, PLACE);
}

/* At some call the device fails, and for good: all who wait are told, and what was acked before is there. */
static void test_a_device_that_fails_lets_nobody_hang_and_takes_no_acked_record(void)
{
    for (long nth = 20; nth < 700; nth = nth * 5 / 2) {
        shared at = {.log = NULL};
        int dir = scratch_make(PLACE);
        start(&at, dir);
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 1);
        run_threads(&at);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        CHECK(atomic_load(&at.refused) > 0);
        skv_log_free(at.log);
        check_crashed(dir, at.low - 1, atomic_load(&at.acked));
        skv_mutex_free(&at.lock);
        scratch_remove(dir, PLACE);
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = ignore};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    RUN(test_every_acked_record_is_there_after_a_crash);
    RUN(test_a_device_that_fails_lets_nobody_hang_and_takes_no_acked_record);
    return 0;
}
