/* A log filled from another one: the same records under the same seqnos, from any record on, frame by frame, closed in good
 * order; and what happened is told when it cannot be written. */
#include "log_copy.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "memory.h"
#include "scratch.h"

#define FROM "copied from"
#define TO "copied to"
#define RECORDS 210

typedef struct {
    skv_log_cursor *cursor;
    skv_log_copy *copy;
} copying;

static skv_code take(void *context, const skv_record *record, skv_error *err)
{
    copying *at = context;
    return skv_log_copy_take(at->copy, record, skv_log_cursor_rest(at->cursor), err);
}

/* Frames of 1, 2, 3 ... 20 records. */
static skv_log *make_log(int dir)
{
    skv_log *log = logs_found(dir, logs_small);
    for (uint64_t group = 1; group <= 20; group++) {
        logs_append(log, 1, group);
        logs_sync(log);
    }
    return log;
}

static skv_code copy_from(skv_log *log, int dir, uint64_t from, size_t block, skv_error *err)
{
    skv_log_copy_terms terms = {.dir = dir, .sizes = logs_small, .first_seqno = from, .clock_ms = 77};
    copying at = {0};
    skv_code code;
    memcpy(terms.store_id, logs_id, SKV_STORE_ID_BYTES);
    code = skv_log_copy_create(&terms, &at.copy, err);
    if (code == SKV_OK)
        CHECK_OK(skv_log_cursor_create(log, from, &at.cursor, err), err);
    while (code == SKV_OK) {
        code = skv_log_read(at.cursor, block, take, &at, err);
        if (code == SKV_BUSY)
            code = skv_log_copy_make_room(at.copy, err);
        if (code == SKV_OK)
            code = skv_log_copy_sync(at.copy, err);
    }
    if (code == SKV_AGAIN)
        code = skv_log_copy_finish(at.copy, 42, err);
    skv_log_cursor_free(at.cursor);
    skv_log_copy_free(at.copy);
    return code;
}

typedef struct {
    skv_log_cursor *cursor;
    uint64_t last_seqno[RECORDS + 1]; /* of the frame of each record */
} frames;

static skv_code note_frame(void *context, const skv_record *record, skv_error *err)
{
    frames *found = context;
    (void)err;
    found->last_seqno[record->seqno] = skv_log_cursor_rest(found->cursor).last_seqno;
    return SKV_OK;
}

static void read_frames(skv_log *log, uint64_t from, frames *out)
{
    skv_error err = {0};
    memset(out, 0, sizeof *out);
    CHECK_OK(skv_log_cursor_create(log, from, &out->cursor, &err), &err);
    while (skv_log_read(out->cursor, 1000, note_frame, out, &err) == SKV_OK)
        continue;
    CHECK_EQ(skv_log_cursor_next(out->cursor), RECORDS + 1);
    skv_log_cursor_free(out->cursor);
}

/* The copy opens as a log that was closed; its frames end where those of the original do. */
static void check_copy(int dir, const frames *original, uint64_t from)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    frames found;
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    CHECK(tail.closed);
    CHECK_EQ(tail.applied_sum, 42);
    CHECK_EQ(tail.last_seqno, RECORDS);
    CHECK_EQ(tail.records, RECORDS + 1 - from);
    logs_check(log, 1, from, RECORDS);
    read_frames(log, from, &found);
    for (uint64_t seqno = from; seqno <= RECORDS; seqno++)
        CHECK_EQ(found.last_seqno[seqno], original->last_seqno[seqno]);
    skv_log_free(log);
}

static void test_records_and_frames_are_those_of_the_original_from_any_record_on(void)
{
    static const size_t blocks[] = {1, 100, 1 << 20};
    int from_dir = scratch_make(FROM);
    skv_log *log = make_log(from_dir);
    frames original;
    read_frames(log, 1, &original);
    for (uint64_t from = 1; from <= RECORDS; from += 11) {
        int to_dir = scratch_make(TO);
        skv_error err = {0};
        CHECK_OK(copy_from(log, to_dir, from, blocks[from % 3], &err), &err);
        check_copy(to_dir, &original, from);
        scratch_remove(to_dir, TO);
    }
    skv_log_free(log);
    scratch_remove(from_dir, FROM);
}

