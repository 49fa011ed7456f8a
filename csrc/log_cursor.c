/* L2 part (log family). The cursor: where it stands, the segment that it holds in place, the bytes there. */
#include "log_cursor.h"

#include "memory.h"

/* A retained segment is read through a window of its file: never mapped, so that a file cut by others is an error. */
#define WINDOW_BYTES ((size_t)256 << 10)

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

skv_code skv_log_cursor_create(skv_log *log, uint64_t next_seqno, skv_log_cursor **out, skv_error *err)
{
    skv_log_cursor *cursor = skv_alloc(sizeof *cursor);
    *out = cursor;
    if (!cursor)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    cursor->log = log;
    cursor->next_seqno = next_seqno;
    cursor->fd = -1;
    return SKV_OK;
}

static void close_file(skv_log_cursor *cursor)
{
    skv_os_close(cursor->fd);
    cursor->fd = -1;
    cursor->file_id = 0;
    cursor->window_bytes = 0;
}

static void free_window(skv_log_cursor *cursor)
{
    skv_release(cursor->window);
    cursor->window = NULL;
    cursor->window_capacity = cursor->window_bytes = 0;
}

void skv_log_cursor_free(skv_log_cursor *cursor)
{
    if (!cursor)
        return;
    close_file(cursor);
    free_window(cursor);
    skv_release(cursor);
}

uint64_t skv_log_cursor_next(const skv_log_cursor *cursor)
{
    return cursor->next_seqno;
}

skv_log_rest skv_log_cursor_rest(const skv_log_cursor *cursor)
{
    return (skv_log_rest){.last_seqno = cursor->frame_last,
                          .bytes = (size_t)(cursor->body_end - cursor->offset),
                          .checksum = cursor->previous,
                          .previous = cursor->frame.previous,
                          .durable_upto = cursor->frame.durable_upto};
}

/* -- finding the segment -------------------------------------------------------------------------------------------- */

/* Under the lock. */
static uint64_t oldest_seqno(const skv_log *log)
{
    if (log->kept_id)
        return log->kept_seqno;
    return log->oldest ? log->oldest->header.first_seqno : log->next_seqno; /* none: never begun, and nobody has it open */
}

uint64_t skv_log_oldest(skv_log *log)
{
    uint64_t seqno;
    skv_lock(&log->lock);
    seqno = oldest_seqno(log);
    skv_unlock(&log->lock);
    return seqno;
}

bool skv_log_begins_behind(skv_log *log, uint64_t seqno, uint64_t *out)
{
    const skv_segment *first;
    bool behind;
    skv_lock(&log->lock);
    first = log->kept_id ? log->kept : log->oldest;
    behind = first && oldest_seqno(log) == seqno + 1 && first->header.first_seqno == seqno + 1;
    if (behind)
        *out = first->header.previous;
    skv_unlock(&log->lock);
    return behind;
}

static skv_code fail_gone(uint64_t wanted, uint64_t oldest, skv_error *err)
{
    return skv_fail_at(err, SKV_LOG_GONE, "", 0, oldest - 1,
                       "the record with seqno %llu is no longer in the log, the oldest one is %llu: go on after %llu",
                       (unsigned long long)wanted, (unsigned long long)oldest, (unsigned long long)oldest - 1);
}

skv_code skv_log_reaches(skv_log *log, uint64_t since, skv_error *err)
{
    skv_code code = SKV_OK;
    skv_lock(&log->lock);
    if (since >= log->next_seqno)
        code = skv_fail(err, SKV_INVALID, "since is %llu, but the newest record has seqno %llu: it was of another store",
                        (unsigned long long)since, (unsigned long long)log->next_seqno - 1);
    else if (since + 1 < oldest_seqno(log))
        code = fail_gone(since + 1, oldest_seqno(log), err);
    skv_unlock(&log->lock);
    return code;
}

/* Under the lock. */
static skv_code fail_missing(const skv_log *log, uint64_t seqno, skv_error *err)
{
    return skv_fail_at(err, SKV_CORRUPT, log->lost ? log->lost->name : "log", 0, seqno,
                       "the retained log segment that holds seqno %llu is missing or its header is damaged",
                       (unsigned long long)seqno);
}

/* The last segment that begins at or before the record: what an older one holds from there on is void. Under the lock. */
static bool find_segment(const skv_log *log, uint64_t seqno, skv_log_stand *out)
{
    out->segment = NULL;
    for (skv_segment *segment = log->kept; segment && segment->header.first_seqno <= seqno; segment = segment->next) {
        out->segment = segment;
        out->retained = true;
    }
    for (skv_segment *segment = log->oldest; segment && segment->header.first_seqno <= seqno; segment = segment->next) {
        out->segment = segment;
        out->retained = false;
    }
    return out->segment != NULL;
}

