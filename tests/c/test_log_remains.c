/* What is left of a damaged log: whatever was done to its files, every record that was not touched is found, as it was
 * written, and nothing else is. */
#include "log_remains.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "log_read.h"
#include "log_state.h"
#include "logs.h"
#include "memory.h"
#include "remnants.h"
#include "scratch.h"

#define PLACE "remains"
#define RECORDS 600

/* Checksums of records by their seqno; 0: there is none. */
typedef struct {
    uint32_t checksums[RECORDS + 1];
    uint64_t count;
} found;

/* Many segments of one page, frames of 1 to 7 records, all durable, ended as by a crash. */
static void make_log(int dir)
{
    skv_log *log = logs_found(dir, logs_small);
    for (uint64_t group = 1; skv_log_last(log) < RECORDS; group++) {
        uint64_t left = RECORDS - skv_log_last(log), wanted = 1 + group % 7;
        logs_append(log, 1, wanted < left ? wanted : left);
        logs_sync(log);
    }
    skv_log_free(log);
}

static skv_code note(void *context, const skv_record *record, skv_error *err)
{
    found *out = context;
    (void)err;
    CHECK(record->seqno >= 1 && record->seqno <= RECORDS && !out->checksums[record->seqno]);
    CHECK(skv_record_verify(record));
    out->checksums[record->seqno] = record->checksum;
    out->count++;
    return SKV_OK;
}

/* All that is left, and single records up to `proven`. */
static found look(int dir, uint64_t proven, skv_log_remains *out)
{
    found all = {.count = 0};
    skv_error err = {0};
    skv_remnants_part part = {out, UINT64_MAX};
    skv_remnants together;
    CHECK_OK(skv_log_remains_read(dir, logs_id, out, &err), &err);
    CHECK_OK(skv_log_remains_salvage(out, proven, &err), &err);
    CHECK_OK(skv_remnants_gather(&part, 1, &together, &err), &err);
    CHECK_OK(skv_remnants_visit(&together, 1, UINT64_MAX, (skv_remnants_taker){note, &all}, &err), &err);
    skv_remnants_free(&together);
    return all;
}

static found look_once(int dir)
{
    skv_log_remains remains;
    found all = look(dir, RECORDS, &remains);
    skv_log_remains_free(&remains);
    return all;
}

/* What was found is what was written, and at most `lost` records are missing. */
static void check_found(const found *all, const found *written, uint64_t lost)
{
    for (uint64_t seqno = 1; seqno <= RECORDS; seqno++)
        CHECK(!all->checksums[seqno] || all->checksums[seqno] == written->checksums[seqno]);
    CHECK(all->count + lost >= written->count);
}

static const char *random_segment(const scratch_copy *files, uint64_t *random, size_t *bytes)
{
    for (;;) {
        size_t at = check_random(random) % (size_t)files->count;
        *bytes = files->files[at].bytes;
        if (strcmp(files->files[at].name, "log/MARK") != 0)
            return files->files[at].name;
    }
}

static void test_of_a_sound_log_everything_is_left_joined_and_proven(void)
{
    int dir = scratch_make(PLACE);
    skv_log_remains remains;
    found all;
    make_log(dir);
    all = look(dir, 0, &remains);
    CHECK_EQ(all.count, RECORDS);
    CHECK(remains.marked);
    CHECK_EQ(remains.oldest_seqno, 1);
    for (size_t i = 0; i < remains.count; i++)
        CHECK(remains.runs[i].rank == SKV_REMNANT_FRAME && remains.runs[i].joined);
    skv_log_remains_free(&remains);
    scratch_remove(dir, PLACE);
}

static uint64_t proven_in(int dir)
{
    skv_log_remains remains;
    uint64_t proven;
    (void)look(dir, 0, &remains);
    proven = remains.proven_seqno;
    skv_log_remains_free(&remains);
    return proven;
}

/* By a frame what was durable before it; by the side file what it says; by a segment's header everything older. */
static void test_frames_the_side_file_and_headers_prove_what_was_durable(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log *log;
    uint64_t proven;
    make_log(dir);
    proven = proven_in(dir);
    CHECK(proven >= RECORDS - 7 && proven < RECORDS);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.proven_seqno, proven);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    CHECK_EQ(proven_in(dir), RECORDS);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    skv_log_free(log);
    CHECK_EQ(unlinkat(dir, "log/MARK", 0), 0);
    CHECK_EQ(proven_in(dir), RECORDS);
    scratch_remove(dir, PLACE);
}

