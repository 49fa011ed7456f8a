/* The files of the log: a spare is ready, what is retired is used again or removed, and only after the side file said so. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "pool"

static void tend(skv_log *log)
{
    skv_error err = {0};
    CHECK_OK(skv_log_tend(log, &err), &err);
}

static skv_stats stats_of(skv_log *log)
{
    skv_stats stats = {0};
    skv_log_stats_read(log, &stats);
    return stats;
}

static void read_header(int dir, const char *name, skv_segment_header *out)
{
    size_t bytes;
    uint8_t *file = scratch_read(dir, name, &bytes);
    CHECK_EQ(skv_segment_header_read(file, out), SKV_HEADER_GOOD);
    free(file);
}

/* -- the spare ------------------------------------------------------------------------------------------------------ */

static void test_a_spare_is_made_before_it_is_needed_and_filled_with_zeros(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){2 * SKV_PAGE_BYTES, 2 * SKV_PAGE_BYTES});
    size_t bytes;
    uint8_t *file;
    tend(log);
    CHECK_EQ(logs_files(dir), 1); /* nothing is written yet: no spare */
    logs_append(log, 1, 60);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    tend(log);
    /* Open, write and sync it; map its memory; open and sync its directory; the side file when it is due. */
    CHECK(skv_os_calls() == 3 + 1 + 2 || skv_os_calls() == 3 + 1 + 2 + 2);
    CHECK_EQ(logs_files(dir), 2);
    file = scratch_read(dir, "log/00000002.log", &bytes);
    CHECK_EQ(bytes, 2 * SKV_PAGE_BYTES);
    for (size_t i = 0; i < bytes; i++)
        CHECK_EQ(file[i], 0);
    free(file);
    logs_sync(log);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    tend(log);
    CHECK(skv_os_calls() <= 2); /* nothing to make: the side file at most */
    CHECK_EQ(logs_files(dir), 2);
    CHECK_EQ(stats_of(log).log_segments, 1);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Story: the loop slept for 50 ms when the request came while it wrote the side file. */
