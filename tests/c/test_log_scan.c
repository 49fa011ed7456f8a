/* Recovery reads back what the writer wrote: a torn tail is cut, damage to what was durable refuses. */
#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "scan"
#define FIRST "log/00000001.log"
#define GROUPS 5
#define GROUP_RECORDS 4
#define RECORDS (GROUPS * GROUP_RECORDS)

/* A log of five frames of four records, all of them synced, that only later frames prove: the side file lags. */
static int make_five_frames(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    for (int group = 0; group < GROUPS; group++) {
        logs_append(log, 1, GROUP_RECORDS);
        logs_sync(log);
    }
    skv_log_free(log);
    return dir;
}

/* Zero a frame from `keep` bytes after its beginning on; returns where it lies. */
static size_t tear_frame(int dir, uint32_t number, size_t keep)
{
    size_t bytes, at;
    uint8_t *file = scratch_read(dir, FIRST, &bytes);
    skv_frame frame;
    at = logs_frame_at(file, bytes, number, &frame);
    free(file);
    scratch_zero(dir, FIRST, skv_frame_span(&frame) - keep, at + keep);
    return at;
}

static size_t end_of_frames(int dir)
{
    size_t bytes, end;
    uint32_t frames;
    uint8_t *file = scratch_read(dir, FIRST, &bytes);
    end = logs_end(file, bytes, &frames);
    free(file);
    return end;
}

static void expect_refusal(int dir, uint64_t proof_seqno, const char *file, uint64_t offset, uint64_t seqno)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    CHECK_EQ(logs_scan(dir, proof_seqno, &log, &tail, &err), SKV_CORRUPT);
    CHECK(strcmp(err.file, file) == 0);
    CHECK_EQ(err.offset, offset);
    CHECK_EQ(err.seqno, seqno);
    CHECK(err.text[0]);
}

static void test_a_log_that_nobody_finished_is_read_whole_again_and_again(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    for (int group = 0; group < 40; group++) {
        logs_append(log, 1, 5);
        logs_sync(log);
    }
    skv_log_free(log);
    logs_expect(dir, 1, 200);
    for (int again = 0; again < 3; again++) {
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
        CHECK_EQ(tail.last_seqno, 200);
        skv_log_free(log);
        logs_expect(dir, 1, 200);
    }
    scratch_remove(dir, PLACE);
}

/* Story: recovery wrote down that the old segment ends before the tail, and then asked it for the tail: what was synced
 * but not yet in the side file was acknowledged, found by the scan, and lost. */
static void test_a_tail_that_was_acked_but_is_not_proven_is_written_again(void)
{
    int dir = make_five_frames();
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.proven_seqno, RECORDS - GROUP_RECORDS);
    CHECK_EQ(tail.last_seqno, RECORDS);
    CHECK_EQ(skv_log_last(log), RECORDS);
    logs_append(log, 1, 3);
    logs_sync(log);
    skv_log_free(log);
    logs_expect(dir, 1, RECORDS + 3);
    scratch_remove(dir, PLACE);
}

static void test_a_torn_tail_is_cut_but_a_torn_middle_refuses(void)
{
    for (size_t keep = 0; keep < 96; keep += 8) {
        int dir = make_five_frames();
        size_t at;
        (void)tear_frame(dir, GROUPS - 1, keep);
        logs_expect(dir, 1, RECORDS - GROUP_RECORDS);
        at = tear_frame(dir, 2, keep);
        expect_refusal(dir, 0, FIRST, at, 2 * GROUP_RECORDS + 1);
        scratch_remove(dir, PLACE);
    }
}

static void test_the_side_file_proves_the_last_frame(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    size_t at;
    logs_append(log, 1, GROUP_RECORDS);
    logs_sync(log);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    at = tear_frame(dir, 0, SKV_FRAME_HEADER_BYTES);
    expect_refusal(dir, 0, FIRST, at, 1);
    scratch_remove(dir, PLACE);
}

static void test_what_a_shard_has_applied_is_proven(void)
{
    int dir = make_five_frames();
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    size_t at;
    CHECK_OK(logs_scan(dir, RECORDS, &log, &tail, &err), &err);
    CHECK_EQ(tail.proven_seqno, RECORDS);
    CHECK_EQ(tail.tail_bytes, 0);
    skv_log_free(log);
    /* A frame is whole or not at all: who has its first record has them all. */
    CHECK_OK(logs_scan(dir, RECORDS - GROUP_RECORDS + 1, &log, &tail, &err), &err);
    CHECK_EQ(tail.proven_seqno, RECORDS);
    skv_log_free(log);
    expect_refusal(dir, RECORDS + 1, FIRST, end_of_frames(dir), RECORDS + 1);
    at = tear_frame(dir, GROUPS - 1, SKV_FRAME_HEADER_BYTES);
    expect_refusal(dir, RECORDS, FIRST, at, RECORDS - GROUP_RECORDS + 1);
    scratch_remove(dir, PLACE);
}

