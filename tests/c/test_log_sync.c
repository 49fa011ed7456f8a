/* What happens when a write or a sync of the log fails: the outcome is unknown, and nobody tries again. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "sync"

static void expect_poisoned(skv_log *log, uint64_t first_unknown)
{
    skv_error err = {0};
    CHECK_EQ(skv_log_health(log, &err), SKV_POISONED);
    CHECK_EQ(err.code, SKV_POISONED);
    CHECK_EQ(err.seqno, first_unknown);
    CHECK(strstr(err.text, "unknown"));
    CHECK(strncmp(err.file, "log/", 4) == 0);
}

static void test_a_failed_sync_poisons_and_is_never_tried_again(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 5);
    logs_sync(log);
    logs_append(log, 1, 5);
    skv_os_fail(2, SKV_FAULT_ERROR, EIO, 0); /* the write goes well */
    CHECK_EQ(skv_log_wait(log, 10, SKV_NS_PER_S, &err), SKV_POISONED);
    CHECK_EQ(err.sys_errno, EIO);
    expect_poisoned(log, 6);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0); /* the device is well again: that changes nothing */
    CHECK_EQ(skv_log_wait(log, 10, SKV_NS_PER_S, &err), SKV_POISONED);
    CHECK_EQ(skv_log_wait(log, 6, SKV_NS_PER_S, &err), SKV_POISONED);
    CHECK_OK(skv_log_wait(log, 5, SKV_NS_PER_S, &err), &err);
    CHECK_EQ(logs_try(log, 1, 4, &err), SKV_POISONED);
    CHECK_EQ(skv_log_tend(log, &err), SKV_POISONED);
    CHECK_EQ(skv_log_finish(log, &err), SKV_POISONED);
    skv_log_lock(log);
    skv_log_want_sync(log);
    skv_log_unlock(log);
    skv_log_sync_round(log, skv_log_sync_read(log), 0);
    CHECK_EQ(skv_log_durable(log), 5);
    CHECK_EQ(skv_log_last(log), 10);
    CHECK_EQ(skv_os_calls(), 0);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Append 150 records over three segments in groups; returns what was acked when a call failed. */
static uint64_t write_groups(skv_log *log, skv_code *code, skv_error *err)
{
    uint64_t acked = 0;
    *code = SKV_OK;
    while (acked < 150 && *code == SKV_OK) {
        for (int i = 0; i < 15 && *code == SKV_OK; i++)
            *code = logs_try(log, 1, 10, err);
        if (*code == SKV_OK)
            *code = skv_log_wait(log, skv_log_last(log), SKV_NS_PER_S, err);
        if (*code == SKV_OK)
            acked = skv_log_last(log);
        CHECK(skv_log_durable(log) >= acked);
    }
    return acked;
}

/* OK, or why a write failed. *met: there were so many calls. */
static skv_code write_with_fault(long nth, skv_fault fault, bool sticky, bool *met)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_code code;
    uint64_t acked;
    skv_log *log = logs_found(dir, logs_small);
    skv_os_fail(nth, fault, EIO, sticky);
    acked = write_groups(log, &code, &err);
    if (code != SKV_OK && skv_log_health(log, NULL) == SKV_POISONED)
        CHECK_EQ(skv_log_wait(log, skv_log_last(log), SKV_NS_PER_S, NULL), skv_log_last(log) > acked ? SKV_POISONED : SKV_OK);
    *met = skv_os_calls() >= nth;
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    CHECK(tail.last_seqno >= acked);
    logs_check(log, 1, 1, tail.last_seqno);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
    return code;
}

static void test_no_call_that_fails_gives_a_false_ack(void)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        long nth = 0, refused = 0;
        bool met = true;
        while (met) {
            skv_code code = write_with_fault(++nth, SKV_FAULT_ERROR, sticky, &met);
            CHECK(met || code == SKV_OK);
            refused += code != SKV_OK;
        }
        CHECK(nth > 20 && refused > nth / 2);
    }
}