static void test_one_flipped_bit_takes_one_record_at_most(void)
{
    int dir = scratch_make(PLACE);
    uint64_t random = check_seed();
    scratch_copy files;
    found written;
    make_log(dir);
    written = look_once(dir);
    scratch_save(dir, &files);
    for (int i = 0; i < 400; i++) {
        size_t bytes;
        const char *name = random_segment(&files, &random, &bytes);
        /* every fourth in a header, whose loss makes a stray of the file */
        size_t bit = check_random(&random) % (8 * (i % 4 ? bytes : SKV_SEGMENT_HEADER_BYTES));
        found all;
        scratch_flip(dir, name, bit);
        all = look_once(dir);
        check_found(&all, &written, 1);
        scratch_flip(dir, name, bit);
    }
    scratch_drop(&files);
    scratch_remove(dir, PLACE);
}

/* Records of a segment file that overlap these bytes, or begin behind `to` when the file was cut there. */
static uint64_t touched(const scratch_copy *files, const char *name, size_t from, size_t to)
{
    uint64_t count = 0;
    const uint8_t *file = NULL;
    size_t bytes = 0, end;
    uint32_t frames;
    for (int i = 0; i < files->count; i++)
        if (strcmp(files->files[i].name, name) == 0) {
            file = files->files[i].data;
            bytes = files->files[i].bytes;
        }
    CHECK(file);
    end = logs_end(file, bytes, &frames);
    for (uint32_t n = 0; n < frames && from < end; n++) {
        skv_frame frame;
        size_t at = logs_frame_at(file, bytes, n, &frame) + SKV_FRAME_HEADER_BYTES;
        for (uint32_t i = 0; i < frame.count; i++) {
            skv_record record;
            size_t span = skv_record_decode(file + at, bytes - at, &record);
            count += at < to && at + span > from;
            at += span;
        }
    }
    return count;
}

static void test_what_holes_and_cuts_do_not_touch_is_found(void)
{
    int dir = scratch_make(PLACE);
    uint64_t random = check_seed();
    scratch_copy files;
    found written;
    make_log(dir);
    written = look_once(dir);
    scratch_save(dir, &files);
    for (int i = 0; i < 300; i++) {
        size_t bytes, from, count;
        const char *name = random_segment(&files, &random, &bytes);
        found all;
        from = check_random(&random) % bytes;
        count = 1 + check_random(&random) % 700;
        count = i % 3 && from + count < bytes ? count : bytes - from;
        if (i % 3)
            scratch_zero(dir, name, count, from);
        else
            scratch_cut(dir, name, from);
        all = look_once(dir);
        /* of a file that ends in its header nothing is looked for: there is nothing */
        check_found(&all, &written, touched(&files, name, from, from + count));
        scratch_restore(dir, &files);
    }
    scratch_drop(&files);
    scratch_remove(dir, PLACE);
}

static void test_a_file_that_is_gone_takes_its_records_alone(void)
{
    int dir = scratch_make(PLACE);
    scratch_copy files;
    found written, all;
    make_log(dir);
    written = look_once(dir);
    scratch_save(dir, &files);
    for (int i = 0; i < files.count; i++) {
        uint64_t lost = strcmp(files.files[i].name, "log/MARK") ? touched(&files, files.files[i].name, 0, SIZE_MAX) : 0;
        CHECK_EQ(unlinkat(dir, files.files[i].name, 0), 0);
        all = look_once(dir);
        check_found(&all, &written, lost);
        CHECK_EQ(all.count, RECORDS - lost);
        scratch_restore(dir, &files);
    }
    scratch_drop(&files);
    files.count = 0;
    scratch_restore(dir, &files);
    CHECK_EQ(look_once(dir).count, 0);
    CHECK_EQ(unlinkat(dir, "log", AT_REMOVEDIR), 0);
    CHECK_EQ(look_once(dir).count, 0);
    CHECK_EQ(mkdirat(dir, "log", 0700), 0);
    scratch_remove(dir, PLACE);
}

