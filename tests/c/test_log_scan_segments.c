/* Recovery meets segments that are missing, foreign, doubled, cut, swapped or of another version: it refuses with the
 * file's name, or does without what nobody needs. */
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "hash.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "segments"
#define RECORDS 250
#define FIRST "log/00000001.log"
#define SECOND "log/00000002.log"

/* A log of at least three segments, synced and in the side file. */
static int make_segments(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log *log = logs_found(dir, logs_small);
    skv_stats stats = {0};
    for (int group = 0; group < RECORDS / 5; group++) {
        logs_append(log, 1, 5);
        logs_sync(log);
    }
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_stats_read(log, &stats);
    CHECK(stats.log_segments >= 3);
    skv_log_free(log);
    return dir;
}

static void expect_refusal(int dir, skv_code code, const char *file)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    skv_code found = logs_scan(dir, 0, &log, &tail, &err);
    CHECK_EQ(found, code);
    CHECK_EQ(err.code, code);
    if (strcmp(err.file, file) != 0)
        (void)fprintf(stderr, "%s: %s\n", err.file, err.text);
    CHECK(strcmp(err.file, file) == 0);
    CHECK(err.text[0]);
    scratch_remove(dir, PLACE);
}

static void copy_file(int dir, const char *from, const char *to)
{
    size_t bytes;
    uint8_t *file = scratch_read(dir, from, &bytes);
    scratch_write(dir, to, file, bytes, 0);
    free(file);
}

/* Change some bits of a header field and make its checksum right again. */
static void change_header(int dir, const char *name, size_t at, uint8_t bits)
{
    size_t bytes;
    uint8_t *file = scratch_read(dir, name, &bytes);
    file[at] ^= bits;
    skv_store64(file + SKV_SEGMENT_CHECKSUM,
                skv_hash64(file + SKV_SEGMENT_VERSION, SKV_SEGMENT_FRAMES - SKV_SEGMENT_VERSION, 0));
    scratch_write(dir, name, file, bytes, 0);
    free(file);
}

static void test_a_missing_segment_refuses(void)
{
    int dir = make_segments();
    logs_expect(dir, 1, RECORDS);
    CHECK_EQ(unlinkat(dir, FIRST, 0), 0);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    CHECK_EQ(unlinkat(dir, SECOND, 0), 0);
    expect_refusal(dir, SKV_CORRUPT, "log/00000003.log");
}

/* The side file knows how far the log went. */
static void test_missing_last_segments_refuse(void)
{
    char name[64];
    int dir = make_segments();
    for (int number = 2; number < 20; number++) {
        CHECK(snprintf(name, sizeof name, "log/%08d.log", number) > 0);
        (void)unlinkat(dir, name, 0);
    }
    expect_refusal(dir, SKV_CORRUPT, FIRST);
    dir = make_segments();
    for (int number = 1; number < 20; number++) {
        CHECK(snprintf(name, sizeof name, "log/%08d.log", number) > 0);
        (void)unlinkat(dir, name, 0);
    }
    expect_refusal(dir, SKV_CORRUPT, "log");
}

static void test_a_segment_of_another_store_refuses(void)
{
    int dir = make_segments();
    change_header(dir, SECOND, SKV_SEGMENT_STORE_ID, 1);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
}

static void test_a_file_that_is_no_segment_refuses(void)
{
    static const char *const names[] = {"notes.txt", "00000009.log.bak", "9.log", "00000000.log", "000000001.log"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        int dir = make_segments();
        CHECK(snprintf(path, sizeof path, "log/%s", names[i]) > 0);
        scratch_write(dir, path, "hello", 5, 0);
        expect_refusal(dir, SKV_CORRUPT, names[i]);
    }
}