static void test_short_writes_are_no_failures(void)
{
    bool met = true;
    for (long nth = 1; met; nth += 2)
        CHECK_EQ(write_with_fault(nth, SKV_FAULT_SHORT, false, &met), SKV_OK);
    CHECK_EQ(write_with_fault(1, SKV_FAULT_SHORT, true, &met), SKV_OK);
}

/* Only a sync does not begin again after an interruption: it is a failure as any other. */
static void test_an_interrupted_call_gives_no_false_ack(void)
{
    bool met = true;
    for (long nth = 1; met; nth++)
        (void)write_with_fault(nth, SKV_FAULT_EINTR, false, &met);
}

static void test_the_first_failure_is_the_one_that_is_told(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 1);
    skv_os_fail(1, SKV_FAULT_ERROR, ENOSPC, 0);
    CHECK_EQ(skv_log_wait(log, 1, SKV_NS_PER_S, &err), SKV_POISONED);
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 1);
    CHECK_EQ(skv_log_tend(log, &err), SKV_POISONED);
    CHECK_EQ(err.sys_errno, ENOSPC);
    CHECK(strstr(err.text, strerror(ENOSPC)));
    skv_log_lock(log);
    skv_log_poison(log, SKV_IO, &(skv_error){.text = "another one"}); /* the side file's, at the same moment */
    skv_log_unlock(log);
    CHECK_EQ(skv_log_health(log, &err), SKV_POISONED);
    CHECK_EQ(err.sys_errno, ENOSPC);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* The side file is what lets segments be used again: when nobody knows what it says, all stops. */
static void test_a_side_file_that_cannot_be_written_poisons(void)
{
    for (long nth = 1; nth <= 2; nth++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_log *log = logs_found(dir, logs_small);
        logs_append(log, 1, 3);
        CHECK_OK(skv_log_tend(log, &err), &err); /* the spare is there */
        logs_sync(log);
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
        CHECK_EQ(logs_mark(log, &err), SKV_IO);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        expect_poisoned(log, 4);
        CHECK_EQ(logs_try(log, 1, 4, &err), SKV_POISONED);
        skv_log_free(log);
        logs_expect(dir, 1, 3);
        scratch_remove(dir, PLACE);
    }
}

static void test_who_may_not_wait_has_it_synced_by_the_loop(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_notifiers all = {0};
    skv_log *log = logs_found(dir, logs_small);
    skv_notifiers_create(&all);
    skv_log_attach(log, &all);
    logs_append(log, 1, 5);
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 1); /* a call of the system would be seen */
    CHECK_EQ(skv_log_wait(log, 5, 0, &err), SKV_AGAIN);
    CHECK_EQ(skv_log_wait(log, UINT64_MAX, 0, &err), SKV_AGAIN);
    CHECK_EQ(skv_os_calls(), 0);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_sync_round(log, skv_log_sync_read(log), SKV_NS_PER_S);
    CHECK_OK(skv_log_wait(log, 5, 0, &err), &err);
    CHECK_EQ(atomic_load(&all.durable), 5);
    CHECK(!atomic_load(&all.over));
    logs_append(log, 1, 1);
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 0);
    CHECK_EQ(skv_log_wait(log, 6, SKV_NS_PER_S, &err), SKV_POISONED);
    CHECK_EQ(skv_log_wait(log, 6, 0, &err), SKV_POISONED);
    CHECK_EQ(atomic_load(&all.durable), 5);
    CHECK(atomic_load(&all.over));
    CHECK_EQ(all.why.sys_errno, EIO);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    skv_notifiers_free(&all);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_failed_sync_poisons_and_is_never_tried_again);
    RUN(test_no_call_that_fails_gives_a_false_ack);
    RUN(test_short_writes_are_no_failures);
    RUN(test_an_interrupted_call_gives_no_false_ack);
    RUN(test_the_first_failure_is_the_one_that_is_told);
    RUN(test_a_side_file_that_cannot_be_written_poisons);
    RUN(test_who_may_not_wait_has_it_synced_by_the_loop);
    return 0;
}