/* A frame behind a hole may be of writes that nobody was told are durable. */
static void test_frames_behind_a_hole_are_not_joined_and_records_are_salvaged_up_to_what_is_proven(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    skv_log_remains remains;
    skv_frame frame;
    uint8_t *file;
    size_t bytes, at;
    for (int i = 0; i < 4; i++) {
        logs_append(log, 1, 3);
        logs_sync(log);
    }
    skv_log_free(log);
    file = scratch_read(dir, "log/00000001.log", &bytes);
    at = logs_frame_at(file, bytes, 1, &frame);
    scratch_flip(dir, "log/00000001.log", 8 * (at + SKV_FRAME_HEADER_BYTES + SKV_RECORD_CHECKSUM)); /* of record 4 */
    for (uint64_t proven = 3; proven <= 7; proven++) {
        found all = look(dir, proven, &remains);
        for (uint64_t seqno = 1; seqno <= 12; seqno++)
            CHECK_EQ(all.checksums[seqno] != 0, seqno != 4 && (seqno < 4 || seqno > 6 || seqno <= proven));
        for (size_t i = 0; i < remains.count; i++) {
            const skv_remnant *run = &remains.runs[i];
            bool single = run->first_seqno == 5 || run->first_seqno == 6;
            CHECK_EQ(run->rank, single ? SKV_REMNANT_RECORD : SKV_REMNANT_FRAME);
            if (!single)
                CHECK(run->joined); /* the frame's header holds: it is known what it was */
        }
        skv_log_remains_free(&remains);
    }
    scratch_zero(dir, "log/00000001.log", 8, at); /* now its header, too */
    (void)look(dir, 0, &remains);
    for (size_t i = 0; i < remains.count; i++)
        CHECK_EQ(remains.runs[i].joined, remains.runs[i].first_seqno < 4);
    skv_log_remains_free(&remains);
    free(file);
    scratch_remove(dir, PLACE);
}

/* A frame of the first segment, changed and sealed again: checksums hold, and what it says is wrong. */
static void forge(int dir, uint32_t number, size_t stamp, uint64_t add_first, uint64_t add_previous)
{
    size_t bytes, at;
    uint8_t *file = scratch_read(dir, "log/00000001.log", &bytes);
    skv_frame frame;
    at = logs_frame_at(file, bytes, number, &frame);
    if (stamp)
        file[at + stamp] ^= 2;
    frame.first_seqno += add_first;
    frame.previous += add_previous;
    skv_frame_number(file + at, &frame);
    (void)skv_frame_seal(file + at, &frame);
    scratch_write(dir, "log/00000001.log", file, bytes, 0);
    free(file);
}

static void test_a_frame_that_contradicts_itself_or_its_place_is_not_taken_for_what_it_says(void)
{
    for (int how = 0; how < 3; how++) {
        int dir = scratch_make(PLACE);
        skv_log *log = logs_found(dir, logs_small);
        skv_log_remains remains;
        for (int i = 0; i < 3; i++) {
            logs_append(log, 1, 2);
            logs_sync(log);
        }
        skv_log_free(log);
        forge(dir, 2, how ? 0 : SKV_FRAME_HEADER_BYTES + SKV_RECORD_STAMP + 1, how == 1 ? 7 : 0, how == 2);
        (void)look(dir, 0, &remains);
        CHECK_EQ(remains.count, how == 2 ? 3 : 2); /* a body with other numbers than its frame's does not hold */
        for (size_t i = 0; i < remains.count; i++)
            CHECK_EQ(remains.runs[i].joined, remains.runs[i].first_seqno < 5);
        skv_log_remains_free(&remains);
        scratch_remove(dir, PLACE);
    }
}

/* A crash tore the last group off, another life wrote others in its place; then the old bytes were there after all. */
static void test_what_a_newer_segment_replaces_does_not_come_back(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_found_tail tail;
    skv_error err = {0};
    skv_log_remains remains;
    skv_frame frame;
    uint8_t *file;
    size_t bytes, at;
    found all;
    logs_append(log, 1, 4);
    logs_sync(log);
    logs_append(log, 1, 3);
    logs_sync(log);
    logs_append(log, 1, 1); /* its frame says that 7 was durable */
    logs_sync(log);
    skv_log_free(log);
    file = scratch_read(dir, "log/00000001.log", &bytes);
    at = logs_frame_at(file, bytes, 1, &frame);
    CHECK_EQ(frame.first_seqno, 5);
    scratch_zero(dir, "log/00000001.log", bytes - at, at);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    CHECK_EQ(tail.last_seqno, 4);
    logs_append(log, 2, 2);
    logs_sync(log);
    skv_log_free(log);
    scratch_write(dir, "log/00000001.log", file, bytes, 0);
    all = look(dir, RECORDS, &remains);
    CHECK_EQ(all.count, 6);
    for (size_t i = 0; i < remains.count; i++)
        CHECK(remains.runs[i].last_seqno <= 6);
    CHECK(remains.proven_seqno <= 6);
    skv_log_remains_free(&remains);
    free(file);
    scratch_remove(dir, PLACE);
}

