/* L2 part (log family). What is left of a log. */
#include "log_remains.h"

#include <stdio.h>

#include "frame.h"
#include "memory.h"

#define MARK_NAME "log/MARK"

/* Bytes in which a frame should be, and the seqnos that its records can have. */
typedef struct {
    size_t from, to;
    uint64_t after_seqno, before_seqno;
} gap;

struct skv_remains_file {
    struct skv_remains_file *next; /* segments in the order of their ids, then strays */
    const uint8_t *base;           /* owned */
    size_t bytes;
    bool good;
    skv_segment_header header;
    gap *gaps; /* owned */
    size_t gap_count, gap_capacity;
};

static skv_code fail_memory(skv_error *err)
{
    return skv_fail(err, SKV_NO_MEMORY, "out of memory");
}

void skv_log_remains_free(skv_log_remains *remains)
{
    while (remains->files) {
        skv_remains_file *file = remains->files;
        remains->files = file->next;
        skv_os_unmap(file->base, file->bytes);
        skv_release(file->gaps);
        skv_release(file);
    }
    skv_release(remains->runs);
    *remains = (skv_log_remains){0};
}

static void prove(skv_log_remains *remains, uint64_t seqno)
{
    if (seqno > remains->proven_seqno)
        remains->proven_seqno = seqno;
}

/* -- what is found -------------------------------------------------------------------------------------------------- */

static skv_code add_run(skv_log_remains *remains, skv_remnant run, skv_error *err)
{
    if (remains->count == remains->capacity) {
        size_t capacity = remains->capacity ? 2 * remains->capacity : 256;
        skv_remnant *larger = skv_resize(remains->runs, capacity * sizeof *larger);
        if (!larger)
            return fail_memory(err);
        remains->runs = larger;
        remains->capacity = capacity;
    }
    remains->runs[remains->count++] = run;
    return SKV_OK;
}

static skv_code add_gap(skv_remains_file *file, gap missing, skv_error *err)
{
    if (missing.to - missing.from <= SKV_RECORD_HEADER_BYTES)
        return SKV_OK;
    if (file->gap_count == file->gap_capacity) {
        size_t capacity = file->gap_capacity ? 2 * file->gap_capacity : 16;
        gap *larger = skv_resize(file->gaps, capacity * sizeof *larger);
        if (!larger)
            return fail_memory(err);
        file->gaps = larger;
        file->gap_capacity = capacity;
    }
    file->gaps[file->gap_count++] = missing;
    return SKV_OK;
}

/* -- frames --------------------------------------------------------------------------------------------------------- */

static bool body_holds(const uint8_t *head, const skv_frame *frame)
{
    size_t done = 0;
    if (!skv_frame_verify(head, frame))
        return false;
    for (uint32_t i = 0; i < frame->count; i++) {
        skv_record record;
        size_t bytes = skv_record_decode(head + SKV_FRAME_HEADER_BYTES + done, frame->body_bytes - done, &record);
        if (!bytes || record.seqno != frame->first_seqno + i)
            return false;
        done += bytes;
    }
    return true;
}

/* A walk over one file. */
typedef struct {
    skv_log_remains *remains;
    skv_remains_file *file;
    uint64_t void_from; /* what a newer segment replaces */
    uint64_t previous;  /* checksum of the frame before, while they are joined */
    bool joined;
    size_t gap_from;
    uint64_t last_seqno; /* that was passed */
} walk;

static skv_code take_frame(walk *on, size_t offset, const skv_frame *frame, skv_error *err)
{
    const uint8_t *head = on->file->base + offset;
    uint64_t end = frame->first_seqno + frame->count;
    size_t body = offset + SKV_FRAME_HEADER_BYTES;
    skv_code code = add_gap(on->file, (gap){on->gap_from, offset, on->last_seqno, frame->first_seqno}, err);
    on->joined = on->joined && frame->previous == on->previous;
    on->previous = skv_frame_checksum(head);
    if (code == SKV_OK && body_holds(head, frame))
        code = add_run(on->remains,
                       (skv_remnant){.first_seqno = frame->first_seqno,
                                     .last_seqno = (end < on->void_from ? end : on->void_from) - 1,
                                     .records = head + SKV_FRAME_HEADER_BYTES,
                                     .rank = on->file->good ? SKV_REMNANT_FRAME : SKV_REMNANT_STRAY,
                                     .joined = on->joined},
                       err);
    else if (code == SKV_OK)
        code = add_gap(on->file, (gap){body, body + frame->body_bytes, frame->first_seqno - 1, end}, err);
    prove(on->remains, frame->durable_upto);
    on->last_seqno = end - 1;
    on->gap_from = offset + skv_frame_span(frame);
    return code;
}

