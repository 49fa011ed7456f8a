/* L2 part (log family). Whole frames. */
#include "log_frames.h"

#include <assert.h>

#include "log_cursor.h"

static void enter_segment(skv_log_cursor *cursor, const skv_log_stand *at)
{
    const skv_segment_header *header = &at->segment->header;
    if (header->id == cursor->segment_id)
        return;
    cursor->segment_id = header->id;
    cursor->offset = SKV_SEGMENT_FRAMES;
    cursor->at_seqno = header->first_seqno;
}

/* The numbers of a closed frame do not change any more; the rest of its header is written while it is being synced. */
static skv_code look_at_frame(skv_log_cursor *cursor, const skv_log_stand *at, skv_frame *out, skv_error *err)
{
    skv_slice bytes;
    skv_code code = skv_log_stand_look(cursor, at, SKV_FRAME_HEADER_BYTES, &bytes, err);
    if (code != SKV_OK)
        return code;
    if (cursor->at_seqno > at->durable) {
        *out = (skv_frame){.body_bytes = skv_load32(bytes.data + SKV_FRAME_BODY_BYTES),
                       .count = skv_load32(bytes.data + SKV_FRAME_COUNT),
                       .first_seqno = skv_load64(bytes.data + SKV_FRAME_FIRST_SEQNO)};
        return SKV_OK;
    }
    if (!skv_frame_read(bytes.data, (size_t)(at->end - cursor->offset), at->segment->header.salt, out) ||
        out->first_seqno != cursor->at_seqno)
        return skv_log_stand_fail(cursor, at, err);
    return SKV_OK;
}

static void pass_frame(skv_log_cursor *cursor, const skv_frame *frame)
{
    cursor->at_seqno += frame->count;
    cursor->offset += skv_frame_span(frame);
}

/* A log that was opened again may have made one frame of several: what the reader has of it already is left out. */
static bool skip_known(uint64_t wanted, skv_log_frame *frame)
{
    while (frame->first_seqno < wanted) {
        size_t bytes = frame->body.bytes < SKV_RECORD_HEADER_BYTES ? SIZE_MAX : skv_record_span(frame->body.data);
        if (bytes > frame->body.bytes)
            return false;
        frame->body.data += bytes;
        frame->body.bytes -= bytes;
        frame->first_seqno++;
    }
    return true;
}

static skv_code take_frame(skv_log_cursor *cursor, const skv_log_stand *at, skv_log_take_frame take, void *context,
                           skv_error *err)
{
    skv_frame frame;
    skv_log_frame out;
    skv_slice bytes;
    skv_code code = look_at_frame(cursor, at, &frame, err);
    while (code == SKV_OK && frame.first_seqno + frame.count <= cursor->next_seqno) {
        pass_frame(cursor, &frame);
        code = look_at_frame(cursor, at, &frame, err);
    }
    if (code == SKV_OK)
        code = skv_log_stand_look(cursor, at, SKV_FRAME_HEADER_BYTES + (size_t)frame.body_bytes, &bytes, err);
    if (code != SKV_OK)
        return code;
    out = (skv_log_frame){{bytes.data + SKV_FRAME_HEADER_BYTES, frame.body_bytes}, frame.first_seqno};
    if (!skip_known(cursor->next_seqno, &out))
        return skv_log_stand_fail(cursor, at, err);
    code = take(context, &out, err);
    if (code == SKV_OK) {
        pass_frame(cursor, &frame);
        cursor->next_seqno = cursor->at_seqno;
    }
    return code;
}

skv_code skv_log_read_frame(skv_log_cursor *cursor, bool ahead, skv_log_take_frame take, void *context, skv_error *err)
{
    skv_log_stand at;
    skv_code code = skv_log_stand_take(cursor, ahead, &at, err);
    if (code != SKV_OK)
        return code;
    enter_segment(cursor, &at);
    code = take_frame(cursor, &at, take, context, err);
    skv_log_stand_leave(cursor, &at);
    return code;
}

void skv_log_count_ahead(skv_log *log, int change)
{
    skv_lock(&log->lock);
    log->ahead = (unsigned)((int)log->ahead + change);
    skv_unlock(&log->lock);
}

unsigned skv_log_ahead_read(skv_log *log)
{
    return skv_event_read(&log->advanced);
}

void skv_log_ahead_wait(skv_log *log, unsigned seen, uint64_t timeout_ns)
{
    skv_event_wait(&log->advanced, seen, timeout_ns);
}

bool skv_log_is_unlinked(skv_log *log)
{
    bool unlinked;
    skv_lock(&log->lock);
    unlinked = log->active && skv_os_is_unlinked(log->active->fd);
    skv_unlock(&log->lock);
    return unlinked;
}

/* -- appending ------------------------------------------------------------------------------------------------------ */

skv_code skv_log_reserve_frame(skv_log *log, size_t bytes, skv_error *err)
{
    skv_log_close_frame(log);
    return skv_log_reserve(log, bytes, err);
}

skv_position skv_log_append_frame(skv_log *log, skv_slice body, uint32_t count)
{
    skv_segment *active = log->active;
    size_t at;
    assert(!log->frame_at);
    log->frame_at = active->end;
    at = active->end + SKV_FRAME_HEADER_BYTES;
    memcpy(active->base + at, body.data, body.bytes);
    active->end = at + body.bytes;
    log->next_seqno += count;
    log->frame_count = count;
    active->last_seqno = log->next_seqno - 1;
    skv_log_close_frame(log);
    assert(active->end <= active->header.file_bytes);
    return (skv_position){(uint32_t)at, (uint16_t)active->slot};
}
