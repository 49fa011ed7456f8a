/* Frames: read from one log as soon as they are closed, appended to another, their records as they are. */
#include "log_frames.h"

#include <string.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define FROM "frames from"
#define TO "frames to"

typedef struct {
    skv_log *to;         /* NULL: nobody takes them */
    uint64_t next;       /* the record that has to come */
    uint64_t frames, records;
    skv_code refuse;     /* answered once */
} taking;

/* How many records a body holds; each is whole, of its seqno, and as its writer made it. */
static uint32_t check_body(const skv_log_frame *frame)
{
    size_t at = 0;
    uint32_t count = 0;
    while (at < frame->body.bytes) {
        skv_record record;
        size_t bytes = skv_record_decode(frame->body.data + at, frame->body.bytes - at, &record);
        char key[32];
        CHECK(bytes);
        CHECK_EQ(record.seqno, frame->first_seqno + count);
        CHECK(skv_record_verify(&record));
        CHECK(snprintf(key, sizeof key, "key %llu", (unsigned long long)record.seqno) > 0);
        CHECK(record.key.bytes == strlen(key) && memcmp(record.key.data, key, record.key.bytes) == 0);
        at += bytes;
        count++;
    }
    CHECK_EQ(at, frame->body.bytes);
    return count;
}

static void append(skv_log *to, skv_slice body, uint32_t count)
{
    skv_error err = {0};
    skv_code code;
    do {
        skv_log_lock(to);
        code = skv_log_reserve_frame(to, body.bytes, &err);
        if (code == SKV_OK)
            (void)skv_log_append_frame(to, body, count);
        skv_log_unlock(to);
        if (code == SKV_BUSY)
            CHECK_OK(skv_log_tend(to, &err), &err);
    } while (code == SKV_BUSY);
    CHECK_OK(code, &err);
}

static skv_code take(void *context, const skv_log_frame *frame, skv_error *err)
{
    taking *at = context;
    uint32_t count;
    skv_code refuse = at->refuse;
    (void)err;
    at->refuse = SKV_OK;
    if (refuse != SKV_OK)
        return refuse;
    CHECK_EQ(frame->first_seqno, at->next);
    count = check_body(frame);
    CHECK(count);
    if (at->to)
        append(at->to, frame->body, count);
    at->next += count;
    at->records += count;
    at->frames++;
    return SKV_OK;
}

/* Take all there is; what ends it. */
static skv_code take_all(skv_log_cursor *cursor, bool ahead, taking *at)
{
    skv_error err = {0};
    skv_code code = SKV_OK;
    while (code == SKV_OK) {
        code = skv_log_read_frame(cursor, ahead, take, at, &err);
        CHECK_EQ(skv_log_cursor_next(cursor), at->next);
    }
    return code;
}

static skv_log_cursor *cursor_at(skv_log *log, uint64_t first)
{
    skv_error err = {0};
    skv_log_cursor *cursor;
    CHECK_OK(skv_log_cursor_create(log, first, &cursor, &err), &err);
    return cursor;
}

/* Close the frame, as a sync does when it begins, without syncing. */
static void close_frame(skv_log *log)
{
    skv_log_lock(log);
    skv_log_close_frame(log);
    log->closed_seqno = log->next_seqno - 1;
    skv_log_unlock(log);
}

static void test_frames_come_when_they_are_durable_or_ahead_when_they_are_closed(void)
{
    int dir = scratch_make(FROM);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_cursor *cursor = cursor_at(log, 1), *late = cursor_at(log, 1);
    taking at = {.next = 1}, behind = {.next = 1};
    CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
    logs_append(log, 1, 3);
    CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN); /* still open */
    CHECK_EQ(at.records, 0);
    close_frame(log);
    CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
    CHECK_EQ(at.records, 3);
    CHECK_EQ(at.frames, 1);
    CHECK_EQ(take_all(late, false, &behind), SKV_AGAIN);
    CHECK_EQ(behind.records, 0); /* nothing is durable */
    logs_append(log, 1, 2);
    logs_sync(log);
    CHECK_EQ(take_all(late, false, &behind), SKV_AGAIN);
    CHECK_EQ(behind.records, 5);
    CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
    CHECK_EQ(at.records, 5);
    CHECK_EQ(at.frames, 2);
    skv_log_cursor_free(cursor);
    skv_log_cursor_free(late);
    skv_log_free(log);
    scratch_remove(dir, FROM);
}

static void test_a_frame_that_was_refused_comes_again(void)
{
    int dir = scratch_make(FROM);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_cursor *cursor = cursor_at(log, 1);
    taking at = {.next = 1, .refuse = SKV_NO_MEMORY};
    logs_append(log, 1, 4);
    logs_sync(log);
    CHECK_EQ(take_all(cursor, true, &at), SKV_NO_MEMORY);
    CHECK_EQ(at.records, 0);
    CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
    CHECK_EQ(at.records, 4);
    skv_log_cursor_free(cursor);
    skv_log_free(log);
    scratch_remove(dir, FROM);
}

