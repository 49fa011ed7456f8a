/* The side file: the newest good slot answers, whichever bit of the other is wrong. */
#include "mark.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "mark"
#define NAME "log/MARK"

static int open_mark(int dir)
{
    skv_error err = {0};
    int fd;
    CHECK_OK(skv_os_open(dir, NAME, SKV_OPEN_CREATE, &fd, &err), &err);
    return fd;
}

static skv_mark mark_of(uint64_t generation)
{
    return (skv_mark){generation, 10 * generation, 3 * generation, 7 * generation, 5 * generation, 11 * generation,
                      2 * generation, 4 * generation, 9 * generation};
}

static void write_mark(int fd, uint64_t generation)
{
    skv_error err = {0};
    skv_mark mark = mark_of(generation);
    CHECK_OK(skv_mark_write(fd, logs_id, &mark, &err), &err);
}

static void expect_generation(int fd, uint64_t generation)
{
    skv_error err = {0};
    skv_mark mark, wanted = mark_of(generation);
    CHECK_OK(skv_mark_read(fd, logs_id, &mark, &err), &err);
    CHECK_EQ(mark.generation, wanted.generation);
    CHECK_EQ(mark.durable_seqno, wanted.durable_seqno);
    CHECK_EQ(mark.first_segment_id, wanted.first_segment_id);
    CHECK_EQ(mark.first_seqno, wanted.first_seqno);
    CHECK_EQ(mark.kept_segment_id, wanted.kept_segment_id);
    CHECK_EQ(mark.kept_seqno, wanted.kept_seqno);
    CHECK_EQ(mark.closed_segment_id, wanted.closed_segment_id);
    CHECK_EQ(mark.applied_sum, wanted.applied_sum);
    CHECK_EQ(mark.clock_ms, wanted.clock_ms);
}

static void test_the_newest_slot_answers_and_the_one_before_is_kept(void)
{
    int dir = scratch_make(PLACE), fd;
    scratch_zero(dir, NAME, SKV_PAGE_BYTES, 0);
    fd = open_mark(dir);
    for (uint64_t generation = 1; generation < 6; generation++) {
        write_mark(fd, generation);
        expect_generation(fd, generation);
        if (generation > 1) {
            size_t slot = generation % 2 * SKV_MARK_SLOT_BYTES;
            uint8_t saved[SKV_MARK_SLOT_BYTES];
            skv_error err = {0};
            CHECK_OK(skv_os_read(fd, NAME, saved, sizeof saved, slot, &err), &err);
            scratch_zero(dir, NAME, sizeof saved, slot);
            expect_generation(fd, generation - 1);
            scratch_write(dir, NAME, saved, sizeof saved, slot);
        }
    }
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

static void test_any_flipped_bit_costs_its_slot_and_no_more(void)
{
    int dir = scratch_make(PLACE), fd;
    scratch_zero(dir, NAME, SKV_PAGE_BYTES, 0);
    fd = open_mark(dir);
    write_mark(fd, 4);
    write_mark(fd, 5);
    for (size_t bit = 0; bit < 16 * SKV_MARK_SLOT_BYTES; bit++) {
        scratch_flip(dir, NAME, bit);
        expect_generation(fd, bit < 8 * SKV_MARK_SLOT_BYTES ? 5 : 4);
        scratch_flip(dir, NAME, bit);
    }
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

static void test_two_bad_slots_or_another_stores_refuse(void)
{
    int dir = scratch_make(PLACE), fd;
    skv_error err = {0};
    skv_mark mark;
    scratch_zero(dir, NAME, SKV_PAGE_BYTES, 0);
    fd = open_mark(dir);
    CHECK_EQ(skv_mark_read(fd, logs_id, &mark, &err), SKV_CORRUPT);
    write_mark(fd, 1);
    write_mark(fd, 2);
    CHECK_EQ(skv_mark_read(fd, (const uint8_t *)"another identity", &mark, &err), SKV_CORRUPT);
    scratch_flip(dir, NAME, 8 * SKV_MARK_DURABLE_SEQNO);
    scratch_flip(dir, NAME, 8 * (SKV_MARK_SLOT_BYTES + SKV_MARK_DURABLE_SEQNO));
    CHECK_EQ(skv_mark_read(fd, logs_id, &mark, &err), SKV_CORRUPT);
    CHECK(strcmp(err.file, NAME) == 0);
    scratch_cut(dir, NAME, SKV_MARK_SLOT_BYTES);
    CHECK_EQ(skv_mark_read(fd, logs_id, &mark, &err), SKV_CORRUPT);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

static void test_a_write_is_one_sector_and_a_sync_and_either_may_fail(void)
{
    int dir = scratch_make(PLACE), fd;
    skv_error err = {0};
    skv_mark mark = mark_of(3);
    scratch_zero(dir, NAME, SKV_PAGE_BYTES, 0);
    fd = open_mark(dir);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    write_mark(fd, 2);
    CHECK_EQ(skv_os_calls(), 2);
    for (long nth = 1; nth <= 2; nth++) {
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
        CHECK_EQ(skv_mark_write(fd, logs_id, &mark, &err), SKV_IO);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    }
    CHECK_EQ(scratch_size(dir, NAME), SKV_PAGE_BYTES);
    skv_os_close(fd);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_the_newest_slot_answers_and_the_one_before_is_kept);
    RUN(test_any_flipped_bit_costs_its_slot_and_no_more);
    RUN(test_two_bad_slots_or_another_stores_refuse);
    RUN(test_a_write_is_one_sector_and_a_sync_and_either_may_fail);
    return 0;
}
