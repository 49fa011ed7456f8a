/* Append, reserve, roll, sync, wait, poison: one thread at a time. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "log"
#define FIRST "log/00000001.log"
#define SLICE (10 * SKV_NS_PER_MS)

/* Reserve and append one put; the position. */
static skv_position put(skv_log *log, const char *key, skv_slice value)
{
    skv_error err = {0};
    skv_record record = {.key = {(const uint8_t *)key, strlen(key)}, .value = value};
    skv_position position;
    skv_log_lock(log);
    CHECK_OK(skv_log_reserve(log, skv_record_bytes(&record), &err), &err);
    position = skv_log_append(log, &record);
    skv_log_unlock(log);
    return position;
}

static void test_a_record_is_readable_where_it_was_appended_before_and_after_its_sync(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_slots *slots = skv_log_slots(log);
    skv_position first = put(log, "a", (skv_slice){(const uint8_t *)"one", 3}), second = put(log, "b", (skv_slice){0});
    skv_record record;
    for (int synced = 0; synced < 2; synced++) {
        skv_slots_read(slots, first, &record);
        CHECK(skv_record_verify(&record) && record.seqno == 1 && record.key.data[0] == 'a' && record.value.bytes == 3);
        skv_slots_read(slots, second, &record);
        CHECK(skv_record_verify(&record) && record.seqno == 2 && record.value.bytes == 0);
        logs_sync(log);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_waiting_makes_durable_what_was_appended_and_no_more(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    CHECK_EQ(skv_log_durable(log), 0);
    CHECK_OK(skv_log_wait(log, 99, SLICE, &err), &err); /* nothing was appended: nothing to wait for */
    logs_append(log, 1, 3);
    CHECK_EQ(skv_log_durable(log), 0);
    CHECK_OK(skv_log_wait(log, 1, SLICE, &err), &err);
    CHECK_EQ(skv_log_durable(log), 3); /* one sync takes all that is there */
    logs_append(log, 1, 1);
    CHECK_OK(skv_log_wait(log, 3, SKV_NS_PER_S, &err), &err);
    CHECK_EQ(skv_log_durable(log), 3);
    CHECK_OK(skv_log_wait(log, 1000, SLICE, &err), &err);
    CHECK_EQ(skv_log_durable(log), 4);
    CHECK_EQ(skv_log_last(log), 4);
    skv_log_free(log);
    logs_expect(dir, 1, 4);
    scratch_remove(dir, PLACE);
}

static void test_a_steady_sync_is_one_write_and_one_sync(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){1 << 20, 1 << 20});
    skv_stats before = {0}, after = {0};
    uint64_t groups = 0, times = 0;
    skv_log_stats_read(log, &before);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    for (int i = 0; i < 20; i++) {
        logs_append(log, 1, 4);
        logs_sync(log);
    }
    CHECK_EQ(skv_os_calls(), 40);
    skv_log_stats_read(log, &after);
    CHECK_EQ(after.syncs - before.syncs, 20);
    CHECK_EQ(after.group_sizes[2] - before.group_sizes[2], 20);
    for (int i = 0; i < SKV_HISTOGRAM_BUCKETS; i++) {
        groups += after.group_sizes[i];
        times += after.sync_us[i];
    }
    CHECK_EQ(groups, after.syncs);
    CHECK_EQ(times, after.syncs);
    CHECK_EQ(after.seqno, 80);
    CHECK_EQ(after.durable_seqno, 80);
    CHECK_EQ(after.log_segments, 1);
    CHECK_EQ(after.log_bytes, 1 << 20);
    CHECK(after.synced_bytes > before.synced_bytes);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_a_frame_claims_only_what_a_completed_sync_made_durable(void)
{
    int dir = scratch_make(PLACE);
    size_t bytes;
    uint32_t frames;
    uint8_t *file;
    skv_log *log = logs_found(dir, logs_small);
    for (uint64_t group = 0; group < 5; group++) {
        logs_append(log, 1, 2);
        logs_sync(log);
    }
    logs_append(log, 1, 80); /* two frames of one group: the first is closed by the roll */
    logs_sync(log);
    skv_log_free(log);
    file = scratch_read(dir, FIRST, &bytes);
    (void)logs_end(file, bytes, &frames);
    CHECK_EQ(frames, 6);
    for (uint32_t i = 0; i < frames; i++) {
        skv_frame frame;
        (void)logs_frame_at(file, bytes, i, &frame);
        CHECK_EQ(frame.first_seqno, 2 * i + 1);
        CHECK_EQ(frame.durable_upto, 2 * i);
    }
    free(file);
    file = scratch_read(dir, "log/00000002.log", &bytes);
    {
        skv_frame frame;
        (void)logs_frame_at(file, bytes, 0, &frame);
        CHECK(frame.first_seqno > 11);
        CHECK_EQ(frame.durable_upto, 10);
    }
    free(file);
    scratch_remove(dir, PLACE);
}

/* -- room ----------------------------------------------------------------------------------------------------------- */

static void test_without_a_ready_segment_a_reserve_is_busy_and_changes_nothing(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_stats before = {0}, after = {0};
    skv_log *log = logs_found(dir, logs_small);
    unsigned seen;
    logs_append(log, 1, 60);
    skv_log_stats_read(log, &before);
    seen = skv_log_room_read(log);
    skv_log_lock(log);
    CHECK_EQ(skv_log_reserve(log, 6000, &err), SKV_BUSY); /* more than the spare can hold */
    skv_log_unlock(log);
    skv_log_stats_read(log, &after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    CHECK_EQ(skv_log_room_read(log), seen);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK(skv_log_room_read(log) != seen);
    skv_log_room_wait(log, seen, 1000 * SKV_NS_PER_S); /* returns at once */
    skv_log_lock(log);
    CHECK_OK(skv_log_reserve(log, 6000, &err), &err);
    skv_log_unlock(log);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_a_record_larger_than_any_segment_gets_a_segment_of_its_own(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 2);
    CHECK_OK(logs_try(log, 1, 100000, &err), &err);
    logs_append(log, 1, 2);
    logs_sync(log);
    skv_log_free(log);
    logs_expect(dir, 1, 5);
    scratch_remove(dir, PLACE);
}

static void test_room_that_was_reserved_is_there_to_the_last_byte(void)
{
    skv_error err = {0};
    /* Of a page, 512 bytes are the segment's and 56 the frame's. */
    for (size_t bytes = 3450; bytes <= 3540; bytes++) {
        int dir = scratch_make(PLACE);
        skv_log *log = logs_found(dir, logs_small);
        CHECK_OK(logs_try(log, 1, bytes, &err), &err);
        CHECK_OK(logs_try(log, 1, 0, &err), &err);
        CHECK_OK(logs_try(log, 1, 1, &err), &err);
        logs_sync(log);
        skv_log_free(log);
        if (bytes % 10 == 0)
            logs_expect(dir, 1, 3);
        scratch_remove(dir, PLACE);
    }
}

static void test_segments_grow_while_they_fill_quickly_up_to_the_largest(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){SKV_PAGE_BYTES, 4 * SKV_PAGE_BYTES});
    char name[64];
    logs_append(log, 1, 3000);
    logs_sync(log);
    skv_log_free(log);
    CHECK_EQ(scratch_size(dir, FIRST), SKV_PAGE_BYTES);
    for (int number = 1; number < 9; number++) {
        long bytes;
        CHECK(snprintf(name, sizeof name, "log/%08d.log", number) > 0);
        bytes = scratch_size(dir, name);
        CHECK(bytes == SKV_PAGE_BYTES || bytes == 2 * SKV_PAGE_BYTES || bytes == 4 * SKV_PAGE_BYTES);
        CHECK(number < 6 || bytes == 4 * SKV_PAGE_BYTES);
    }
    scratch_remove(dir, PLACE);
}

