/* One segment: the file and the memory are the same bytes, and a position has one address for the segment's whole life. */
#include "segment.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "memory.h"
#include "scratch.h"

#define PLACE "segment"
#define NAME "log/00000007.log"
#define BYTES (4 * SKV_PAGE_BYTES)

static skv_segment *make(int dir)
{
    skv_error err = {0};
    skv_segment *segment;
    CHECK_OK(skv_segment_create(dir, 7, (skv_segment_fill){.bytes = BYTES}, &segment, &err), &err);
    CHECK_OK(skv_segment_prepare(segment, &err), &err);
    return segment;
}

static void write_to(skv_segment *segment, size_t to)
{
    skv_error err = {0};
    for (size_t i = segment->durable; i < to; i++)
        segment->base[i] = (uint8_t)(i * 3 + 1);
    segment->base[to < BYTES ? to : to - 1] = to < BYTES ? 0xee : (uint8_t)((to - 1) * 3 + 1); /* an appender's, under way */
    CHECK_OK(skv_segment_write(segment, to, &err), &err);
    segment->durable = to;
}

static void test_a_new_segment_is_a_file_of_zeros_under_its_number(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_segment *segment = make(dir), *again;
    size_t bytes;
    uint8_t *file = scratch_read(dir, NAME, &bytes);
    CHECK_EQ(bytes, BYTES);
    for (size_t i = 0; i < bytes; i++)
        CHECK_EQ(file[i], 0);
    CHECK(strcmp(segment->name, NAME) == 0);
    CHECK_EQ(skv_segment_create(dir, 7, (skv_segment_fill){.bytes = BYTES}, &again, &err), SKV_IO);
    CHECK(!again);
    CHECK_EQ(scratch_size(dir, NAME), BYTES); /* whose file it is, is not touched */
    CHECK_EQ(skv_segment_open(dir, 8, &again, &err), SKV_NOT_FOUND);
    CHECK_OK(skv_segment_open(dir, 7, &again, &err), &err);
    CHECK_EQ(again->header.file_bytes, BYTES);
    skv_segment_free(again);
    skv_segment_free(segment);
    skv_segment_free(NULL);
    free(file);
    scratch_remove(dir, PLACE);
}

static void test_what_is_written_ends_where_it_was_told_and_zeros_follow(void)
{
    static const size_t ends[] = {600, 601, 4095, 4096, 4097, 9000, BYTES};
    int dir = scratch_make(PLACE);
    skv_segment *segment = make(dir);
    for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
        size_t bytes, page_end = (ends[e] + SKV_PAGE_BYTES - 1) / SKV_PAGE_BYTES * SKV_PAGE_BYTES;
        uint8_t *file;
        write_to(segment, ends[e]);
        file = scratch_read(dir, NAME, &bytes);
        CHECK_EQ(bytes, BYTES);
        CHECK(memcmp(file + SKV_SEGMENT_FRAMES, segment->base + SKV_SEGMENT_FRAMES, ends[e] - SKV_SEGMENT_FRAMES) == 0);
        for (size_t i = ends[e]; i < page_end; i++)
            CHECK_EQ(file[i], 0);
        free(file);
    }
    skv_segment_free(segment);
    scratch_remove(dir, PLACE);
}

static void test_durable_pages_become_the_files_at_the_same_address(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_segment *segment = make(dir);
    const uint8_t *base = segment->base;
    write_to(segment, 9000);
    CHECK_OK(skv_segment_write_header(segment, &err), &err);
    skv_segment_remap(segment, 3 * SKV_PAGE_BYTES); /* not worth it yet */
    CHECK_EQ(segment->remapped, 0);
    skv_segment_remap(segment, SKV_PAGE_BYTES);
    CHECK_EQ(segment->remapped, 2 * SKV_PAGE_BYTES);
    CHECK(segment->base == base);
    for (size_t i = SKV_SEGMENT_FRAMES; i < 9000; i++)
        CHECK_EQ(base[i], (uint8_t)(i * 3 + 1));
    scratch_write(dir, NAME, "file", 4, 5000);
    CHECK(memcmp(base + 5000, "file", 4) == 0);
    segment->base[9001] = 5; /* behind the last whole page it is memory still */
    skv_segment_remap(segment, 0);
    CHECK_EQ(segment->remapped, 2 * SKV_PAGE_BYTES);
    write_to(segment, 12000);
    skv_os_fail(1, SKV_FAULT_ERROR, ENOMEM, 0);
    skv_segment_remap(segment, 0); /* refused: the memory stays */
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_EQ(base[11999], (uint8_t)(11999 * 3 + 1));
    skv_segment_free(segment);
    scratch_remove(dir, PLACE);
}

