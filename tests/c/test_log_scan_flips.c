/* Every single bit of a small synced log is flipped: never a wrong record, never a silent loss. */
#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "flips"
#define FIRST "log/00000001.log"
#define GROUPS 4
#define GROUP_RECORDS 3
#define RECORDS (GROUPS * GROUP_RECORDS)
#define TESTED_BYTES 1536

typedef enum { LAGGING, FOLLOWED, CLOSED } side_file;

/* Four frames, synced, and what the side file knows of them. */
static int make_log(side_file mark)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    for (int group = 0; group < GROUPS; group++) {
        logs_append(log, 1, GROUP_RECORDS);
        logs_sync(log);
    }
    if (mark == FOLLOWED)
        CHECK_OK(logs_mark(log, &err), &err);
    if (mark == CLOSED)
        CHECK_OK(skv_log_finish(log, &err), &err);
    skv_log_free(log);
    return dir;
}

/* What a scan may answer after a flip: the records 1..least are there at least, or it refuses and says where. */
static bool scan_after_flip(int dir, const char *flipped, uint64_t least)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    skv_code code = logs_scan(dir, 0, &log, &tail, &err);
    if (code == SKV_OK) {
        CHECK(tail.last_seqno >= least && tail.last_seqno <= RECORDS);
        logs_check(log, 1, 1, tail.last_seqno);
        skv_log_free(log);
        return tail.last_seqno == RECORDS;
    }
    CHECK_EQ(code, SKV_CORRUPT);
    CHECK(strcmp(err.file, flipped) == 0);
    CHECK(err.offset < SKV_PAGE_BYTES);
    CHECK(err.seqno <= RECORDS);
    return false;
}

/* Returns how many flips were not noticed. */
static uint32_t flip_every_bit(int dir, const char *name, size_t bytes, uint64_t least)
{
    uint32_t unnoticed = 0;
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        scratch_flip(dir, name, bit);
        unnoticed += scan_after_flip(dir, name, least);
        scratch_flip(dir, name, bit);
    }
    return unnoticed;
}

/* Bits that mean nothing: the padding behind frames and what follows the last one. */
static uint32_t idle_bits(int dir, size_t upto)
{
    size_t bytes, end = 0;
    uint32_t frames, padding = 0;
    uint8_t *file = scratch_read(dir, FIRST, &bytes);
    end = logs_end(file, bytes, &frames);
    CHECK_EQ(frames, GROUPS);
    for (uint32_t i = 0; i < frames; i++) {
        skv_frame frame;
        (void)logs_frame_at(file, bytes, i, &frame);
        padding += (uint32_t)(skv_frame_span(&frame) - SKV_FRAME_HEADER_BYTES) - frame.body_bytes;
    }
    CHECK(end < upto);
    free(file);
    return 8 * (padding + (uint32_t)(upto - end));
}

static void test_no_flip_passes_when_the_side_file_knows(void)
{
    for (side_file mark = FOLLOWED; mark <= CLOSED; mark++) {
        int dir = make_log(mark);
        uint32_t idle = idle_bits(dir, TESTED_BYTES);
        CHECK_EQ(flip_every_bit(dir, FIRST, TESTED_BYTES, RECORDS), idle);
        scratch_remove(dir, PLACE);
    }
}

static void test_without_the_side_file_only_the_last_frame_can_go(void)
{
    int dir = make_log(LAGGING);
    uint32_t idle = idle_bits(dir, TESTED_BYTES);
    CHECK_EQ(flip_every_bit(dir, FIRST, TESTED_BYTES, RECORDS - GROUP_RECORDS), idle);
    scratch_remove(dir, PLACE);
}

static void test_a_flip_in_the_side_file_takes_nothing(void)
{
    int dir = make_log(FOLLOWED);
    (void)flip_every_bit(dir, "log/MARK", 2 * SKV_MARK_SLOT_BYTES, RECORDS);
    scratch_remove(dir, PLACE);
}

/* In every segment of a longer log, one bit of each byte. */
static void test_a_flip_in_any_segment_is_noticed(void)
{
    scratch_copy copy;
    int dir = scratch_make(PLACE);
    uint64_t seed = check_seed();
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 150);
    logs_sync(log);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    scratch_save(dir, &copy);
    for (int i = 0; i < copy.count; i++) {
        for (size_t byte = 0; byte < copy.files[i].bytes; byte += 3) {
            size_t bit = 8 * byte + check_random(&seed) % 8;
            scratch_flip(dir, copy.files[i].name, bit);
            if (logs_scan(dir, 0, &log, &tail, &err) == SKV_OK) {
                CHECK_EQ(tail.last_seqno, 150);
                logs_check(log, 1, 1, 150);
                skv_log_free(log);
            }
            scratch_flip(dir, copy.files[i].name, bit);
        }
    }
    scratch_drop(&copy);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_no_flip_passes_when_the_side_file_knows);
    RUN(test_without_the_side_file_only_the_last_frame_can_go);
    RUN(test_a_flip_in_the_side_file_takes_nothing);
    RUN(test_a_flip_in_any_segment_is_noticed);
    return 0;
}