/* Over many segments, from any record on: the first frame is what is left of it. */
static void test_a_log_becomes_another_one_from_any_record_on(void)
{
    uint64_t random = check_seed();
    int from = scratch_make(FROM);
    skv_log *log = logs_found(from, logs_small);
    for (int i = 0; i < 60; i++) {
        logs_append(log, 1, 1 + check_random(&random) % 9);
        logs_sync(log);
    }
    for (int i = 0; i < 12; i++) {
        uint64_t first = i ? 1 + check_random(&random) % skv_log_last(log) : 1;
        skv_log_cursor *cursor = cursor_at(log, first);
        taking at = {.next = first};
        CHECK_EQ(take_all(cursor, i % 2, &at), SKV_AGAIN);
        CHECK_EQ(at.next, skv_log_last(log) + 1);
        skv_log_cursor_free(cursor);
    }
    {
        int to = scratch_make(TO);
        skv_log *other = logs_found(to, logs_small);
        skv_log_cursor *cursor = cursor_at(log, 1);
        taking at = {.to = other, .next = 1};
        CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
        CHECK_EQ(skv_log_last(other), skv_log_last(log));
        logs_sync(other);
        CHECK_EQ(skv_log_durable(other), skv_log_last(log));
        skv_log_cursor_free(cursor);
        skv_log_free(other);
        logs_expect(to, 1, skv_log_last(log)); /* what was appended is a log like any other */
        scratch_remove(to, TO);
    }
    skv_log_free(log);
    scratch_remove(from, FROM);
}

/* A crash and an opening wrote the unproven tail again, several frames as one: a reader that has some of it gets the rest. */
static void test_a_frame_that_an_opening_made_of_several_is_taken_from_where_the_reader_is(void)
{
    for (uint64_t known = 0; known <= 6; known++) {
        int dir = scratch_make(FROM);
        skv_log *log = logs_found(dir, logs_small);
        skv_log_found_tail tail;
        skv_error err = {0};
        skv_log_cursor *cursor;
        taking at = {.next = known + 1};
        for (int i = 0; i < 3; i++) {
            logs_append(log, 1, 2);
            logs_sync(log);
        }
        skv_log_free(log);
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
        CHECK_EQ(skv_log_last(log), 6);
        cursor = cursor_at(log, known + 1);
        CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
        CHECK_EQ(at.records, 6 - known);
        logs_append(log, 1, 1);
        logs_sync(log);
        CHECK_EQ(take_all(cursor, true, &at), SKV_AGAIN);
        CHECK_EQ(at.next, 8);
        skv_log_cursor_free(cursor);
        skv_log_free(log);
        scratch_remove(dir, FROM);
    }
}

static void test_what_is_gone_is_told(void)
{
    int dir = scratch_make(FROM);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_cursor *cursor = cursor_at(log, 1);
    taking at = {.next = 1};
    skv_error err = {0};
    for (int i = 0; i < 200; i++)
        logs_append(log, 1, 1);
    logs_sync(log);
    skv_log_retire(log, skv_log_last(log), 0);
    CHECK_OK(skv_log_tend(log, &err), &err);
    CHECK(skv_log_oldest(log) > 1);
    CHECK_EQ(skv_log_read_frame(cursor, true, take, &at, &err), SKV_LOG_GONE);
    CHECK_EQ(err.seqno + 1, skv_log_oldest(log));
    skv_log_cursor_free(cursor);
    skv_log_free(log);
    scratch_remove(dir, FROM);
}

static void test_a_segment_without_a_name_is_noticed(void)
{
    int dir = scratch_make(FROM);
    skv_log *log = logs_found(dir, logs_small);
    scratch_copy none = {0};
    logs_append(log, 1, 1);
    logs_sync(log);
    CHECK(!skv_log_is_unlinked(log));
    scratch_restore(dir, &none);
    CHECK(skv_log_is_unlinked(log));
    skv_log_free(log);
    scratch_remove(dir, FROM);
}

int main(void)
{
    RUN(test_frames_come_when_they_are_durable_or_ahead_when_they_are_closed);
    RUN(test_a_frame_that_was_refused_comes_again);
    RUN(test_a_log_becomes_another_one_from_any_record_on);
    RUN(test_a_frame_that_an_opening_made_of_several_is_taken_from_where_the_reader_is);
    RUN(test_what_is_gone_is_told);
    RUN(test_a_segment_without_a_name_is_noticed);
    return 0;
}