skv_code skv_log_stand_take(skv_log_cursor *cursor, bool ahead, skv_log_stand *out, skv_error *err)
{
    skv_log *log = cursor->log;
    uint64_t wanted = cursor->next_seqno, durable = skv_log_durable(log), last;
    skv_code code = SKV_OK;
    skv_lock(&log->lock);
    if (wanted < oldest_seqno(log))
        code = fail_gone(wanted, oldest_seqno(log), err);
    else if (wanted > durable && !(ahead && wanted <= log->closed_seqno))
        code = SKV_AGAIN;
    else if (!find_segment(log, wanted, out))
        code = fail_missing(log, wanted, err);
    if (code == SKV_OK) {
        out->segment->readers++; /* neither unmapped nor used again meanwhile */
        out->end = out->segment->end;
        last = out->segment->last_seqno;
        out->endless = last == UINT64_MAX;
        out->durable = durable;
        out->upto = last < durable ? last : durable;
    }
    skv_unlock(&log->lock);
    return code;
}

void skv_log_stand_leave(skv_log_cursor *cursor, const skv_log_stand *at)
{
    if (cursor->window_capacity > WINDOW_BYTES)
        free_window(cursor);
    skv_lock(&cursor->log->lock);
    at->segment->readers--;
    skv_unlock(&cursor->log->lock);
}

/* -- bytes ---------------------------------------------------------------------------------------------------------- */

static skv_code open_file(skv_log_cursor *cursor, const skv_log_stand *at, skv_error *err)
{
    skv_code code;
    if (cursor->fd >= 0 && cursor->file_id == at->segment->header.id)
        return SKV_OK;
    close_file(cursor);
    code = skv_os_open(cursor->log->dir, at->segment->name, SKV_OPEN_READ, &cursor->fd, err);
    if (code == SKV_NOT_FOUND)
        return skv_fail_at(err, SKV_CORRUPT, at->segment->name, 0, cursor->next_seqno, "the retained segment is missing");
    cursor->file_id = at->segment->header.id;
    return code;
}

/* Read a stretch of the file that has `bytes` from offset on. */
static skv_code move_window(skv_log_cursor *cursor, const skv_log_stand *at, uint64_t offset, size_t bytes, skv_error *err)
{
    size_t capacity = bytes > WINDOW_BYTES ? bytes : WINDOW_BYTES;
    uint64_t rest = at->end - offset;
    skv_code code = open_file(cursor, at, err);
    if (code != SKV_OK)
        return code;
    if (capacity != cursor->window_capacity) { /* a large record has its own window, for as long as it is read */
        free_window(cursor);
        cursor->window = skv_alloc(capacity);
        if (!cursor->window)
            return skv_fail(err, SKV_NO_MEMORY, "out of memory: a record of %zu bytes of the log", bytes);
        cursor->window_capacity = capacity;
    }
    cursor->window_bytes = 0;
    capacity = rest < capacity ? (size_t)rest : capacity;
    code = skv_os_read(cursor->fd, at->segment->name, cursor->window, capacity, offset, err);
    if (code != SKV_OK)
        return code;
    cursor->window_at = offset;
    cursor->window_bytes = capacity;
    return SKV_OK;
}

skv_code skv_log_stand_fail(const skv_log_cursor *cursor, const skv_log_stand *at, skv_error *err)
{
    if (at->endless) {
        skv_lock(&cursor->log->lock);
        (void)fail_missing(cursor->log, cursor->at_seqno, err);
        skv_unlock(&cursor->log->lock);
        return SKV_CORRUPT;
    }
    return skv_fail_at(err, SKV_CORRUPT, at->segment->name, cursor->offset, cursor->at_seqno,
                       "the record with seqno %llu was durable and is damaged", (unsigned long long)cursor->at_seqno);
}

skv_code skv_log_stand_look(skv_log_cursor *cursor, const skv_log_stand *at, size_t bytes, skv_slice *out, skv_error *err)
{
    uint64_t offset = cursor->offset;
    skv_code code;
    if (offset > at->end || at->end - offset < bytes)
        return skv_log_stand_fail(cursor, at, err);
    if (!at->retained) {
        *out = (skv_slice){at->segment->base + offset, (size_t)(at->end - offset)};
        return SKV_OK;
    }
    if (offset < cursor->window_at || offset + bytes > cursor->window_at + cursor->window_bytes ||
        cursor->file_id != at->segment->header.id) {
        code = move_window(cursor, at, offset, bytes, err);
        if (code != SKV_OK)
            return code;
    }
    *out = (skv_slice){cursor->window + (offset - cursor->window_at),
                       (size_t)(cursor->window_at + cursor->window_bytes - offset)};
    return SKV_OK;
}
