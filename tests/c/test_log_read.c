/* The cursor: every durable record once, in order, whole, from any seqno on, in blocks of any size; nothing that is not
 * durable; and a clear word when the log does not reach back that far. */
#include "log_read.h"

#include <string.h>

#include "check.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "read"

typedef struct {
    uint64_t next;
    uint64_t taken, bytes;
    uint64_t refuse_at; /* answer NO_MEMORY at this seqno, once */
} taking;

static skv_code take_record(void *context, const skv_record *record, skv_error *err)
{
    taking *at = context;
    char key[32];
    (void)err;
    CHECK_EQ(record->seqno, at->next);
    if (at->refuse_at == record->seqno) {
        at->refuse_at = 0;
        return SKV_NO_MEMORY;
    }
    CHECK(snprintf(key, sizeof key, "key %llu", (unsigned long long)record->seqno) > 0);
    CHECK(record->key.bytes == strlen(key) && memcmp(record->key.data, key, record->key.bytes) == 0);
    CHECK(skv_record_verify(record));
    at->next++;
    at->taken++;
    at->bytes += skv_record_bytes(record);
    return SKV_OK;
}

/* Read on to the end of what is durable; *most is raised to the largest number of bytes that one call took. */
static void read_on(skv_log_cursor *cursor, size_t block, taking *at, uint64_t *most)
{
    skv_error err = {0};
    skv_code code = SKV_OK;
    while (code == SKV_OK) {
        at->bytes = 0;
        code = skv_log_read(cursor, block, take_record, at, &err);
        *most = at->bytes > *most ? at->bytes : *most;
        CHECK_EQ(skv_log_cursor_next(cursor), at->next);
    }
    CHECK_EQ(code, SKV_AGAIN);
}

static void expect_from(skv_log *log, uint64_t from, size_t block)
{
    skv_error err = {0};
    skv_log_cursor *cursor;
    taking at = {.next = from};
    uint64_t most = 0;
    CHECK_OK(skv_log_cursor_create(log, from, &cursor, &err), &err);
    read_on(cursor, block, &at, &most);
    CHECK_EQ(at.next, skv_log_durable(log) + 1);
    CHECK(most <= block + 200); /* one record more at most */
    skv_log_cursor_free(cursor);
}

/* Groups of all sizes, in live and retained segments. */
static skv_log *make_log(int dir, uint64_t retired)
{
    skv_log *log = logs_found(dir, logs_small);
    skv_error err = {0};
    skv_log_retain(log, 1 << 20);
    for (uint64_t group = 1; group <= 30; group++) {
        logs_append(log, 1, group);
        logs_sync(log);
    }
    skv_log_retire(log, retired, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    return log;
}

static void test_every_record_is_read_once_in_order_from_any_seqno_in_blocks_of_any_size(void)
{
    static const uint64_t retired[] = {0, 200, 466};
    static const size_t blocks[] = {1, 100, 5000, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_log_found_tail tail;
        skv_log *log = make_log(dir, retired[i]);
        for (uint64_t from = 1; from <= 466; from += 7)
            expect_from(log, from, blocks[from % 4]);
        skv_log_free(log);
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err); /* what an earlier life wrote */
        for (uint64_t from = 1; from <= 466; from += 13)
            expect_from(log, from, blocks[from % 4]);
        skv_log_free(log);
        scratch_remove(dir, PLACE);
    }
}

