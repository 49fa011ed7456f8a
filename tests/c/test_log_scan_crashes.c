/* The power goes at every file call of a sync, of a recovery and of tending, and of what was not synced any sectors may
 * be there: nothing acked is lost, nothing torn is taken for data, and no crash raises a false alarm. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "crashes"
#define SECTOR 512
#define STATES 12 /* random subsets of sectors for each sync that fails */

/* -- a sync of several segments ------------------------------------------------------------------------------------- */

#define ACKED 310
#define APPENDED 190 /* so many that the group fills three segments */
#define RETIRED 290

/* A log with acked records, and with the files of its first segments ready for a second life. */
static skv_log *make_acked(int dir)
{
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, RETIRED);
    logs_sync(log);
    logs_append(log, 1, ACKED - RETIRED);
    logs_sync(log);
    skv_log_retire(log, RETIRED, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    return log;
}

/* The file that the failed sync left open: segments go one after the other. */
static void name_unsynced(const skv_log *log, char out[SKV_NAME_MAX])
{
    const skv_segment *segment = log->unsynced;
    while (segment->next && segment->header_durable && segment->durable == segment->end)
        segment = segment->next;
    CHECK(snprintf(out, SKV_NAME_MAX, "%s", segment->name) > 0);
}

static int find_file(const scratch_copy *copy, const char *name)
{
    int at = 0;
    while (at < copy->count && strcmp(copy->files[at].name, name) != 0)
        at++;
    CHECK(at < copy->count);
    return at;
}

/* Of the sectors that the sync would have made durable, keep some and put back the old content of the others. */
static void lose_sectors(int dir, const scratch_copy *before, const char *name, uint64_t *random)
{
    const uint8_t *old = before->files[find_file(before, name)].data;
    size_t bytes;
    uint8_t *new = scratch_read(dir, name, &bytes);
    /* Only after its frames were synced is a header written. */
    if (memcmp(new, old, SECTOR) != 0 && memcmp(new, SKV_SEGMENT_MAGIC, 8) == 0)
        bytes = SECTOR;
    for (size_t at = 0; at < bytes; at += SECTOR)
        if (check_random(random) % 2)
            scratch_write(dir, name, old + at, SECTOR, at);
    free(new);
}

static void expect_between(int dir, uint64_t least, uint64_t most)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    CHECK(tail.last_seqno >= least && tail.last_seqno <= most);
    logs_append(log, 1, 1);
    logs_sync(log);
    skv_log_free(log);
    most = tail.last_seqno + 1;
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.last_seqno, most);
    CHECK(tail.records >= most - RETIRED);
    logs_check(log, 1, most - tail.records + 1, most);
    skv_log_free(log);
}

static void try_states(int dir, const scratch_copy *before, const char *unsynced, uint64_t *random)
{
    scratch_copy after;
    scratch_save(dir, &after);
    for (int state = 0; state < STATES; state++) {
        scratch_restore(dir, &after);
        if (state > 0)
            lose_sectors(dir, before, unsynced, random);
        expect_between(dir, ACKED, ACKED + APPENDED);
    }
    scratch_drop(&after);
}

/* true when the n-th call was beyond the last one. */
static bool crash_at_call(long nth, uint64_t *random)
{
    skv_error err = {0};
    scratch_copy before;
    int dir = scratch_make(PLACE);
    skv_log *log = make_acked(dir);
    skv_code code;
    char unsynced[SKV_NAME_MAX];
    logs_append(log, 1, APPENDED);
    scratch_save(dir, &before);
    skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 1);
    code = skv_log_wait(log, skv_log_last(log), SKV_NS_PER_S, &err);
    name_unsynced(log, unsynced);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    CHECK(code == SKV_OK || code == SKV_POISONED);
    if (code == SKV_OK)
        expect_between(dir, ACKED + APPENDED, ACKED + APPENDED);
    else
        try_states(dir, &before, unsynced, random);
    scratch_drop(&before);
    scratch_remove(dir, PLACE);
    return code == SKV_OK;
}

