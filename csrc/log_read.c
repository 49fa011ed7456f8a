/* L2 part (log family). Reading by records. */
#include "log_cursor.h"

/* -- frames and records --------------------------------------------------------------------------------------------- */

static skv_code enter_segment(skv_log_cursor *cursor, const skv_log_stand *at, skv_error *err)
{
    const skv_segment_header *header = &at->segment->header;
    bool next = cursor->segment_id && header->id == cursor->segment_id + 1;
    if (header->id == cursor->segment_id)
        return SKV_OK;
    if (next && (header->first_seqno != cursor->at_seqno || header->previous != cursor->previous))
        return skv_fail_at(err, SKV_CORRUPT, at->segment->name, SKV_SEGMENT_FIRST_SEQNO, cursor->next_seqno,
                           "the segment does not continue the one before, which ends at seqno %llu",
                           (unsigned long long)cursor->at_seqno - 1);
    cursor->segment_id = header->id;
    cursor->offset = SKV_SEGMENT_FRAMES;
    cursor->at_seqno = header->first_seqno;
    cursor->previous = header->previous;
    cursor->body_end = 0;
    return SKV_OK;
}

/* Go into the frame that it stands at, or past it when the wanted record lies behind it. */
static skv_code enter_frame(skv_log_cursor *cursor, const skv_log_stand *at, skv_error *err)
{
    skv_slice bytes;
    skv_frame frame;
    skv_code code = skv_log_stand_look(cursor, at, SKV_FRAME_HEADER_BYTES, &bytes, err);
    if (code != SKV_OK)
        return code;
    if (!skv_frame_read(bytes.data, (size_t)(at->end - cursor->offset), at->segment->header.salt, &frame) ||
        frame.first_seqno != cursor->at_seqno || frame.previous != cursor->previous)
        return skv_log_stand_fail(cursor, at, err);
    cursor->previous = skv_frame_checksum(bytes.data);
    if (cursor->at_seqno + frame.count <= cursor->next_seqno) {
        cursor->at_seqno += frame.count;
        cursor->offset += skv_frame_span(&frame);
        return SKV_OK;
    }
    cursor->frame = frame;
    cursor->frame_last = cursor->at_seqno + frame.count - 1;
    cursor->offset += SKV_FRAME_HEADER_BYTES;
    cursor->body_end = cursor->offset + frame.body_bytes;
    return SKV_OK;
}

/* The record that it stands at, and how many bytes it takes. */
static skv_code look_at_record(skv_log_cursor *cursor, const skv_log_stand *at, skv_record *out, size_t *bytes, skv_error *err)
{
    skv_slice slice;
    size_t rest = (size_t)(cursor->body_end - cursor->offset);
    skv_code code = skv_log_stand_look(cursor, at, SKV_RECORD_HEADER_BYTES, &slice, err);
    if (code != SKV_OK)
        return code;
    *bytes = skv_record_span(slice.data);
    if (*bytes > rest)
        return skv_log_stand_fail(cursor, at, err);
    code = skv_log_stand_look(cursor, at, *bytes, &slice, err);
    if (code != SKV_OK)
        return code;
    if (skv_record_decode(slice.data, *bytes, out) != *bytes || out->seqno != cursor->at_seqno ||
        !skv_record_verify(out))
        return skv_log_stand_fail(cursor, at, err);
    return SKV_OK;
}

static skv_code read_record(skv_log_cursor *cursor, const skv_log_stand *at, skv_log_take take, void *context, skv_error *err)
{
    skv_record record;
    size_t bytes;
    skv_code code = look_at_record(cursor, at, &record, &bytes, err);
    if (code == SKV_OK && cursor->at_seqno == cursor->next_seqno)
        code = take(context, &record, err);
    if (code != SKV_OK)
        return code;
    if (cursor->at_seqno++ == cursor->next_seqno)
        cursor->next_seqno++;
    cursor->offset += bytes;
    if (cursor->offset == cursor->body_end) {
        cursor->offset = skv_align8((size_t)cursor->offset);
        cursor->body_end = 0;
    }
    return SKV_OK;
}

skv_code skv_log_read(skv_log_cursor *cursor, size_t bytes, skv_log_take take, void *context, skv_error *err)
{
    skv_log_stand at;
    uint64_t end;
    skv_code code = skv_log_stand_take(cursor, false, &at, err);
    if (code != SKV_OK)
        return code;
    code = enter_segment(cursor, &at, err);
    end = cursor->offset + bytes;
    while (code == SKV_OK && cursor->next_seqno <= at.upto && cursor->offset < end)
        code = cursor->body_end ? read_record(cursor, &at, take, context, err) : enter_frame(cursor, &at, err);
    skv_log_stand_leave(cursor, &at);
    return code;
}

/* -- waiting -------------------------------------------------------------------------------------------------------- */

skv_code skv_log_watch(skv_log *log, uint64_t seqno, uint64_t timeout_ns, skv_error *err)
{
    unsigned seen = skv_event_read(&log->advanced);
    if (seqno <= skv_log_durable(log))
        return SKV_OK;
    if (skv_log_health(log, err) != SKV_OK)
        return SKV_POISONED;
    skv_event_wait(&log->advanced, seen, timeout_ns);
    return seqno <= skv_log_durable(log) ? SKV_OK : SKV_AGAIN;
}

void skv_log_wake_watchers(skv_log *log)
{
    skv_event_notify(&log->advanced);
}
