/* L2 part (log family). Finding the segments at open: which are live, which retained, which to be used again. FORMAT.md 10.
 * Recovery needs the live ones alone: damage to a retained one is its readers' matter. */
#include "log_state.h"

#include <stdlib.h>

#define MARK_NAME "log/MARK"

typedef enum { FILE_LIVE, FILE_RETAINED, FILE_UNUSED, FILE_DAMAGED } file_kind;

typedef struct {
    skv_log *log;
    skv_segment *damaged; /* files whose headers are: owned */
} finding;

static skv_code refuse_damaged(const skv_segment *segment, skv_error *err)
{
    return skv_fail_at(err, SKV_CORRUPT, segment->name, 0, 0, "the segment header is damaged");
}

/* By its id: what a file holds that is not needed is not looked at. */
static skv_code classify_by_id(const skv_log *log, skv_segment *segment, uint64_t file_bytes, file_kind *kind,
                               skv_error *err)
{
    uint64_t told_bytes = segment->header.file_bytes, id = segment->header.id;
    if (memcmp(segment->header.store_id, log->store_id, SKV_STORE_ID_BYTES) != 0)
        return skv_fail_at(err, SKV_CORRUPT, segment->name, SKV_SEGMENT_STORE_ID, 0,
                           "the segment belongs to another store");
    segment->header.file_bytes = file_bytes;
    if (id < log->mark.first_segment_id) {
        *kind = log->mark.kept_segment_id && id >= log->mark.kept_segment_id ? FILE_RETAINED : FILE_UNUSED;
        return SKV_OK;
    }
    *kind = FILE_LIVE;
    if (told_bytes != file_bytes)
        return skv_fail_at(err, SKV_CORRUPT, segment->name, file_bytes, segment->header.first_seqno,
                           "the segment has %llu bytes, not %llu", (unsigned long long)file_bytes,
                           (unsigned long long)told_bytes);
    return SKV_OK;
}

static skv_code classify(const skv_log *log, skv_segment *segment, file_kind *kind, skv_error *err)
{
    uint8_t sector[SKV_SEGMENT_FRAMES];
    uint64_t file_bytes = segment->header.file_bytes;
    skv_code code;
    *kind = FILE_UNUSED;
    if (file_bytes < SKV_SEGMENT_FRAMES)
        return SKV_OK; /* its creation was interrupted */
    code = skv_os_read(segment->fd, segment->name, sector, sizeof sector, 0, err);
    if (code != SKV_OK)
        return code;
    switch (skv_segment_header_read(sector, &segment->header)) {
    case SKV_HEADER_BLANK:
        return SKV_OK;
    case SKV_HEADER_DAMAGED:
        *kind = FILE_DAMAGED;
        return SKV_OK;
    case SKV_HEADER_UNKNOWN_VERSION:
        return skv_fail_at(err, SKV_FORMAT, segment->name, SKV_SEGMENT_VERSION, 0,
                           "the segment has a format version that this release does not know");
    case SKV_HEADER_GOOD:
        break;
    }
    return classify_by_id(log, segment, file_bytes, kind, err);
}

/* Lists are kept in the order of their ids. */
static skv_code insert_by_id(skv_segment **link, skv_segment *segment, skv_error *err)
{
    while (*link && (*link)->header.id < segment->header.id)
        link = &(*link)->next;
    if (*link && (*link)->header.id == segment->header.id)
        return skv_fail_at(err, SKV_CORRUPT, segment->name, SKV_SEGMENT_ID, segment->header.first_seqno,
                           "two files hold log segment %llu; the other is %s",
                           (unsigned long long)segment->header.id, (*link)->name);
    segment->next = *link;
    *link = segment;
    return SKV_OK;
}

static void push(skv_segment **list, skv_segment *segment)
{
    segment->next = *list;
    *list = segment;
}

static bool usable_again(const skv_log *log, uint64_t file_bytes)
{
    return file_bytes >= log->sizes.segment_bytes_min && file_bytes <= log->sizes.segment_bytes_max &&
           file_bytes % SKV_PAGE_BYTES == 0;
}

/* Takes the segment over, whatever comes of it. */
static skv_code adopt(finding *found, skv_segment *segment, skv_error *err)
{
    skv_log *log = found->log;
    file_kind kind;
    skv_code code = classify(log, segment, &kind, err);
    if (code == SKV_OK && kind == FILE_DAMAGED) {
        push(&found->damaged, segment);
        return SKV_OK;
    }
    if (code == SKV_OK && kind == FILE_UNUSED) { /* removed once the side file, by whose word it is unused, is durable */
        push(log->still || usable_again(log, segment->header.file_bytes) ? &log->free : &log->retired, segment);
        return SKV_OK;
    }
    if (code == SKV_OK)
        code = insert_by_id(kind == FILE_LIVE ? &log->oldest : &log->kept, segment, err);
    if (code == SKV_OK)
        return SKV_OK;
    skv_segment_free(segment);
    return code;
}

