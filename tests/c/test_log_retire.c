/* Retention: what nobody needs any more stays for readers up to a budget, the oldest goes first; recovery never needs it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "log_read.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "retire"

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

/* A log with `count` records in many segments; those before `bound` are retired. */
static skv_log *make_retired(int dir, uint64_t budget_bytes, uint64_t count, uint64_t bound)
{
    skv_log *log = logs_found(dir, logs_small);
    skv_log_retain(log, budget_bytes);
    logs_append(log, 1, count);
    logs_sync(log);
    skv_log_retire(log, bound, 0);
    tend(log);
    return log;
}

static skv_code open_again(int dir, skv_log **log, skv_error *err)
{
    skv_log_found_tail tail;
    return logs_recover(dir, 0, log, &tail, err);
}

static void test_nothing_is_retained_without_a_budget(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = make_retired(dir, 0, 600, 601);
    skv_stats stats = stats_of(log);
    CHECK(stats.retained_segments == 0 && stats.retained_bytes == 0);
    CHECK_EQ(logs_slot(dir, 0).kept_segment_id, 0);
    CHECK_EQ(skv_log_oldest(log), logs_slot(dir, 0).first_seqno);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_the_oldest_goes_first_when_the_budget_is_used_up(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = make_retired(dir, 4 * SKV_PAGE_BYTES, 700, 701);
    uint64_t oldest = skv_log_oldest(log), before;
    for (uint64_t count = 700; count < 1900; count += 150) {
        skv_stats stats = stats_of(log);
        CHECK(stats.retained_bytes <= 4 * SKV_PAGE_BYTES && stats.retained_segments == 4);
        CHECK(oldest > 1 && oldest < count);
        logs_append(log, 1, 150);
        logs_sync(log);
        skv_log_retire(log, count + 151, 0);
        tend(log);
        before = oldest;
        oldest = skv_log_oldest(log);
        CHECK(oldest > before);
        for (int slot = 0; slot < 2; slot++) {
            CHECK_EQ(logs_slot(dir, slot).kept_seqno, oldest);
            CHECK(logs_slot(dir, slot).kept_segment_id + 4 == logs_slot(dir, slot).first_segment_id);
        }
    }
    CHECK(logs_files(dir) <= 4 + 1 + 1 + 3);
    skv_log_retain(log, 0);
    tend(log);
    CHECK_EQ(stats_of(log).retained_segments, 0);
    CHECK_EQ(skv_log_oldest(log), logs_slot(dir, 1).first_seqno);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_a_budget_smaller_than_a_segment_keeps_the_newest_one(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = make_retired(dir, 1, 600, 601);
    CHECK_EQ(stats_of(log).retained_segments, 1);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

/* Every open begins a segment; were each retained at its full size, a few opens would use the budget up. */
static void test_a_mostly_empty_segment_is_cut_when_it_is_retained(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    for (int open = 0; open < 10; open++) {
        skv_log_retain(log, 16 * SKV_PAGE_BYTES);
        logs_append(log, 1, 10);
        logs_sync(log);
        skv_log_retire(log, skv_log_last(log) + 1, 0);
        CHECK_OK(skv_log_finish(log, &err), &err);
        skv_log_free(log);
        CHECK_OK(open_again(dir, &log, &err), &err);
    }
    skv_log_retain(log, 16 * SKV_PAGE_BYTES);
    skv_log_retire(log, skv_log_last(log) + 1, 0);
    tend(log);
    CHECK_EQ(skv_log_oldest(log), 1);
    CHECK_EQ(stats_of(log).retained_segments, 10);
    CHECK_EQ(stats_of(log).retained_bytes, 10 * SKV_PAGE_BYTES);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

static void test_what_is_retained_survives_a_close_and_a_kill(void)
{
    for (int killed = 0; killed < 2; killed++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_log *log = make_retired(dir, 6 * SKV_PAGE_BYTES, 900, 901);
        uint64_t oldest = skv_log_oldest(log), segments = stats_of(log).retained_segments;
        if (!killed)
            CHECK_OK(skv_log_finish(log, &err), &err);
        skv_log_free(log);
        for (int again = 0; again < 3; again++) {
            CHECK_OK(open_again(dir, &log, &err), &err);
            skv_log_retain(log, 6 * SKV_PAGE_BYTES);
            CHECK_EQ(skv_log_oldest(log), oldest);
            CHECK_EQ(stats_of(log).retained_segments, segments);
            tend(log);
            skv_log_free(log);
        }
        scratch_remove(dir, PLACE);
    }
}

/* -- what recovery makes of damage ---------------------------------------------------------------------------------- */

/* The file of a retained segment: the one that holds the oldest records, or the one after. */
static void name_retained(int dir, int after, char out[64])
{
    scratch_copy files;
    skv_segment_header header;
    scratch_save(dir, &files);
    out[0] = 0;
    for (int i = 0; i < files.count; i++)
        if (!strstr(files.files[i].name, "MARK") &&
            skv_segment_header_read(files.files[i].data, &header) == SKV_HEADER_GOOD &&
            header.id == logs_slot(dir, 0).kept_segment_id + (uint64_t)after)
            CHECK(snprintf(out, 64, "%s", files.files[i].name) > 0);
    scratch_drop(&files);
    CHECK(out[0]);
}

typedef void (*damage)(int dir, const char *name);

static void flip_header(int dir, const char *name)
{
    scratch_flip(dir, name, 8 * SKV_SEGMENT_FIRST_SEQNO + 1);
}
static void flip_frame(int dir, const char *name)
{
    scratch_flip(dir, name, 8 * (SKV_SEGMENT_FRAMES + 3));
}
static void wipe(int dir, const char *name)
{
    scratch_zero(dir, name, SKV_PAGE_BYTES, 0);
}
static void cut(int dir, const char *name)
{
    scratch_cut(dir, name, 700);
}
static void take_away(int dir, const char *name)
{
    CHECK_EQ(unlinkat(dir, name, 0), 0);
}

static const damage damages[] = {flip_header, flip_frame, wipe, cut, take_away};

static skv_code count_record(void *context, const skv_record *record, skv_error *err)
{
    uint64_t *next = context;
    (void)err;
    CHECK_EQ(record->seqno, *next);
    ++*next;
    return SKV_OK;
}

static skv_code read_all(skv_log *log, uint64_t *next, skv_error *err)
{
    skv_log_cursor *cursor;
    skv_code code;
    CHECK_OK(skv_log_cursor_create(log, *next, &cursor, err), err);
    while ((code = skv_log_read(cursor, 1000, count_record, next, err)) == SKV_OK)
        CHECK(*next <= skv_log_durable(log) + 1);
    CHECK_EQ(skv_log_cursor_next(cursor), *next);
    skv_log_cursor_free(cursor);
    return code;
}

/* The open succeeds and the log takes appends; the reader is told when it gets there, with a place; what follows is read. */
static void test_damage_to_a_retained_segment_is_its_readers_matter(void)
{
    for (int after = 0; after < 2; after++)
        for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
            int dir = scratch_make(PLACE);
            char name[64];
            skv_error err = {0};
            skv_log *log = make_retired(dir, 6 * SKV_PAGE_BYTES, 900, 901);
            uint64_t oldest = skv_log_oldest(log), next = oldest, last = logs_slot(dir, 0).first_seqno;
            skv_log_free(log);
            name_retained(dir, after, name);
            damages[i](dir, name);
            CHECK_OK(open_again(dir, &log, &err), &err);
            skv_log_retain(log, 6 * SKV_PAGE_BYTES);
            logs_append(log, 1, 5);
            logs_sync(log);
            CHECK_EQ(read_all(log, &next, &err), SKV_CORRUPT);
            CHECK(err.file[0] && err.text[0] && err.seqno == next);
            CHECK(after ? next > oldest : next < oldest + 110); /* a page holds about that many */
            CHECK_EQ(read_all(log, &last, &err), SKV_AGAIN);
            CHECK_EQ(last, 906);
            skv_log_retain(log, 0); /* what is damaged goes with the rest */
            tend(log);
            CHECK_EQ(skv_log_oldest(log), logs_slot(dir, 0).first_seqno);
            CHECK(logs_files(dir) <= 1 + 1 + 4 + 1);
            skv_log_free(log);
            CHECK_OK(open_again(dir, &log, &err), &err);
            skv_log_free(log);
            scratch_remove(dir, PLACE);
        }
}

/* A header that cannot be read may be that of a needed segment, when no retained one is missing. */
static void test_a_damaged_header_of_a_live_segment_still_refuses(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = make_retired(dir, 6 * SKV_PAGE_BYTES, 900, 600);
    char name[64];
    skv_log_free(log);
    name_retained(dir, 7, name); /* live: six are retained */
    flip_header(dir, name);
    CHECK_EQ(open_again(dir, &log, &err), SKV_CORRUPT);
    CHECK(strcmp(err.file, name) == 0);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_nothing_is_retained_without_a_budget);
    RUN(test_the_oldest_goes_first_when_the_budget_is_used_up);
    RUN(test_a_budget_smaller_than_a_segment_keeps_the_newest_one);
    RUN(test_a_mostly_empty_segment_is_cut_when_it_is_retained);
    RUN(test_what_is_retained_survives_a_close_and_a_kill);
    RUN(test_damage_to_a_retained_segment_is_its_readers_matter);
    RUN(test_a_damaged_header_of_a_live_segment_still_refuses);
    return 0;
}
