/* How the next segment is filled: with rests while there is time, and without any for who waits for it or for a close. */
#include <pthread.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "filling"
#define LARGE ((uint64_t)16 << 20) /* so many pieces that some rest is sure to be seen */

typedef struct {
    skv_log *log;
    atomic_bool over;
    bool rested;
} watch;

static void *look(void *context)
{
    watch *at = context;
    while (!atomic_load(&at->over))
        at->rested = at->rested || atomic_load(&at->log->chore.waiters) > 0;
    return NULL;
}

/* Make the next segment; did that rest? */
static bool tend_rests(skv_log *log)
{
    watch at = {.log = log};
    skv_error err = {0};
    pthread_t thread;
    CHECK(!log->spare);
    CHECK_EQ(pthread_create(&thread, NULL, look, &at), 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    atomic_store(&at.over, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(log->spare);
    return at.rested;
}

static skv_log *begin(int *dir)
{
    *dir = scratch_make(PLACE);
    return logs_found(*dir, (skv_log_sizes){LARGE, LARGE});
}

static void fill_a_quarter(skv_log *log)
{
    skv_error err = {0};
    for (int i = 0; i < 4; i++)
        CHECK_OK(logs_try(log, 1, LARGE / 16, &err), &err);
}

static void test_who_waits_for_a_segment_gets_it_without_a_rest(void)
{
    int dir;
    skv_error err = {0};
    skv_log *log = begin(&dir);
    fill_a_quarter(log);
    skv_log_lock(log);
    CHECK_EQ(skv_log_reserve(log, LARGE - LARGE / 8, &err), SKV_BUSY);
    skv_log_unlock(log);
    CHECK(!tend_rests(log));
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_nobody_rests_while_the_store_is_being_closed(void)
{
    int dir;
    skv_log *log = begin(&dir);
    fill_a_quarter(log);
    skv_log_wake_loops(log);
    CHECK(!tend_rests(log));
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Until somebody wants it: else the test's end would be a matter of the disk. */
static void *want(void *context)
{
    watch *at = context;
    skv_error err = {0};
    while (!atomic_load(&at->log->chore.waiters) && !atomic_load(&at->over))
        continue;
    at->rested = !atomic_load(&at->over);
    skv_log_lock(at->log);
    CHECK_EQ(skv_log_reserve(at->log, LARGE - LARGE / 8, &err), SKV_BUSY);
    skv_log_unlock(at->log);
    return NULL;
}

static void test_a_segment_that_nobody_waits_for_is_filled_with_rests(void)
{
    int dir;
    skv_log *log = begin(&dir);
    watch at = {.log = log};
    skv_error err = {0};
    pthread_t thread;
    fill_a_quarter(log);
    CHECK_EQ(pthread_create(&thread, NULL, want, &at), 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    atomic_store(&at.over, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(at.rested);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_who_waits_for_a_segment_gets_it_without_a_rest);
    RUN(test_nobody_rests_while_the_store_is_being_closed);
    RUN(test_a_segment_that_nobody_waits_for_is_filled_with_rests);
    return 0;
}