static void test_a_full_disk_refuses_until_there_is_room_again(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_code code = SKV_OK;
    uint64_t last;
    skv_log *log = logs_found(dir, logs_small);
    skv_os_fail(1, SKV_FAULT_ERROR, ENOSPC, 1);
    while (code == SKV_OK)
        code = logs_try(log, 1, 20, &err);
    CHECK_EQ(code, SKV_FULL);
    skv_log_lock(log);
    CHECK_EQ(skv_log_reserve(log, 2000, &err), SKV_FULL);
    CHECK_EQ(err.sys_errno, ENOSPC);
    skv_log_unlock(log);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_EQ(skv_log_health(log, NULL), SKV_OK);
    CHECK_OK(skv_log_tend(log, &err), &err);
    last = skv_log_last(log);
    logs_append(log, 1, 100);
    logs_sync(log);
    skv_log_free(log);
    logs_expect(dir, 1, last + 100);
    scratch_remove(dir, PLACE);
}

static void test_memory_writers_are_synced_by_the_loop(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 2);
    skv_log_lock(log);
    skv_log_note_disk(log);
    skv_log_unlock(log);
    logs_append(log, 1, 3);
    skv_log_sync_round(log, skv_log_sync_read(log), 0); /* nobody asked */
    CHECK_EQ(skv_log_durable(log), 0);
    skv_log_lock(log);
    skv_log_want_sync(log);
    CHECK_EQ(skv_log_last_disk(log), 2);
    skv_log_unlock(log);
    skv_log_sync_round(log, skv_log_sync_read(log), SKV_NS_PER_S);
    CHECK_EQ(skv_log_durable(log), 5);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* One that a snapshot kept long could be written to until there was no slot for the segment that the next open begins. */
static void test_a_log_that_is_too_long_refuses_while_there_are_slots_for_opens(void)
{
    int dir = scratch_make(PLACE);
    static const uint8_t taken[1];
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    skv_slots *slots = skv_log_slots(log);
    CHECK_OK(logs_try(log, 1, 3000, &err), &err);
    CHECK_OK(skv_log_tend(log, &err), &err);
    for (int slot = 1; slot < SKV_SLOTS_LIVE; slot++)
        atomic_store(&slots->bases[slot], taken);
    skv_log_lock(log);
    CHECK_EQ(skv_log_reserve(log, 3000, &err), SKV_BUSY);
    skv_log_unlock(log);
    CHECK(strstr(err.text, "snapshots") != NULL);
    atomic_store(&slots->bases[7], NULL);
    CHECK_OK(logs_try(log, 1, 3000, &err), &err);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_record_is_readable_where_it_was_appended_before_and_after_its_sync);
    RUN(test_waiting_makes_durable_what_was_appended_and_no_more);
    RUN(test_a_steady_sync_is_one_write_and_one_sync);
    RUN(test_a_frame_claims_only_what_a_completed_sync_made_durable);
    RUN(test_without_a_ready_segment_a_reserve_is_busy_and_changes_nothing);
    RUN(test_a_record_larger_than_any_segment_gets_a_segment_of_its_own);
    RUN(test_room_that_was_reserved_is_there_to_the_last_byte);
    RUN(test_segments_grow_while_they_fill_quickly_up_to_the_largest);
    RUN(test_a_full_disk_refuses_until_there_is_room_again);
    RUN(test_memory_writers_are_synced_by_the_loop);
    RUN(test_a_log_that_is_too_long_refuses_while_there_are_slots_for_opens);
    return 0;
}