/* Frames of one life of a file, from where they begin. Behind one that does not hold, the next that does. */
static skv_code walk_frames(walk *on, uint64_t salt, skv_error *err)
{
    skv_code code = SKV_OK;
    size_t offset = SKV_SEGMENT_FRAMES;
    while (code == SKV_OK && offset + SKV_FRAME_HEADER_BYTES <= on->file->bytes) {
        const uint8_t *head = on->file->base + offset;
        skv_frame frame;
        if (skv_load64(head + SKV_FRAME_SALT) != salt || !skv_frame_read(head, on->file->bytes - offset, salt, &frame)) {
            offset += 8;
            continue;
        }
        if (frame.first_seqno >= on->void_from)
            break;
        if (frame.first_seqno <= on->last_seqno) { /* it is inside what was passed */
            offset += 8;
            continue;
        }
        code = take_frame(on, offset, &frame, err);
        offset = on->gap_from;
    }
    return code == SKV_OK ? add_gap(on->file, (gap){on->gap_from, on->file->bytes, on->last_seqno, on->void_from}, err) : code;
}

/* The salt of the newest frame in a file whose header does not tell. 0: there is none. */
static uint64_t find_salt(const skv_remains_file *file)
{
    uint64_t salt = 0, newest = 0;
    for (size_t offset = SKV_SEGMENT_FRAMES; offset + SKV_FRAME_HEADER_BYTES <= file->bytes; offset += 8) {
        const uint8_t *head = file->base + offset;
        skv_frame frame;
        uint64_t here = skv_load64(head + SKV_FRAME_SALT);
        if (!here || here == salt ||
            !skv_frame_read(head, file->bytes - offset, here, &frame) || frame.first_seqno <= newest)
            continue;
        salt = here;
        newest = frame.first_seqno;
    }
    return salt;
}

static skv_code walk_file(skv_log_remains *remains, skv_remains_file *file, skv_error *err)
{
    walk on = {.remains = remains, .file = file, .void_from = UINT64_MAX, .gap_from = SKV_SEGMENT_FRAMES};
    uint64_t salt = file->good ? file->header.salt : find_salt(file);
    if (!file->good)
        return salt ? walk_frames(&on, salt, err) : SKV_OK;
    if (file->next && file->next->good)
        on.void_from = file->next->header.first_seqno;
    on.last_seqno = file->header.first_seqno - 1;
    on.previous = file->header.previous;
    on.joined = true;
    prove(remains, on.last_seqno);
    return walk_frames(&on, salt, err);
}

/* -- files ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    skv_log_remains *remains;
    int dir;
    const uint8_t *store_id;
} reading;

static void insert(skv_log_remains *remains, skv_remains_file *file)
{
    skv_remains_file **link = &remains->files;
    while (*link && (*link)->good && (!file->good || (*link)->header.id < file->header.id))
        link = &(*link)->next;
    file->next = *link;
    *link = file;
}

/* Files that recovery would use again are not needed, and may hold what never was. */
static bool needed(const reading *at, const skv_remains_file *file)
{
    const skv_mark *mark = &at->remains->mark;
    uint64_t least = mark->kept_segment_id ? mark->kept_segment_id : mark->first_segment_id;
    return memcmp(file->header.store_id, at->store_id, SKV_STORE_ID_BYTES) == 0 &&
           (!at->remains->marked || file->header.id >= least);
}

static skv_code map_file(int fd, const char *name, skv_remains_file *file, skv_error *err)
{
    uint64_t bytes = 0;
    skv_code code = skv_os_size(fd, name, &bytes, err);
    file->bytes = (size_t)bytes;
    if (code == SKV_OK && bytes >= SKV_SEGMENT_FRAMES)
        code = skv_os_map_file(fd, name, file->bytes, &file->base, err);
    return code;
}