/* A frame of this segment that somebody stored as a value, behind a header that is damaged: the walk meets it. */
static void test_a_value_that_looks_like_a_frame_is_none(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    skv_log_remains remains;
    skv_error err = {0};
    skv_frame frame;
    uint8_t *file;
    size_t bytes, at, to;
    logs_append(log, 1, 4);
    logs_sync(log);
    CHECK_OK(logs_try(log, 1, 2000, &err), &err);
    logs_sync(log);
    skv_log_free(log);
    file = scratch_read(dir, "log/00000001.log", &bytes);
    at = logs_frame_at(file, bytes, 0, &frame);
    to = (logs_frame_at(file, bytes, 1, &(skv_frame){0}) + 1000) / 8 * 8;
    memcpy(file + to, file + at, SKV_FRAME_HEADER_BYTES + frame.body_bytes);
    scratch_write(dir, "log/00000001.log", file, bytes, 0);
    scratch_zero(dir, "log/00000001.log", 8, logs_frame_at(file, bytes, 1, &frame));
    (void)look(dir, 0, &remains);
    CHECK_EQ(remains.count, 1);
    skv_log_remains_free(&remains);
    free(file);
    scratch_remove(dir, PLACE);
}

/* The same when the header of the old segment is lost: it may be of any life, so what another file has counts. */
static void test_what_stands_in_a_file_without_a_header_gives_way(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_found_tail tail;
    skv_error err = {0};
    skv_log_remains remains;
    uint8_t *file;
    size_t bytes, at;
    found written, all;
    logs_append(log, 1, 2);
    logs_sync(log);
    logs_append(log, 1, 3);
    logs_sync(log);
    skv_log_free(log);
    file = scratch_read(dir, "log/00000001.log", &bytes);
    at = logs_frame_at(file, bytes, 1, &(skv_frame){0});
    scratch_zero(dir, "log/00000001.log", bytes - at, at);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    logs_append(log, 2, 3);
    logs_sync(log);
    skv_log_free(log);
    written = look_once(dir);
    CHECK_EQ(written.count, 5);
    for (int single = 0; single < 2; single++) {
        int strays = 0;
        scratch_write(dir, "log/00000001.log", file, bytes, 0);
        scratch_flip(dir, "log/00000001.log", 0);
        if (single) /* of the last record, so that the two before it are found one by one */
            scratch_flip(dir, "log/00000001.log", 8 * (logs_end(file, bytes, &(uint32_t){0}) - 20));
        all = look(dir, RECORDS, &remains);
        check_found(&all, &written, 0);
        for (size_t i = 0; i < remains.count; i++)
            strays += remains.runs[i].rank == SKV_REMNANT_STRAY;
        CHECK_EQ(strays, single ? 3 : 2);
        skv_log_remains_free(&remains);
    }
    free(file);
    scratch_remove(dir, PLACE);
}

/* The first seqno of a newer segment stands in the midst of a frame: what comes before it counts. */
static void test_of_a_frame_that_is_replaced_in_part_the_rest_counts(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log = logs_found(dir, logs_small);
    skv_log_found_tail tail;
    skv_error err = {0};
    skv_log_remains remains;
    uint8_t *file;
    size_t bytes;
    logs_append(log, 1, 5);
    logs_sync(log);
    CHECK_OK(logs_mark(log, &err), &err);
    skv_log_free(log);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    file = scratch_read(dir, log->active->name, &bytes);
    log->active->header.first_seqno = 4;
    skv_segment_header_write(file, &log->active->header);
    scratch_write(dir, log->active->name, file, bytes, 0);
    skv_log_free(log);
    CHECK_EQ(look(dir, 0, &remains).count, 3);
    CHECK_EQ(remains.count, 1);
    CHECK_EQ(remains.runs[0].last_seqno, 3);
    skv_log_remains_free(&remains);
    free(file);
    scratch_remove(dir, PLACE);
}

