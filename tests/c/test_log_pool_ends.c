/* A log's last day and its first one after: what a close leaves, what a start makes durable, what the side file carries. */
#include <dirent.h>
#include <errno.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "ends"

static void test_a_finished_log_is_one_segment_and_one_file_to_come(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 500);
    logs_sync(log);
    skv_log_retire(log, 501, 0);
    CHECK_OK(skv_log_finish(log, &err), &err);
    skv_log_free(log);
    CHECK_EQ(logs_files(dir), 2);
    CHECK_EQ(logs_slot(dir, 0).durable_seqno, 500);
    CHECK_EQ(logs_slot(dir, 1).durable_seqno, 500);
    CHECK_OK(logs_recover(dir, 500, &log, &tail, &err), &err);
    CHECK(tail.closed && tail.last_seqno == 500 && tail.tail_bytes == 0);
    skv_log_retire(log, 501, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK_OK(skv_log_finish(log, &err), &err);
    skv_log_free(log);
    CHECK_EQ(logs_files(dir), 2);
    scratch_remove(dir, PLACE);
}

/* Where opens let go of nothing, as in a family, the log grew with each of them. */
static void test_an_open_that_wrote_nothing_leaves_no_segment(void)
{
    int dir = scratch_make(PLACE), files;
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 30);
    logs_sync(log);
    CHECK_OK(skv_log_finish(log, &err), &err);
    skv_log_free(log);
    files = logs_files(dir);
    for (int turn = 0; turn < 3; turn++) {
        CHECK_OK(logs_recover(dir, 30, &log, &tail, &err), &err);
        CHECK(tail.closed && tail.last_seqno == 30);
        CHECK_OK(skv_log_finish(log, &err), &err);
        skv_log_free(log);
        CHECK_EQ(logs_files(dir), files);
    }
    logs_expect(dir, 1, 30);
    scratch_remove(dir, PLACE);
}

/* What a killed process wrote last may be in the page cache only: it is written and synced before files are used again. */
static void test_a_start_after_a_kill_makes_the_side_file_durable_first(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    uint64_t newest;
    logs_append(log, 1, 30);
    logs_sync(log);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    newest = logs_slot(dir, 0).generation > logs_slot(dir, 1).generation ? logs_slot(dir, 0).generation
                                                                        : logs_slot(dir, 1).generation;
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    CHECK(!tail.closed);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_OK(skv_log_start(log, 31, 0, &err), &err);
    CHECK_EQ(skv_os_calls(), 2 + 4 + 2 + 1); /* directory, both slots, newest header; memory for the spare that was there */
    for (int slot = 0; slot < 2; slot++)
        CHECK(logs_slot(dir, slot).generation > newest && logs_slot(dir, slot).durable_seqno == 30);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* That nothing needs a file says a side file that a killed process may have left in the page cache only. */
static void test_no_file_is_removed_before_the_side_file_is_durable(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    size_t bytes;
    uint8_t *first;
    logs_append(log, 1, 300);
    logs_sync(log);
    first = scratch_read(dir, "log/00000001.log", &bytes);
    skv_log_retire(log, 200, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    skv_log_free(log);
    scratch_write(dir, "log/00000050.log", first, bytes, 0);
    scratch_zero(dir, "log/00000050.log", SKV_PAGE_BYTES, SKV_PAGE_BYTES); /* too large to be used again */
    free(first);
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    skv_os_fail(3, SKV_FAULT_ERROR, EIO, 1); /* behind the directory: the side file */
    CHECK_EQ(skv_log_start(log, 301, 0, &err), SKV_IO);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    skv_log_free(log);
    CHECK_EQ(scratch_size(dir, "log/00000050.log"), 2 * SKV_PAGE_BYTES);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    skv_log_free(log);
    CHECK_EQ(scratch_size(dir, "log/00000050.log"), -1);
    scratch_remove(dir, PLACE);
}

static int count_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int count = 0;
    CHECK(stream);
    while (readdir(stream))
        count++;
    (void)closedir(stream);
    return count;
}

static void test_every_descriptor_is_closed(void)
{
    int dir = scratch_make(PLACE), before = count_descriptors();
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 300);
    logs_sync(log);
    skv_log_retire(log, 200, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK(count_descriptors() > before);
    skv_log_free(log);
    CHECK_EQ(count_descriptors(), before);
    skv_log_free(NULL);
    scratch_remove(dir, PLACE);
}

/* The sum of what the shards have applied travels with the side file, and only grows. */
static void test_the_side_file_remembers_how_far_the_shards_were(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 200);
    logs_sync(log);
    skv_log_retire(log, 150, 320);
    skv_log_retire(log, 150, 310);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK(logs_slot(dir, 0).applied_sum == 320 && logs_slot(dir, 1).applied_sum == 320);
    skv_log_free(log);
    for (int again = 0; again < 2; again++) {
        CHECK_OK(logs_recover(dir, 149, &log, &tail, &err), &err);
        CHECK_EQ(tail.applied_sum, 320);
        logs_append(log, 1, 1);
        logs_sync(log);
        CHECK_OK(logs_mark(log, &err), &err); /* nobody has said a sum in this life */
        skv_log_free(log);
    }
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_finished_log_is_one_segment_and_one_file_to_come);
    RUN(test_an_open_that_wrote_nothing_leaves_no_segment);
    RUN(test_a_start_after_a_kill_makes_the_side_file_durable_first);
    RUN(test_no_file_is_removed_before_the_side_file_is_durable);
    RUN(test_every_descriptor_is_closed);
    RUN(test_the_side_file_remembers_how_far_the_shards_were);
    return 0;
}