static void test_the_log_loop_does_not_sleep_while_an_appender_waits(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    unsigned seen = skv_log_tend_read(log);
    uint64_t began = skv_now_ns();
    skv_log_lock(log);
    CHECK_EQ(skv_log_reserve(log, 9000, &err), SKV_BUSY);
    skv_log_unlock(log);
    for (int i = 0; i < 100; i++)
        skv_log_tend_wait(log, seen, SKV_NS_PER_S);
    CHECK(skv_now_ns() - began < 2 * SKV_NS_PER_S);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Many syncs, few writes of the side file; but one that was due is not forgotten. */
static void test_the_side_file_follows_the_syncs_without_keeping_pace(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    uint64_t generation = logs_slot(dir, 0).generation, began = skv_now_ns(), rounds, newest;
    for (int i = 0; i < 50; i++) {
        logs_append(log, 1, 1);
        logs_sync(log);
        tend(log);
    }
    rounds = (skv_now_ns() - began) / (50 * SKV_NS_PER_MS) + 1;
    newest = logs_slot(dir, 0).generation;
    CHECK(newest <= generation + 2 * rounds);
    while (logs_slot(dir, 0).durable_seqno < 50 && logs_slot(dir, 1).durable_seqno < 50) {
        skv_log_tend_wait(log, skv_log_tend_read(log), 60 * SKV_NS_PER_S);
        tend(log);
        CHECK(skv_now_ns() - began < 30 * SKV_NS_PER_S);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Story: each retry left a file behind, so that a directory which could not be synced filled the disk. */
static void test_a_name_that_cannot_be_made_durable_leaves_no_file(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    int files;
    logs_append(log, 1, 130); /* into the spare */
    files = logs_files(dir);
    for (int round = 0; round < 3; round++) {
        skv_os_fail(4, SKV_FAULT_ERROR, EIO, 0); /* after open, write and sync of the file: its directory */
        CHECK_EQ(skv_log_tend(log, &err), SKV_IO);
    }
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_EQ(logs_files(dir), files);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* -- retiring ------------------------------------------------------------------------------------------------------- */

static void test_only_what_is_durable_unpinned_and_not_active_is_retired(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_position inside = {SKV_SEGMENT_FRAMES + SKV_FRAME_HEADER_BYTES, 0};
    uint64_t segments, live_bytes, live_segments;
    skv_record record;
    logs_append(log, 1, 400);
    skv_log_retire(log, 401, 0);
    tend(log);
    segments = stats_of(log).log_segments;
    CHECK(segments >= 5); /* not durable: all is kept */
    logs_sync(log);
    skv_slots_read(skv_log_slots(log), inside, &record);
    CHECK_EQ(record.seqno, 1);
    skv_slots_pin(skv_log_slots(log), inside);
    tend(log);
    CHECK_EQ(stats_of(log).log_segments, segments); /* the oldest is pinned: it and all that follow are kept */
    CHECK(skv_record_verify(&record));
    skv_slots_unpin(skv_log_slots(log), inside);
    tend(log);
    CHECK_EQ(stats_of(log).log_segments, 1);
    skv_log_extent(log, &live_bytes, &live_segments);
    CHECK(live_bytes == SKV_PAGE_BYTES && live_segments == 1);
    skv_log_retire(log, 1, 0); /* a lower bound takes nothing back */
    logs_append(log, 1, 1);
    logs_sync(log);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static unsigned count_slots(skv_log *log)
{
    unsigned count = 0;
    for (int slot = 0; slot < SKV_SLOTS_MAX; slot++)
        count += atomic_load(&skv_log_slots(log)->bases[slot]) != NULL;
    return count;
}

static void test_retired_segments_give_their_slots_and_their_files_back(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    uint64_t segments;
    logs_append(log, 1, 800);
    logs_sync(log);
    segments = stats_of(log).log_segments;
    CHECK_EQ(count_slots(log), segments);
    tend(log);
    skv_log_retire(log, 801, 0);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    tend(log);
    /* Two slots of the side file, each written and synced; four files are kept; for each of the others a removal, and
     * its directory opened and synced. */
    CHECK_EQ(skv_os_calls(), 4 + 3 * ((int)segments - 1 - 4));
    CHECK_EQ(count_slots(log), 1);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_a_segment_with_one_needed_record_is_kept(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_segment_header second;
    logs_append(log, 1, 200);
    logs_sync(log);
    read_header(dir, "log/00000002.log", &second);
    skv_log_retire(log, second.first_seqno - 1, 0);
    tend(log);
    CHECK_EQ(logs_slot(dir, 0).first_segment_id, 1);
    skv_log_retire(log, second.first_seqno, 0);
    tend(log);
    for (int slot = 0; slot < 2; slot++) {
        CHECK_EQ(logs_slot(dir, slot).first_segment_id, 2);
        CHECK_EQ(logs_slot(dir, slot).first_seqno, second.first_seqno);
        CHECK_EQ(logs_slot(dir, slot).durable_seqno, 200);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Neither slot of the side file may still name a segment whose file is touched. */
static void test_both_slots_of_the_side_file_are_written_before_a_file_is_used_again(void)
{
    bool done = false;
    for (long nth = 1; !done; nth++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_log *log = logs_found(dir, logs_small);
        skv_segment_header header;
        scratch_copy before;
        logs_append(log, 1, 400);
        logs_sync(log);
        skv_log_retire(log, 300, 0);
        scratch_save(dir, &before);
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 1);
        done = skv_log_tend(log, &err) == SKV_OK;
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        for (int i = 0; i < before.count; i++) {
            if (strstr(before.files[i].name, "MARK") || scratch_size(dir, before.files[i].name) >= 0 ||
                skv_segment_header_read(before.files[i].data, &header) != SKV_HEADER_GOOD)
                continue;
            CHECK(header.id < logs_slot(dir, 0).first_segment_id);
            CHECK(header.id < logs_slot(dir, 1).first_segment_id);
        }
        scratch_drop(&before);
        skv_log_free(log);
        scratch_remove(dir, PLACE);
    }
}

static void test_a_file_used_again_has_a_fresh_salt_and_the_same_size(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_segment_header old, new;
    int files;
    logs_append(log, 1, 300);
    logs_sync(log);
    read_header(dir, "log/00000001.log", &old);
    skv_log_retire(log, 300, 0);
    tend(log);
    files = logs_files(dir);
    logs_append(log, 1, 380); /* as many segments as there are files */
    logs_sync(log);
    CHECK_EQ(logs_files(dir), files);
    read_header(dir, "log/00000001.log", &new);
    CHECK(new.id > old.id);
    CHECK(new.salt != old.salt);
    CHECK(new.first_seqno > 300);
    CHECK_EQ(scratch_size(dir, "log/00000001.log"), SKV_PAGE_BYTES);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_only_a_few_free_files_are_kept(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 1500);
    logs_sync(log);
    CHECK(logs_files(dir) > 12);
    skv_log_retire(log, 1501, 0);
    tend(log);
    CHECK(logs_files(dir) <= 1 + 1 + 4);
    logs_append(log, 1, 10);
    logs_sync(log);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Story: a log on a full disk tried for a new segment again and again, and never came to what it could give back. */
static void test_on_a_full_disk_what_nobody_needs_is_given_back(void)
{
    int dir = scratch_make(PLACE), files;
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 700);
    logs_sync(log);
    tend(log);
    CHECK_OK(logs_try(log, 1, 3000, &err), &err); /* the spare is in use */
    logs_sync(log);
    skv_log_retire(log, 700, 0);
    files = logs_files(dir);
    skv_os_fail(1, SKV_FAULT_ERROR, ENOSPC, 0); /* a new file is what a round begins with */
    tend(log);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK(logs_files(dir) < files);
    files = logs_files(dir);
    CHECK_OK(logs_try(log, 1, 3000, &err), &err);
    CHECK_EQ(logs_files(dir), files); /* one that was given back is used again */
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_spare_is_made_before_it_is_needed_and_filled_with_zeros);
    RUN(test_the_log_loop_does_not_sleep_while_an_appender_waits);
    RUN(test_the_side_file_follows_the_syncs_without_keeping_pace);
    RUN(test_a_name_that_cannot_be_made_durable_leaves_no_file);
    RUN(test_only_what_is_durable_unpinned_and_not_active_is_retired);
    RUN(test_retired_segments_give_their_slots_and_their_files_back);
    RUN(test_a_segment_with_one_needed_record_is_kept);
    RUN(test_both_slots_of_the_side_file_are_written_before_a_file_is_used_again);
    RUN(test_a_file_used_again_has_a_fresh_salt_and_the_same_size);
    RUN(test_only_a_few_free_files_are_kept);
    RUN(test_on_a_full_disk_what_nobody_needs_is_given_back);
    return 0;
}