static void test_another_stores_files_and_those_that_are_not_needed_are_not_looked_at(void)
{
    static const uint8_t other[SKV_STORE_ID_BYTES] = "another store's";
    int dir = scratch_make(PLACE);
    skv_log *log;
    skv_error err = {0};
    skv_log_remains remains;
    scratch_copy before, files;
    found all;
    make_log(dir);
    CHECK_OK(skv_log_remains_read(dir, other, &remains, &err), &err);
    CHECK_EQ(remains.count, 0);
    CHECK(!remains.marked && !remains.proven_seqno);
    CHECK_EQ(remains.oldest_seqno, UINT64_MAX);
    skv_log_remains_free(&remains);
    scratch_save(dir, &before);
    {
        skv_log_found_tail tail;
        CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    }
    skv_log_retire(log, RECORDS, 0);
    CHECK_OK(logs_mark(log, &err), &err);
    CHECK_OK(skv_log_finish(log, &err), &err);
    skv_log_free(log);
    scratch_save(dir, &files);
    for (int i = 0; i < before.count; i++) /* as if none of them had been used again or removed */
        if (scratch_size(dir, before.files[i].name) < 0)
            scratch_write(dir, before.files[i].name, before.files[i].data, before.files[i].bytes, 0);
    all = look(dir, RECORDS, &remains);
    CHECK(remains.oldest_seqno > 1);
    for (uint64_t seqno = 1; seqno <= RECORDS; seqno++)
        CHECK_EQ(all.checksums[seqno] != 0, seqno >= remains.oldest_seqno);
    skv_log_remains_free(&remains);
    scratch_drop(&before);
    scratch_drop(&files);
    scratch_remove(dir, PLACE);
}

static void test_what_is_retained_is_looked_at_too(void)
{
    int dir = scratch_make(PLACE);
    skv_log *log;
    skv_error err = {0};
    skv_log_found_tail tail;
    skv_log_remains remains;
    uint64_t oldest;
    make_log(dir);
    CHECK_OK(logs_recover(dir, 0, &log, &tail, &err), &err);
    skv_log_retain(log, 2 * SKV_PAGE_BYTES);
    skv_log_retire(log, RECORDS, 0);
    CHECK_OK(logs_mark(log, &err), &err);
    CHECK_OK(logs_mark(log, &err), &err);
    oldest = skv_log_oldest(log);
    CHECK(oldest > 1 && oldest < log->mark.first_seqno);
    skv_log_free(log);
    CHECK_EQ(look(dir, 0, &remains).count, RECORDS + 1 - oldest);
    CHECK_EQ(remains.oldest_seqno, oldest);
    skv_log_remains_free(&remains);
    scratch_remove(dir, PLACE);
}

/* A file that was used again: behind the frames of its last life stand some of the one before. */
static uint64_t put_older_life_behind(int dir, const char *name)
{
    size_t bytes, cut, at;
    uint8_t *newer = scratch_read(dir, name, &bytes), *older = scratch_read(dir, "log/00000001.log", &bytes);
    skv_frame frame;
    uint64_t last;
    cut = logs_frame_at(newer, bytes, 2, &frame);
    last = frame.first_seqno - 1;
    at = logs_frame_at(older, bytes, 2, &frame);
    memcpy(newer + cut, older + at, bytes - (at > cut ? at : cut));
    scratch_write(dir, name, newer, bytes, 0);
    free(newer);
    free(older);
    return last;
}

static void test_of_a_file_that_was_used_again_only_the_newest_life_counts(void)
{
    static const char name[] = "log/00000005.log";
    for (int headless = 0; headless < 2; headless++) {
        int dir = scratch_make(PLACE);
        uint64_t last;
        found all;
        make_log(dir);
        last = put_older_life_behind(dir, name);
        CHECK_EQ(unlinkat(dir, "log/00000001.log", 0), 0); /* as it would be: the older life is over */
        if (headless)
            scratch_zero(dir, name, SKV_SEGMENT_FRAMES, 0);
        all = look_once(dir);
        CHECK(all.checksums[last] && !all.checksums[last + 1]);
        for (uint64_t seqno = 1; seqno < 20; seqno++)
            CHECK(!all.checksums[seqno]);
        scratch_remove(dir, PLACE);
    }
}