static skv_code read_file(void *context, const char *entry, skv_error *err)
{
    reading *at = context;
    char name[SKV_NAME_MAX];
    skv_remains_file *file;
    int fd;
    skv_code code;
    if (strlen(entry) != strlen("00000001.log") || strcmp(entry + 8, ".log") != 0)
        return SKV_OK;
    (void)snprintf(name, sizeof name, "log/%.8s.log", entry);
    code = skv_os_open(at->dir, name, SKV_OPEN_READ, &fd, err);
    if (code != SKV_OK)
        return code == SKV_CORRUPT ? SKV_OK : code;
    file = skv_alloc(sizeof *file);
    code = file ? map_file(fd, name, file, err) : fail_memory(err);
    skv_os_close(fd);
    if (code == SKV_OK && file->base) {
        file->good = skv_segment_header_read(file->base, &file->header) == SKV_HEADER_GOOD;
        if (!file->good || needed(at, file)) {
            insert(at->remains, file);
            return SKV_OK;
        }
    }
    if (file)
        skv_os_unmap(file->base, file->bytes);
    skv_release(file);
    return code;
}

/* Without the side file: the ids without a gap down from the newest, where a file without a header may fill one. */
static void drop_unconnected(skv_log_remains *remains)
{
    skv_remains_file *from = remains->files, *file;
    uint64_t strays = 0;
    for (file = remains->files; file; file = file->next)
        strays += !file->good;
    for (file = remains->files; file && file->good && file->next && file->next->good; file = file->next)
        if (file->next->header.id > file->header.id + 1 + strays)
            from = file->next;
    while (remains->files != from) {
        file = remains->files;
        remains->files = file->next;
        skv_os_unmap(file->base, file->bytes);
        skv_release(file);
    }
}

static void read_mark(int dir, const uint8_t *store_id, skv_log_remains *out)
{
    int fd;
    if (skv_os_open(dir, MARK_NAME, SKV_OPEN_READ, &fd, NULL) != SKV_OK)
        return;
    out->marked = skv_mark_read(fd, store_id, &out->mark, NULL) == SKV_OK;
    skv_os_close(fd);
    if (out->marked)
        prove(out, out->mark.durable_seqno);
}

skv_code skv_log_remains_read(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_log_remains *out, skv_error *err)
{
    reading at = {out, dir, store_id};
    skv_code code = SKV_OK;
    *out = (skv_log_remains){.oldest_seqno = UINT64_MAX};
    read_mark(dir, store_id, out);
    if (skv_os_exists(dir, "log"))
        code = skv_os_list(dir, "log", read_file, &at, err);
    if (!out->marked)
        drop_unconnected(out);
    if (out->files && out->files->good)
        out->oldest_seqno = out->files->header.first_seqno;
    for (skv_remains_file *file = out->files; file && code == SKV_OK; file = file->next)
        code = walk_file(out, file, err);
    return code;
}

/* -- single records ------------------------------------------------------------------------------------------------- */

static skv_code salvage(skv_log_remains *remains, const skv_remains_file *file, const gap *in, skv_error *err)
{
    uint64_t after = in->after_seqno;
    size_t offset = in->from;
    while (offset + SKV_RECORD_HEADER_BYTES < in->to && after + 1 < in->before_seqno) {
        skv_record record;
        size_t bytes = skv_record_decode(file->base + offset, in->to - offset, &record);
        skv_remnant run = {record.seqno, record.seqno, file->base + offset,
                           file->good ? SKV_REMNANT_RECORD : SKV_REMNANT_STRAY, false};
        skv_code code;
        if (!bytes || record.seqno <= after || record.seqno >= in->before_seqno || !skv_record_verify(&record)) {
            offset++;
            continue;
        }
        code = add_run(remains, run, err);
        if (code != SKV_OK)
            return code;
        after = record.seqno;
        offset += bytes;
    }
    return SKV_OK;
}

skv_code skv_log_remains_salvage(skv_log_remains *remains, uint64_t proven_seqno, skv_error *err)
{
    skv_code code = SKV_OK;
    for (skv_remains_file *file = remains->files; file; file = file->next)
        for (size_t i = 0; i < file->gap_count && code == SKV_OK; i++) {
            gap in = file->gaps[i];
            if (in.before_seqno > proven_seqno + 1)
                in.before_seqno = proven_seqno + 1;
            code = salvage(remains, file, &in, err);
        }
    return code;
}