static void test_a_crash_in_any_call_of_a_sync_loses_and_invents_nothing(void)
{
    uint64_t random = check_seed();
    long nth = 1;
    while (!crash_at_call(nth, &random))
        nth++;
    CHECK(nth > 10);
}

/* -- recovery ------------------------------------------------------------------------------------------------------- */

#define GROUPS 4
#define GROUP_RECORDS 5
#define RECORDS (GROUPS * GROUP_RECORDS)

/* The tail that recovery writes again is there before its header is, whatever call fails: the same answer each time. */
static bool recover_with_fault(int dir, long nth, skv_fault fault)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    skv_code code;
    skv_os_fail(nth, fault, EIO, fault == SKV_FAULT_ERROR);
    code = logs_recover(dir, 0, &log, &tail, &err);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    logs_expect(dir, 1, RECORDS);
    if (fault == SKV_FAULT_SHORT)
        CHECK_OK(code, &err);
    return code == SKV_OK;
}

static void crash_recovery(skv_fault fault, long calls)
{
    scratch_copy start;
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    for (int group = 0; group < GROUPS; group++) {
        logs_append(log, 1, GROUP_RECORDS);
        logs_sync(log);
    }
    skv_log_free(log);
    scratch_save(dir, &start);
    for (long nth = 1; nth < calls; nth++) {
        scratch_restore(dir, &start);
        if (recover_with_fault(dir, nth, fault) && fault == SKV_FAULT_ERROR)
            break;
        /* A second crash in the recovery from the first, at its own calls, and a third. */
        (void)recover_with_fault(dir, 1 + nth * 7 % 23, fault);
        (void)recover_with_fault(dir, 1 + nth * 5 % 19, fault);
        CHECK(recover_with_fault(dir, 0, SKV_FAULT_NONE));
    }
    scratch_drop(&start);
    scratch_remove(dir, PLACE);
}

static void test_a_crash_in_any_call_of_recovery_changes_no_answer(void)
{
    crash_recovery(SKV_FAULT_ERROR, 1000);
    crash_recovery(SKV_FAULT_SHORT, 40);
    crash_recovery(SKV_FAULT_EINTR, 40);
}

/* -- tending: retired segments are used again or removed ------------------------------------------------------------ */

/* Everything before BOUND is in the shards. What comes after must be found, as far as it was acked. */
#define BOUND 380

static void expect_from_bound(int dir, uint64_t least, uint64_t most)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    CHECK_OK(logs_scan(dir, BOUND - 1, &log, &tail, &err), &err);
    CHECK(tail.last_seqno >= least && tail.last_seqno <= most);
    logs_check(log, 1, BOUND, tail.last_seqno);
    skv_log_free(log);
}

static skv_code write_rounds(skv_log *log)
{
    skv_error err = {0};
    skv_code code = SKV_OK;
    for (int round = 0; round < 6 && code == SKV_OK; round++) {
        code = skv_log_tend(log, &err);
        for (int i = 0; i < 60 && code == SKV_OK; i++)
            code = logs_try(log, 1, 20, &err);
        if (code == SKV_OK)
            code = skv_log_wait(log, skv_log_last(log), SKV_NS_PER_S, &err);
    }
    return code;
}

static bool tend_with_fault(long nth)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    uint64_t durable, last;
    skv_code code;
    logs_append(log, 1, BOUND + 20);
    logs_sync(log);
    skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 1);
    skv_log_retire(log, BOUND, 0);
    code = write_rounds(log);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    durable = skv_log_durable(log);
    last = skv_log_last(log);
    skv_log_free(log);
    expect_from_bound(dir, durable, last);
    scratch_remove(dir, PLACE);
    return code == SKV_OK;
}

static void test_a_crash_in_any_call_of_tending_keeps_what_is_needed(void)
{
    long nth = 1;
    while (!tend_with_fault(nth))
        nth++;
    CHECK(nth > 30);
}

int main(void)
{
    RUN(test_a_crash_in_any_call_of_a_sync_loses_and_invents_nothing);
    RUN(test_a_crash_in_any_call_of_recovery_changes_no_answer);
    RUN(test_a_crash_in_any_call_of_tending_keeps_what_is_needed);
    return 0;
}