static void test_two_files_with_one_segment_refuse(void)
{
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    int dir = make_segments();
    copy_file(dir, SECOND, "log/00000077.log");
    CHECK_EQ(logs_scan(dir, 0, &log, &tail, &err), SKV_CORRUPT);
    CHECK(strcmp(err.file, SECOND) == 0 || strcmp(err.file, "log/00000077.log") == 0);
    CHECK(strstr(err.text, "two files"));
    scratch_remove(dir, PLACE);
}

static void test_a_cut_or_longer_segment_refuses(void)
{
    int dir = make_segments();
    scratch_cut(dir, SECOND, SKV_PAGE_BYTES / 2);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    scratch_zero(dir, SECOND, SKV_PAGE_BYTES, SKV_PAGE_BYTES);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    scratch_cut(dir, SECOND, 100); /* nothing of it is left: it is missing */
    expect_refusal(dir, SKV_CORRUPT, "log/00000003.log");
}

static void test_swapped_names_do_no_harm_but_swapped_content_refuses(void)
{
    int dir = make_segments();
    copy_file(dir, FIRST, "log/00000088.log");
    copy_file(dir, SECOND, FIRST);
    copy_file(dir, "log/00000088.log", SECOND);
    CHECK_EQ(unlinkat(dir, "log/00000088.log", 0), 0);
    logs_expect(dir, 1, RECORDS);
    /* The second segment's header in front of the first one's frames. */
    {
        size_t bytes;
        uint8_t *file = scratch_read(dir, FIRST, &bytes);
        scratch_write(dir, SECOND, file + SKV_SEGMENT_FRAMES, bytes - SKV_SEGMENT_FRAMES, SKV_SEGMENT_FRAMES);
        free(file);
    }
    expect_refusal(dir, SKV_CORRUPT, SECOND);
}

static void test_a_segment_that_does_not_continue_its_predecessor_refuses(void)
{
    int dir = make_segments();
    change_header(dir, SECOND, SKV_SEGMENT_PREVIOUS, 1);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    change_header(dir, SECOND, SKV_SEGMENT_FIRST_SEQNO, 2);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    change_header(dir, FIRST, SKV_SEGMENT_FIRST_SEQNO, 3);
    expect_refusal(dir, SKV_CORRUPT, FIRST);
}

static void test_an_unknown_version_is_refused_and_left_alone(void)
{
    scratch_copy before, after;
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    int dir = make_segments();
    change_header(dir, SECOND, SKV_SEGMENT_VERSION, 0x80);
    scratch_save(dir, &before);
    CHECK_EQ(logs_scan(dir, 0, &log, &tail, &err), SKV_FORMAT);
    scratch_save(dir, &after);
    CHECK_EQ(after.count, before.count);
    for (int i = 0; i < before.count; i++) {
        CHECK(strcmp(before.files[i].name, after.files[i].name) == 0);
        CHECK_EQ(before.files[i].bytes, after.files[i].bytes);
        CHECK(memcmp(before.files[i].data, after.files[i].data, before.files[i].bytes) == 0);
    }
    scratch_drop(&before);
    scratch_drop(&after);
    expect_refusal(dir, SKV_FORMAT, SECOND);
}

static void test_a_damaged_or_blank_header_of_a_live_segment_refuses(void)
{
    int dir = make_segments();
    scratch_flip(dir, SECOND, 8 * SKV_SEGMENT_SALT);
    expect_refusal(dir, SKV_CORRUPT, SECOND);
    dir = make_segments();
    scratch_zero(dir, SECOND, SKV_SEGMENT_FRAMES, 0);
    expect_refusal(dir, SKV_CORRUPT, "log/00000003.log");
}

static void test_a_log_without_its_side_file_refuses(void)
{
    int dir = make_segments();
    CHECK_EQ(unlinkat(dir, "log/MARK", 0), 0);
    expect_refusal(dir, SKV_CORRUPT, "log/MARK");
    dir = make_segments();
    scratch_cut(dir, "log/MARK", 100);
    expect_refusal(dir, SKV_CORRUPT, "log/MARK");
}