static void test_every_life_has_a_salt_of_its_own(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_segment *segment = make(dir);
    uint64_t salts[8];
    for (int life = 0; life < 8; life++) {
        salts[life] = segment->header.salt;
        for (int other = 0; other < life; other++)
            CHECK(salts[other] != salts[life]);
        segment->header_durable = true;
        skv_segment_unmap(segment);
        CHECK_OK(skv_segment_prepare(segment, &err), &err);
        CHECK(!segment->header_durable && segment->end == SKV_SEGMENT_FRAMES && segment->durable == SKV_SEGMENT_FRAMES);
        for (size_t i = 0; i < BYTES; i += 64)
            CHECK_EQ(segment->base[i], 0);
    }
    skv_segment_free(segment);
    scratch_remove(dir, PLACE);
}

static void test_a_creation_that_fails_leaves_no_file(void)
{
    skv_code code = SKV_IO;
    for (long nth = 1; code != SKV_OK; nth++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_segment *segment;
        skv_os_fail(nth, SKV_FAULT_ERROR, ENOSPC, 0);
        code = skv_segment_create(dir, 7, (skv_segment_fill){.bytes = BYTES}, &segment, &err);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        if (code != SKV_OK) {
            CHECK_EQ(code, SKV_FULL);
            CHECK(!segment);
            CHECK_EQ(scratch_size(dir, NAME), -1);
        } else {
            CHECK_EQ(nth, 4); /* open, write, sync */
        }
        skv_segment_free(segment);
        scratch_remove(dir, PLACE);
    }
    for (long nth = 1; nth <= 2; nth++) {
        int dir = scratch_make(PLACE);
        skv_segment *segment;
        skv_memory_fail(nth, 0);
        CHECK_EQ(skv_segment_create(dir, 7, (skv_segment_fill){.bytes = BYTES}, &segment, NULL), SKV_NO_MEMORY);
        skv_memory_fail(0, 0);
        CHECK(!segment);
        CHECK_EQ(scratch_size(dir, NAME), -1);
        scratch_remove(dir, PLACE);
    }
}

#define LARGE ((uint64_t)5 << 19) /* two and a half pieces */

static void count_rest(void *context, uint64_t spent_ns)
{
    int *rests = context;
    *rests += spent_ns > 0;
}

static void test_a_large_file_is_filled_with_rests_between_the_pieces(void)
{
    skv_code code = SKV_IO;
    for (long nth = 1; code != SKV_OK; nth++) {
        int dir = scratch_make(PLACE), rests = 0;
        skv_error err = {0};
        skv_segment *segment;
        skv_os_fail(nth, SKV_FAULT_ERROR, ENOSPC, 0);
        code = skv_segment_create(dir, 7, (skv_segment_fill){LARGE, count_rest, &rests}, &segment, &err);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        CHECK_EQ(code, code == SKV_OK ? SKV_OK : SKV_FULL);
        CHECK_EQ(scratch_size(dir, NAME), code == SKV_OK ? (long)LARGE : -1);
        if (code == SKV_OK)
            CHECK_EQ(nth, 8); /* open, three writes, two of them written out, sync */
        if (code == SKV_OK)
            CHECK_EQ(rests, 2);
        skv_segment_free(segment);
        scratch_remove(dir, PLACE);
    }
}

static void test_slots_are_taken_pinned_given_back_and_may_run_out(void)
{
    static skv_slots slots;
    static uint8_t memory[SKV_PAGE_BYTES];
    skv_segment first = {.base = memory, .slot = -1}, second = first;
    skv_position position;
    CHECK(skv_segment_take_slot(&first, &slots, SKV_SLOTS_LIVE));
    CHECK(skv_segment_take_slot(&second, &slots, SKV_SLOTS_LIVE));
    CHECK(first.slot >= 0 && second.slot >= 0 && first.slot != second.slot);
    position = (skv_position){100, (uint16_t)first.slot};
    CHECK(skv_slots_at(&slots, position) == memory + 100);
    CHECK(!skv_segment_pinned(&first, &slots));
    skv_slots_pin(&slots, position);
    skv_slots_pin(&slots, position);
    skv_slots_unpin(&slots, position);
    CHECK(skv_segment_pinned(&first, &slots) && !skv_segment_pinned(&second, &slots));
    skv_slots_unpin(&slots, position);
    CHECK(!skv_segment_pinned(&first, &slots));
    skv_segment_give_slot(&first, &slots);
    CHECK_EQ(first.slot, -1);
    for (int i = 1; i < SKV_SLOTS_LIVE; i++)
        CHECK(skv_segment_take_slot(&first, &slots, SKV_SLOTS_LIVE));
    CHECK(!skv_segment_take_slot(&first, &slots, SKV_SLOTS_LIVE));
    CHECK(skv_segment_take_slot(&first, &slots, SKV_SLOTS_MAX));
}

int main(void)
{
    RUN(test_a_new_segment_is_a_file_of_zeros_under_its_number);
    RUN(test_what_is_written_ends_where_it_was_told_and_zeros_follow);
    RUN(test_durable_pages_become_the_files_at_the_same_address);
    RUN(test_every_life_has_a_salt_of_its_own);
    RUN(test_a_creation_that_fails_leaves_no_file);
    RUN(test_a_large_file_is_filled_with_rests_between_the_pieces);
    RUN(test_slots_are_taken_pinned_given_back_and_may_run_out);
    return 0;
}