/* Two crashes: after the first the tail is cut and other records take its numbers; then the old bytes are there again,
 * as pages that had been lost may be. */
static void test_a_cut_tail_does_not_rise_again(void)
{
    int dir = make_five_frames();
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    size_t bytes;
    uint8_t *old = scratch_read(dir, FIRST, &bytes);
    (void)tear_frame(dir, GROUPS - 1, 0);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    skv_log_free(log);
    scratch_write(dir, FIRST, old, bytes, 0);
    logs_expect(dir, 1, RECORDS - GROUP_RECORDS);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    logs_append(log, 2, GROUP_RECORDS);
    logs_sync(log);
    skv_log_free(log);
    scratch_write(dir, FIRST, old, bytes, 0);
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    logs_check(log, 1, 1, RECORDS - GROUP_RECORDS);
    logs_check(log, 2, RECORDS - GROUP_RECORDS + 1, RECORDS);
    skv_log_free(log);
    free(old);
    scratch_remove(dir, PLACE);
}

/* -- bytes that look like a frame and are not the next one ---------------------------------------------------------- */

/* Put a frame of one record behind the last one: all as it should be, but for what `wrong` changes. */
static void forge_frame(int dir, void (*wrong)(skv_frame *, skv_record *))
{
    size_t bytes, end;
    uint8_t *file = scratch_read(dir, FIRST, &bytes);
    skv_segment_header header;
    skv_record record = {.key = {(const uint8_t *)"forged", 6}, .value = {(const uint8_t *)"!", 1}, .seqno = RECORDS + 1};
    skv_frame last, frame;
    CHECK_EQ(skv_segment_header_read(file, &header), SKV_HEADER_GOOD);
    end = logs_frame_at(file, bytes, GROUPS - 1, &last);
    frame = (skv_frame){.salt = header.salt,
                        .first_seqno = RECORDS + 1,
                        .durable_upto = RECORDS,
                        .previous = skv_frame_checksum(file + end),
                        .count = 1};
    end += skv_frame_span(&last);
    wrong(&frame, &record);
    frame.body_bytes = (uint32_t)skv_record_encode(file + end + SKV_FRAME_HEADER_BYTES, &record);
    skv_frame_number(file + end, &frame);
    (void)skv_frame_seal(file + end, &frame);
    scratch_write(dir, FIRST, file, bytes, 0);
    free(file);
}

static void nothing(skv_frame *frame, skv_record *record)
{
    (void)frame, (void)record;
}

static void other_salt(skv_frame *frame, skv_record *record)
{
    (void)record;
    frame->salt++;
    frame->durable_upto = RECORDS + 1; /* nor may it prove anything */
}

static void other_previous(skv_frame *frame, skv_record *record)
{
    (void)record;
    frame->previous++;
}

static void other_seqno(skv_frame *frame, skv_record *record)
{
    frame->first_seqno++;
    record->seqno++;
}

static void other_record_seqno(skv_frame *frame, skv_record *record)
{
    (void)frame;
    record->seqno++;
}

static void other_count(skv_frame *frame, skv_record *record)
{
    (void)record;
    frame->count++;
}

static void test_only_a_frame_that_continues_the_log_is_taken(void)
{
    void (*const wrongs[])(skv_frame *, skv_record *) = {other_salt, other_previous, other_seqno, other_record_seqno,
                                                         other_count};
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    int dir = make_five_frames();
    forge_frame(dir, nothing);
    CHECK_OK(logs_scan(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.last_seqno, RECORDS + 1);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        dir = make_five_frames();
        forge_frame(dir, wrongs[i]);
        logs_expect(dir, 1, RECORDS);
        scratch_remove(dir, PLACE);
    }
}

int main(void)
{
    RUN(test_a_log_that_nobody_finished_is_read_whole_again_and_again);
    RUN(test_a_tail_that_was_acked_but_is_not_proven_is_written_again);
    RUN(test_a_torn_tail_is_cut_but_a_torn_middle_refuses);
    RUN(test_the_side_file_proves_the_last_frame);
    RUN(test_what_a_shard_has_applied_is_proven);
    RUN(test_a_cut_tail_does_not_rise_again);
    RUN(test_only_a_frame_that_continues_the_log_is_taken);
    return 0;
}