/* What an interrupted creation leaves: short, or blank. It is taken away or used. */
static void test_half_made_files_are_cleared_away(void)
{
    int dir = make_segments();
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    scratch_write(dir, "log/00000050.log", "", 0, 0);
    scratch_zero(dir, "log/00000051.log", 100, 0);
    scratch_zero(dir, "log/00000052.log", SKV_PAGE_BYTES / 2, 0);
    logs_expect(dir, 1, RECORDS);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    skv_log_free(log);
    CHECK_EQ(scratch_size(dir, "log/00000050.log"), -1);
    CHECK_EQ(scratch_size(dir, "log/00000051.log"), -1);
    CHECK_EQ(scratch_size(dir, "log/00000052.log"), -1);
    scratch_remove(dir, PLACE);
}

/* -- who looks on ---------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t first, last; /* as was told beforehand */
    uint64_t seen;        /* in order, from 1 on */
} looker;

static void note_what_comes(void *context, uint64_t first_seqno, uint64_t last_seqno)
{
    looker *looks = context;
    CHECK_EQ(looks->seen, 0);
    looks->first = first_seqno;
    looks->last = last_seqno;
}

static void ignore_what_comes(void *context, uint64_t first_seqno, uint64_t last_seqno)
{
    (void)context, (void)first_seqno, (void)last_seqno;
}

static skv_code see(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    looker *looks = context;
    (void)position;
    CHECK_EQ(record->seqno, looks->seen + 1);
    looks->seen = record->seqno;
    return looks->seen == 7 && !looks->first ? skv_fail(err, SKV_NO_MEMORY, "enough") : SKV_OK;
}

static void test_a_visitor_sees_all_but_the_last_segment_while_it_is_scanned(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    looker looks = {0}, refuses = {0};
    const skv_log_visitor visitor = {note_what_comes, see, &looks};
    skv_log *log = logs_found(dir, logs_small);
    logs_append(log, 1, 200);
    logs_sync(log);
    skv_log_free(log);
    CHECK_OK(skv_log_create(dir, logs_id, logs_small, &logs_clock, &log, &err), &err);
    CHECK_OK(skv_log_scan(log, 0, &visitor, &tail, &err), &err);
    CHECK_EQ(looks.first, 1);
    CHECK_EQ(looks.last, tail.visited_seqno);
    CHECK_EQ(looks.seen, tail.visited_seqno);
    CHECK(tail.visited_seqno > 1 && tail.visited_seqno < 200);
    CHECK_OK(skv_log_visit_records(log, tail.visited_seqno + 1, tail.last_seqno, see, &looks, &err), &err);
    CHECK_EQ(looks.seen, 200);
    skv_log_free(log);
    CHECK_OK(skv_log_create(dir, logs_id, logs_small, &logs_clock, &log, &err), &err);
    CHECK_EQ(skv_log_scan(log, 0, &(skv_log_visitor){ignore_what_comes, see, &refuses}, &tail, &err), SKV_NO_MEMORY);
    CHECK_EQ(refuses.seen, 7);
    skv_log_free(log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_missing_segment_refuses);
    RUN(test_missing_last_segments_refuse);
    RUN(test_a_segment_of_another_store_refuses);
    RUN(test_a_file_that_is_no_segment_refuses);
    RUN(test_two_files_with_one_segment_refuse);
    RUN(test_a_cut_or_longer_segment_refuses);
    RUN(test_swapped_names_do_no_harm_but_swapped_content_refuses);
    RUN(test_a_segment_that_does_not_continue_its_predecessor_refuses);
    RUN(test_an_unknown_version_is_refused_and_left_alone);
    RUN(test_a_damaged_or_blank_header_of_a_live_segment_refuses);
    RUN(test_a_log_without_its_side_file_refuses);
    RUN(test_half_made_files_are_cleared_away);
    RUN(test_a_visitor_sees_all_but_the_last_segment_while_it_is_scanned);
    return 0;
}