static skv_code adopt_file(void *context, const char *entry, skv_error *err)
{
    finding *found = context;
    skv_log *log = found->log;
    skv_segment *segment;
    skv_code code;
    char *end = NULL;
    unsigned long long number = strtoull(entry, &end, 10);
    if (strcmp(entry, "MARK") == 0)
        return SKV_OK;
    if (number == 0 || end != entry + 8 || strcmp(end, ".log") != 0)
        return skv_fail_at(err, SKV_CORRUPT, entry, 0, 0, "a foreign file lies in the log directory");
    if (number >= log->next_number)
        log->next_number = number + 1;
    code = log->still ? skv_segment_open_still(log->dir, number, &segment, err)
                      : skv_segment_open(log->dir, number, &segment, err);
    return code == SKV_OK ? adopt(found, segment, err) : code;
}

static skv_code check_live(skv_log *log, skv_error *err)
{
    uint64_t wanted = log->mark.first_segment_id;
    for (skv_segment *segment = log->oldest; segment; segment = segment->next, wanted++)
        if (segment->header.id != wanted)
            return skv_fail_at(err, SKV_CORRUPT, segment->name, 0, segment->header.first_seqno - 1,
                               "log segment %llu is missing (the next one is %llu)", (unsigned long long)wanted,
                               (unsigned long long)segment->header.id);
    if (!log->oldest && log->mark.durable_seqno > 0)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, log->mark.durable_seqno,
                           "log segment %llu is missing, and so is every later one", (unsigned long long)wanted);
    if (log->oldest && log->oldest->header.first_seqno != log->mark.first_seqno)
        return skv_fail_at(err, SKV_CORRUPT, log->oldest->name, SKV_SEGMENT_FIRST_SEQNO, log->mark.first_seqno,
                           "the log begins at seqno %llu, the side file says %llu",
                           (unsigned long long)log->oldest->header.first_seqno,
                           (unsigned long long)log->mark.first_seqno);
    return SKV_OK;
}

/* Retained ones hold neither memory nor descriptors. Where the next one is missing nobody knows where one ends: at the
 * first frame that does not hold. Returns how many are missing. */
static uint64_t join_retained(skv_log *log)
{
    uint64_t wanted = log->mark.kept_segment_id, missing = 0;
    for (skv_segment *segment = log->kept; segment; segment = segment->next) {
        uint64_t next_id = segment->next ? segment->next->header.id : log->mark.first_segment_id;
        uint64_t next_seqno = segment->next ? segment->next->header.first_seqno : log->mark.first_seqno;
        missing += segment->header.id - wanted;
        wanted = segment->header.id + 1;
        segment->last_seqno = next_id == wanted ? next_seqno - 1 : UINT64_MAX;
        segment->end = (size_t)segment->header.file_bytes;
        skv_os_close(segment->fd);
        segment->fd = -1;
        log->newest_kept = segment;
        log->kept_bytes += segment->header.file_bytes;
        log->kept_segments++;
    }
    return missing + log->mark.first_segment_id - wanted;
}

/* A header that cannot be read says nothing about its segment. As many as retained ones are missing must be these; any
 * more, and one may be needed. */
static skv_code settle_damaged(skv_log *log, skv_error *err)
{
    uint64_t missing = 0;
    if (log->mark.kept_segment_id) {
        missing = join_retained(log);
        log->kept_id = log->mark.kept_segment_id;
        log->kept_seqno = log->mark.kept_seqno;
    }
    log->lost_id = log->mark.first_segment_id - 1;
    for (const skv_segment *segment = log->lost; segment; segment = segment->next)
        if (missing-- == 0)
            return refuse_damaged(segment, err);
    return SKV_OK;
}

skv_code skv_log_find(skv_log *log, skv_error *err)
{
    finding found = {.log = log};
    skv_code code = skv_os_open(log->dir, MARK_NAME, log->still ? SKV_OPEN_READ : SKV_OPEN_WRITE, &log->mark_fd, err);
    if (code == SKV_NOT_FOUND)
        return skv_fail_at(err, SKV_CORRUPT, MARK_NAME, 0, 0, "the log's side file is missing");
    if (code == SKV_OK)
        code = skv_mark_read(log->mark_fd, log->store_id, &log->mark, err);
    if (code != SKV_OK)
        return code;
    code = skv_os_list(log->dir, "log", adopt_file, &found, err);
    log->lost = found.damaged;
    if (code == SKV_OK)
        code = settle_damaged(log, err);
    return code == SKV_OK ? check_live(log, err) : code;
}