static void test_only_what_is_durable_is_shown(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    skv_log_cursor *cursor;
    taking at = {.next = 1};
    uint64_t most = 0;
    CHECK_OK(skv_log_cursor_create(log, 1, &cursor, &err), &err);
    for (int round = 0; round < 50; round++) {
        read_on(cursor, 1000, &at, &most);
        CHECK_EQ(at.next, skv_log_durable(log) + 1);
        logs_append(log, 1, 7);
        CHECK_EQ(skv_log_read(cursor, 1000, take_record, &at, &err), SKV_AGAIN);
        logs_sync(log);
    }
    skv_log_cursor_free(cursor);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_a_record_that_was_not_taken_is_read_again(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = make_log(dir, 200);
    for (uint64_t at_seqno = 1; at_seqno < 460; at_seqno += 31) {
        skv_log_cursor *cursor;
        taking at = {.next = 1, .refuse_at = at_seqno};
        uint64_t most = 0;
        CHECK_OK(skv_log_cursor_create(log, 1, &cursor, &err), &err);
        while (skv_log_read(cursor, 3000, take_record, &at, &err) == SKV_OK)
            CHECK(at.next <= at_seqno);
        CHECK_EQ(skv_log_cursor_next(cursor), at_seqno);
        read_on(cursor, 3000, &at, &most);
        CHECK_EQ(at.next, 466);
        skv_log_cursor_free(cursor);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* What was dropped meanwhile is not skipped in silence; the seqno that is told is where to go on. */
static void test_a_reader_that_is_too_late_is_told_where_to_go_on(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = make_log(dir, 0);
    skv_log_cursor *cursor;
    taking at = {.next = 1};
    CHECK_OK(skv_log_cursor_create(log, 1, &cursor, &err), &err);
    CHECK_OK(skv_log_read(cursor, 2000, take_record, &at, &err), &err);
    skv_log_retain(log, 0);
    skv_log_retire(log, 400, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK_EQ(skv_log_read(cursor, 2000, take_record, &at, &err), SKV_LOG_GONE);
    CHECK(err.code == SKV_LOG_GONE && err.seqno + 1 == skv_log_oldest(log) && err.seqno < 400);
    expect_from(log, err.seqno + 1, 2000);
    skv_log_cursor_free(cursor);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

typedef struct {
    skv_log *log;
    uint64_t files;
    int dir;
} meddling;

/* From inside a call: everything else is given back, the segment that is being read is not. */
static skv_code give_back_meanwhile(void *context, const skv_record *record, skv_error *err)
{
    meddling *at = context;
    CHECK(skv_record_verify(record));
    skv_log_retain(at->log, 0);
    skv_log_retire(at->log, 466, 0);
    CHECK_OK(skv_log_tend(at->log, err), err);
    CHECK(skv_record_verify(record));
    CHECK_EQ(skv_log_oldest(at->log), 1);
    return SKV_OK;
}

static void test_the_segment_that_is_read_stays_in_place_and_goes_afterwards(void)
{
    for (uint64_t retired = 0; retired <= 200; retired += 200) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        meddling at = {.log = make_log(dir, retired), .dir = dir};
        skv_log_cursor *cursor;
        CHECK_OK(skv_log_cursor_create(at.log, 1, &cursor, &err), &err);
        CHECK_OK(skv_log_read(cursor, 1, give_back_meanwhile, &at, &err), &err);
        CHECK_OK(skv_log_read(cursor, 1, give_back_meanwhile, &at, &err), &err);
        CHECK_OK(skv_log_tend(at.log, &err), &err);
        CHECK_EQ(skv_log_read(cursor, 1, give_back_meanwhile, &at, &err), SKV_LOG_GONE);
        skv_log_cursor_free(cursor);
        skv_log_free(at.log);
        scratch_remove(dir, PLACE);
    }
}

static void test_a_large_record_is_read_whole_from_a_retained_file(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    skv_log_retain(log, 1 << 24);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(logs_try(log, 1, 700 * 1000, &err), &err);
        logs_append(log, 1, 20);
        logs_sync(log);
    }
    skv_log_retire(log, 85, 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    for (uint64_t from = 1; from <= 84; from++) {
        skv_log_cursor *cursor;
        taking at = {.next = from};
        uint64_t most = 0;
        CHECK_OK(skv_log_cursor_create(log, from, &cursor, &err), &err);
        read_on(cursor, 100, &at, &most);
        CHECK_EQ(at.next, 85);
        skv_log_cursor_free(cursor);
    }
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* A power cut left a tail that was read whole and written again: each record is shown once. */
static void test_a_tail_that_was_written_again_is_shown_once(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 12);
    logs_sync(log);
    skv_log_free(log);
    for (int again = 0; again < 3; again++) {
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
        expect_from(log, 1, 1000);
        logs_append(log, 1, 3);
        logs_sync(log);
        expect_from(log, 1, 1000);
        skv_log_free(log);
    }
    scratch_remove(dir, PLACE);
}

static void test_a_flipped_bit_is_never_shown(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = make_log(dir, 466);
    for (size_t bit = 8 * SKV_SEGMENT_FRAMES; bit < 8 * 3000; bit += 61) {
        skv_log_cursor *cursor;
        taking at = {.next = 1};
        skv_code code;
        scratch_flip(dir, "log/00000001.log", bit);
        CHECK_OK(skv_log_cursor_create(log, 1, &cursor, &err), &err);
        while ((code = skv_log_read(cursor, 5000, take_record, &at, &err)) == SKV_OK)
            continue;
        CHECK(code == SKV_CORRUPT || (code == SKV_AGAIN && at.next == 466)); /* padding, or what nobody reads */
        if (code == SKV_CORRUPT)
            CHECK(strcmp(err.file, "log/00000001.log") == 0 && err.seqno == at.next);
        skv_log_cursor_free(cursor);
        scratch_flip(dir, "log/00000001.log", bit);
    }
    expect_from(log, 1, 1000);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_every_record_is_read_once_in_order_from_any_seqno_in_blocks_of_any_size);
    RUN(test_only_what_is_durable_is_shown);
    RUN(test_a_record_that_was_not_taken_is_read_again);
    RUN(test_a_reader_that_is_too_late_is_told_where_to_go_on);
    RUN(test_the_segment_that_is_read_stays_in_place_and_goes_afterwards);
    RUN(test_a_large_record_is_read_whole_from_a_retained_file);
    RUN(test_a_tail_that_was_written_again_is_shown_once);
    RUN(test_a_flipped_bit_is_never_shown);
    return 0;
}