/* Without the side file: what is connected, by its ids, with the newest segment; a file without a header may fill a gap. */
static void test_without_the_side_file_segments_count_as_far_back_as_their_ids_have_no_gap(void)
{
    int dir = scratch_make(PLACE);
    scratch_copy files;
    found written, all;
    make_log(dir);
    written = look_once(dir);
    CHECK_EQ(unlinkat(dir, "log/MARK", 0), 0);
    CHECK_EQ(look_once(dir).count, RECORDS);
    scratch_save(dir, &files);
    CHECK(scratch_size(dir, "log/00000003.log") > 0);
    scratch_flip(dir, "log/00000003.log", 0);
    CHECK_EQ(look_once(dir).count, RECORDS); /* its records are strays */
    CHECK_EQ(unlinkat(dir, "log/00000003.log", 0), 0);
    all = look_once(dir);
    check_found(&all, &written, RECORDS);
    for (uint64_t seqno = 1; seqno <= RECORDS; seqno++) {
        bool old = seqno <= touched(&files, "log/00000001.log", 0, SIZE_MAX) + touched(&files, "log/00000002.log", 0, SIZE_MAX) +
                                touched(&files, "log/00000003.log", 0, SIZE_MAX);
        CHECK_EQ(all.checksums[seqno] != 0, !old);
    }
    scratch_drop(&files);
    scratch_remove(dir, PLACE);
}

static skv_code read_all(int dir)
{
    skv_error err = {0};
    skv_log_remains remains;
    skv_code code = skv_log_remains_read(dir, logs_id, &remains, &err);
    if (code == SKV_OK)
        code = skv_log_remains_salvage(&remains, RECORDS, &err);
    CHECK_EQ(code, err.code);
    skv_log_remains_free(&remains);
    return code;
}

static void test_failing_calls_and_missing_memory_are_told(void)
{
    int dir = scratch_make(PLACE);
    long nth;
    bool met = true;
    make_log(dir);
    scratch_flip(dir, "log/00000001.log", 8 * 600);
    for (nth = 1; met; nth++) {
        skv_code code;
        skv_memory_fail(nth, 0);
        code = read_all(dir);
        met = skv_memory_count() >= nth;
        skv_memory_fail(0, 0);
        CHECK_EQ(code, met ? SKV_NO_MEMORY : SKV_OK);
    }
    CHECK(nth > 10);
    met = true;
    for (nth = 1; met; nth++) {
        skv_code code;
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
        code = read_all(dir);
        met = skv_os_calls() >= nth;
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        CHECK_EQ(code, met && nth > 2 ? SKV_IO : SKV_OK); /* a side file that cannot be read is a damaged one */
    }
    CHECK(nth > 10);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_of_a_sound_log_everything_is_left_joined_and_proven);
    RUN(test_frames_the_side_file_and_headers_prove_what_was_durable);
    RUN(test_one_flipped_bit_takes_one_record_at_most);
    RUN(test_what_holes_and_cuts_do_not_touch_is_found);
    RUN(test_a_file_that_is_gone_takes_its_records_alone);
    RUN(test_frames_behind_a_hole_are_not_joined_and_records_are_salvaged_up_to_what_is_proven);
    RUN(test_a_frame_that_contradicts_itself_or_its_place_is_not_taken_for_what_it_says);
    RUN(test_what_a_newer_segment_replaces_does_not_come_back);
    RUN(test_what_stands_in_a_file_without_a_header_gives_way);
    RUN(test_a_value_that_looks_like_a_frame_is_none);
    RUN(test_of_a_frame_that_is_replaced_in_part_the_rest_counts);
    RUN(test_another_stores_files_and_those_that_are_not_needed_are_not_looked_at);
    RUN(test_what_is_retained_is_looked_at_too);
    RUN(test_of_a_file_that_was_used_again_only_the_newest_life_counts);
    RUN(test_without_the_side_file_segments_count_as_far_back_as_their_ids_have_no_gap);
    RUN(test_failing_calls_and_missing_memory_are_told);
    return 0;
}