static void test_a_log_without_records_can_be_copied(void)
{
    int from_dir = scratch_make(FROM), to_dir = scratch_make(TO);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log = make_log(from_dir);
    CHECK_OK(copy_from(log, to_dir, RECORDS + 1, 100, &err), &err);
    skv_log_free(log);
    CHECK_OK(logs_recover(to_dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.last_seqno, RECORDS);
    CHECK_EQ(skv_log_last(log), RECORDS);
    skv_log_free(log);
    scratch_remove(to_dir, TO);
    scratch_remove(from_dir, FROM);
}

static void test_a_record_that_does_not_follow_is_refused(void)
{
    int dir = scratch_make(TO);
    skv_error err = {0};
    skv_log_copy *copy;
    skv_log_copy_terms terms = {.dir = dir, .sizes = logs_small, .first_seqno = 5};
    skv_record record = {.key = {(const uint8_t *)"key", 3}, .seqno = 6};
    CHECK_OK(skv_log_copy_create(&terms, &copy, &err), &err);
    CHECK_EQ(skv_log_copy_take(copy, &record, (skv_log_rest){.last_seqno = 6, .bytes = 100}, &err), SKV_CORRUPT);
    CHECK_EQ(err.seqno, 5);
    skv_log_copy_free(copy);
    scratch_remove(dir, TO);
}

static skv_log_copy_terms terms_of(int dir, uint64_t first_seqno)
{
    skv_log_copy_terms terms = {.dir = dir, .sizes = logs_small, .first_seqno = first_seqno, .clock_ms = (uint64_t)1 << 50};
    memcpy(terms.store_id, logs_id, SKV_STORE_ID_BYTES);
    return terms;
}

/* Take the records from..upto, a frame being whole or absent. */
static skv_code take_some(skv_log *log, skv_log_copy *copy, uint64_t from, uint64_t upto, skv_error *err)
{
    copying at = {.copy = copy};
    skv_code code;
    CHECK_OK(skv_log_cursor_create(log, from, &at.cursor, err), err);
    do {
        code = skv_log_read(at.cursor, 1, take, &at, err);
        if (code == SKV_BUSY)
            code = skv_log_copy_make_room(copy, err);
    } while (code == SKV_OK && skv_log_cursor_next(at.cursor) <= upto);
    skv_log_cursor_free(at.cursor);
    return code == SKV_AGAIN ? SKV_OK : code;
}

/* The first records up to the end of group 12 (frames of 1, 2, 3 ...), synced or not; closed, or left as a crash leaves it. */
#define PART 78
static void copy_part(skv_log *log, int dir, bool closed)
{
    skv_error err = {0};
    skv_log_copy *copy;
    skv_log_copy_terms terms = terms_of(dir, 1);
    CHECK_OK(skv_log_copy_create(&terms, &copy, &err), &err);
    CHECK_OK(take_some(log, copy, 1, PART, &err), &err);
    CHECK_OK(closed ? skv_log_copy_finish(copy, 7, &err) : skv_log_copy_sync(copy, &err), &err);
    skv_log_copy_free(copy);
}

static skv_code go_on_from(skv_log *log, int dir, skv_error *err)
{
    skv_log_copy *copy;
    skv_log_copy_terms terms = terms_of(dir, PART + 1);
    skv_code code = skv_log_copy_reopen(&terms, 0, &copy, err);
    if (code == SKV_OK)
        code = take_some(log, copy, PART + 1, RECORDS, err);
    if (code == SKV_OK)
        code = skv_log_copy_finish(copy, 42, err);
    skv_log_copy_free(copy);
    return code;
}

static void test_a_copy_that_was_closed_or_not_is_gone_on_with(void)
{
    int from_dir = scratch_make(FROM);
    skv_log *log = make_log(from_dir);
    frames original;
    read_frames(log, 1, &original);
    for (int closed = 0; closed < 2; closed++) {
        int to_dir = scratch_make(TO);
        skv_error err = {0};
        copy_part(log, to_dir, closed);
        CHECK_OK(go_on_from(log, to_dir, &err), &err);
        CHECK(logs_slot(to_dir, 0).clock_ms >= (uint64_t)1 << 50); /* that of the terms */
        if (closed) { /* else the tail that nothing proves is written again, as one frame */
            check_copy(to_dir, &original, 1);
        } else {
            skv_log_found_tail tail;
            skv_log *copy;
            CHECK_OK(logs_scan(to_dir, 0, &copy, &tail, &err), &err);
            CHECK(tail.closed && tail.applied_sum == 42 && tail.last_seqno == RECORDS);
            logs_check(copy, 1, 1, RECORDS);
            skv_log_free(copy);
        }
        scratch_remove(to_dir, TO);
    }
    skv_log_free(log);
    scratch_remove(from_dir, FROM);
}

static void test_a_log_that_is_not_where_it_was_said_to_be_is_refused(void)
{
    int from_dir = scratch_make(FROM), to_dir = scratch_make(TO);
    skv_log *log = make_log(from_dir);
    skv_error err = {0};
    skv_log_copy *copy;
    copy_part(log, to_dir, true);
    for (uint64_t next = PART; next <= PART + 2; next += 2) {
        skv_log_copy_terms terms = terms_of(to_dir, next);
        CHECK_EQ(skv_log_copy_reopen(&terms, 0, &copy, &err), SKV_CORRUPT);
        CHECK(!copy);
        CHECK_EQ(err.seqno, PART + 1);
    }
    {
        skv_log_copy_terms terms = terms_of(to_dir, PART + 1);
        CHECK_EQ(skv_log_copy_reopen(&terms, PART + 1, &copy, &err), SKV_CORRUPT); /* a shard has more than the log */
        CHECK(!copy);
        scratch_flip(to_dir, "log/00000001.log", 8 * (SKV_SEGMENT_FRAMES + SKV_FRAME_HEADER_BYTES));
        CHECK_EQ(skv_log_copy_reopen(&terms, 0, &copy, &err), SKV_CORRUPT);
        CHECK(!copy);
    }
    skv_log_free(log);
    scratch_remove(to_dir, TO);
    scratch_remove(from_dir, FROM);
}

/* Whatever call failed, on the next attempt the log is what it was, and the copy becomes whole. */
static void test_a_reopening_that_failed_at_any_call_can_be_tried_again(void)
{
    int from_dir = scratch_make(FROM);
    skv_log *log = make_log(from_dir);
    for (int memory = 0; memory < 2; memory++) {
        bool met = true;
        long nth;
        for (nth = 1; met; nth++) {
            int to_dir = scratch_make(TO);
            skv_error err = {0};
            skv_log_copy *copy;
            skv_log_copy_terms terms = terms_of(to_dir, PART + 1);
            skv_code code;
            copy_part(log, to_dir, nth % 2);
            if (memory)
                skv_memory_fail(nth, 0);
            else
                skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
            code = skv_log_copy_reopen(&terms, 0, &copy, &err);
            met = (memory ? skv_memory_count() : skv_os_calls()) >= nth;
            skv_memory_fail(0, 0);
            skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
            CHECK_EQ(code == SKV_OK, copy != NULL);
            CHECK(met || code == SKV_OK);
            skv_log_copy_free(copy);
            CHECK_OK(go_on_from(log, to_dir, &err), &err);
            logs_expect(to_dir, 1, RECORDS);
            scratch_remove(to_dir, TO);
        }
        CHECK(nth > 5);
    }
    skv_log_free(log);
    scratch_remove(from_dir, FROM);
}

/* Not POISONED, and no word of an unknown outcome: nobody's write was under way. */
static void test_what_failed_is_told_at_any_call(void)
{
    int from_dir = scratch_make(FROM);
    skv_log *log = make_log(from_dir);
    bool met = true;
    frames original;
    read_frames(log, 1, &original);
    for (long nth = 1; met; nth++) {
        int to_dir = scratch_make(TO);
        skv_error err = {0};
        skv_code code;
        skv_os_fail(nth, SKV_FAULT_ERROR, nth % 2 ? ENOSPC : EIO, 0);
        code = copy_from(log, to_dir, 1, 100, &err);
        met = skv_os_calls() >= nth;
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        if (code == SKV_OK) /* what was asked for in vain can be done without */
            check_copy(to_dir, &original, 1);
        else
            CHECK(code == err.code && (code == SKV_NO_MEMORY || code == (nth % 2 ? SKV_FULL : SKV_IO)));
        scratch_remove(to_dir, TO);
    }
    skv_log_free(log);
    scratch_remove(from_dir, FROM);
}

int main(void)
{
    RUN(test_records_and_frames_are_those_of_the_original_from_any_record_on);
    RUN(test_a_log_without_records_can_be_copied);
    RUN(test_a_record_that_does_not_follow_is_refused);
    RUN(test_a_copy_that_was_closed_or_not_is_gone_on_with);
    RUN(test_a_log_that_is_not_where_it_was_said_to_be_is_refused);
    RUN(test_a_reopening_that_failed_at_any_call_can_be_tried_again);
    RUN(test_what_failed_is_told_at_any_call);
    return 0;
}
