/* L2 part (log family). Replay's reader: verifies every frame of the live segments, and tells a torn tail, which was never
 * acknowledged, from damage to what was. FORMAT.md 10 has the rules. */
#include "log_scan.h"

#include "log_read.h"
#include "log_state.h"

#define SEGMENTS_AHEAD 3 /* that the kernel is asked for: the one that is verified, and the next two */

/* -- verifying frames ----------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t next_seqno; /* of the frame that must come */
    uint64_t previous;   /* checksum of the frame before */
    uint64_t proven;     /* newest seqno that something proves durable */
    uint64_t records;
} progress;

static void prove(progress *at, uint64_t seqno)
{
    if (seqno > at->proven)
        at->proven = seqno;
}

/* Walk the records of a frame, to be sure that its count and its bytes agree. */
static bool body_agrees(const uint8_t *body, const skv_frame *frame)
{
    size_t done = 0;
    for (uint32_t i = 0; i < frame->count; i++) {
        skv_record record;
        size_t bytes = skv_record_decode(body + done, frame->body_bytes - done, &record);
        if (!bytes || record.seqno != frame->first_seqno + i)
            return false;
        done += bytes;
    }
    return done == frame->body_bytes;
}

/* The next frame, when it is whole and continues the log. */
static bool take_frame(const skv_segment *segment, progress *at, size_t *offset)
{
    const uint8_t *head = segment->base + *offset;
    skv_frame frame;
    if (!skv_frame_read(head, (size_t)segment->header.file_bytes - *offset, segment->header.salt, &frame) ||
        frame.first_seqno != at->next_seqno || frame.previous != at->previous || !skv_frame_verify(head, &frame) ||
        !body_agrees(head + SKV_FRAME_HEADER_BYTES, &frame))
        return false;
    prove(at, frame.durable_upto);
    at->next_seqno += frame.count;
    at->records += frame.count;
    at->previous = skv_frame_checksum(head);
    *offset += skv_frame_span(&frame);
    return true;
}

/* -- visiting records ----------------------------------------------------------------------------------------------- */

static skv_code visit_segment(skv_segment *segment, uint64_t from, uint64_t upto, skv_log_visit visit, void *context,
                              skv_error *err)
{
    size_t offset = SKV_SEGMENT_FRAMES;
    while (offset < segment->end) {
        skv_frame frame;
        const uint8_t *head = segment->base + offset;
        size_t at = offset + SKV_FRAME_HEADER_BYTES;
        if (!skv_frame_read(head, segment->end - offset, segment->header.salt, &frame))
            return skv_fail_at(err, SKV_CORRUPT, segment->name, offset, 0, "the frame changed while it was replayed");
        offset += skv_frame_span(&frame);
        for (uint32_t i = 0; i < frame.count; i++) {
            skv_record record;
            skv_position position = {(uint32_t)at, (uint16_t)segment->slot};
            skv_code code = SKV_OK;
            at += skv_record_decode(segment->base + at, SIZE_MAX, &record);
            if (record.seqno >= from && record.seqno <= upto)
                code = visit(context, position, &record, err);
            if (code != SKV_OK)
                return code;
        }
    }
    return SKV_OK;
}

/* Is all of it older? Its successor's header on disk says so; a fresh one's is not there yet. */
static bool lies_before(const skv_segment *segment, uint64_t seqno)
{
    return segment->next && segment->next->header_durable && segment->next->header.first_seqno <= seqno;
}

skv_code skv_log_visit_records(skv_log *log, uint64_t from, uint64_t upto, skv_log_visit visit, void *context,
                               skv_error *err)
{
    skv_code code = SKV_OK;
    for (skv_segment *segment = log->oldest; segment && code == SKV_OK; segment = segment->next)
        /* By what it holds, not by last_seqno: that already leaves out the tail which is to be written again. */
        if (segment->header_durable && segment->header.first_seqno <= upto && !lies_before(segment, from))
            code = visit_segment(segment, from, upto, visit, context, err);
    return code;
}

/* -- scanning ------------------------------------------------------------------------------------------------------- */

/* Behind a frame that does not hold there may be later ones that say it was durable. */
static void look_for_proof(const skv_segment *segment, size_t offset, progress *at)
{
    size_t bytes = (size_t)segment->header.file_bytes;
    for (size_t here = offset; here + SKV_FRAME_HEADER_BYTES <= bytes; here += 8) {
        skv_frame frame;
        if (skv_load64(segment->base + here + SKV_FRAME_SALT) == segment->header.salt &&
            skv_frame_read(segment->base + here, bytes - here, segment->header.salt, &frame))
            prove(at, frame.durable_upto);
    }
}

static skv_code scan_segment(skv_log *log, skv_segment *segment, progress *at, skv_error *err)
{
    size_t offset = SKV_SEGMENT_FRAMES;
    uint64_t durable;
    skv_code code = skv_segment_map(segment, err);
    if (code != SKV_OK)
        return code;
    if (!skv_segment_take_slot(segment, log->slots, SKV_SLOTS_MAX))
        return skv_fail(err, SKV_FULL, "the log has more than %d segments", SKV_SLOTS_MAX);
    while ((!segment->next || at->next_seqno < segment->next->header.first_seqno) && take_frame(segment, at, &offset))
        continue;
    segment->end = segment->sealed = segment->durable = offset;
    segment->last_seqno = at->next_seqno - 1;
    if (!segment->next && segment->header.id != log->mark.closed_segment_id)
        look_for_proof(segment, offset, at);
    /* A later header is written only after everything older was synced. */
    durable = segment->next ? segment->next->header.first_seqno - 1 : at->proven;
    if (durable >= at->next_seqno)
        return skv_fail_at(err, SKV_CORRUPT, segment->name, offset, at->next_seqno,
                           "the record with seqno %llu was durable and is damaged or missing (proven up to %llu)",
                           (unsigned long long)at->next_seqno, (unsigned long long)durable);
    prove(at, durable);
    return SKV_OK;
}

/* A segment that begins in the middle of its predecessor replaces what follows there: see skv_log_start. */
static skv_code join(const skv_segment *segment, progress *at, skv_error *err)
{
    if (segment->header.first_seqno == at->next_seqno && segment->header.previous == at->previous)
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, segment->name, SKV_SEGMENT_FIRST_SEQNO, segment->header.first_seqno,
                       "the segment begins at seqno %llu and does not continue the one before, which ends at %llu",
                       (unsigned long long)segment->header.first_seqno, (unsigned long long)at->next_seqno - 1);
}

/* A frame is durable whole or not at all: one that something proves in part is proven. What comes after it is the tail,
 * to be written again behind the checksum of the last proven frame. */
static void settle_tail(skv_log *log, const skv_segment *segment, progress *at, skv_log_found_tail *out)
{
    size_t offset = SKV_SEGMENT_FRAMES;
    skv_frame frame;
    log->previous = segment->header.previous;
    while (offset < segment->end && skv_frame_read(segment->base + offset, segment->end - offset, segment->header.salt, &frame)) {
        if (frame.first_seqno <= at->proven) {
            log->previous = skv_frame_checksum(segment->base + offset);
            prove(at, frame.first_seqno + frame.count - 1);
        } else {
            out->tail_bytes += frame.body_bytes;
        }
        offset += skv_frame_span(&frame);
    }
}

/* Ask for up to `most` segments from this one on; returns the first that was not asked for. */
static const skv_segment *read_ahead(const skv_segment *segment, int most)
{
    for (; segment && most > 0; most--, segment = segment->next)
        skv_os_will_need(segment->fd, segment->header.file_bytes);
    return segment;
}

static void tell_what_comes(const skv_log *log, const skv_log_visitor *visitor)
{
    const skv_segment *last = log->oldest;
    while (last && last->next)
        last = last->next;
    if (last)
        visitor->expect(visitor->context, log->mark.first_seqno, last->header.first_seqno - 1);
}

/* The next segment and what it needs of the one before; its records are shown when a later header proves them. */
static skv_code take_segment(skv_log *log, skv_segment *segment, progress *at, const skv_log_visitor *visitor, skv_error *err)
{
    skv_code code = join(segment, at, err);
    if (code == SKV_OK)
        code = scan_segment(log, segment, at, err);
    if (code == SKV_OK && visitor && segment->next)
        code = visit_segment(segment, 0, UINT64_MAX, visitor->visit, visitor->context, err);
    return code;
}

skv_code skv_log_scan(skv_log *log, uint64_t proof_seqno, const skv_log_visitor *visitor, skv_log_found_tail *out,
                      skv_error *err)
{
    progress at = {0};
    const skv_segment *ahead;
    skv_code code = skv_log_find(log, err);
    if (code != SKV_OK)
        return code;
    if (visitor)
        tell_what_comes(log, visitor);
    at.next_seqno = log->mark.first_seqno;
    at.previous = log->oldest ? log->oldest->header.previous : 0;
    prove(&at, log->mark.durable_seqno);
    prove(&at, proof_seqno);
    ahead = read_ahead(log->oldest, SEGMENTS_AHEAD - 1);
    for (skv_segment *segment = log->oldest; segment; segment = segment->next) {
        ahead = read_ahead(ahead, 1);
        if ((code = take_segment(log, segment, &at, visitor, err)) != SKV_OK)
            return code;
        log->active = segment;
        log->live_bytes += segment->header.file_bytes;
        log->live_segments++;
    }
    if (at.proven >= at.next_seqno)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, at.next_seqno,
                           "a shard holds seqno %llu, but the log ends at %llu", (unsigned long long)at.proven,
                           (unsigned long long)at.next_seqno - 1);
    *out = (skv_log_found_tail){0};
    if (log->active)
        settle_tail(log, log->active, &at, out);
    skv_clock_raise(log->clock, log->mark.clock_ms);
    out->applied_sum = log->mark.applied_sum;
    out->closed = log->active && log->active->header.id == log->mark.closed_segment_id;
    out->first_seqno = log->mark.first_seqno;
    out->last_seqno = at.next_seqno - 1;
    out->proven_seqno = at.proven;
    out->records = at.records;
    out->visited_seqno = visitor && log->active ? log->active->header.first_seqno - 1 : 0;
    return SKV_OK;
}

/* Segments that no cursor can enter are passed by, too. */
uint64_t skv_log_next_segment(skv_log *log, uint64_t seqno)
{
    const skv_segment *lists[] = {log->kept, log->oldest};
    for (int i = 0; i < 2; i++)
        for (const skv_segment *segment = lists[i]; segment; segment = segment->next)
            if (segment->header.first_seqno > seqno && segment->header.first_seqno < log->next_seqno)
                return segment->header.first_seqno;
    return 0;
}

skv_code skv_log_scan_still(skv_log *log, skv_log_found_tail *out, skv_error *err)
{
    skv_code code;
    log->still = true;
    code = skv_log_scan(log, 0, NULL, out, err);
    if (code != SKV_OK)
        return code;
    log->next_seqno = out->last_seqno + 1;
    atomic_store(&log->durable_seqno, out->last_seqno); /* what cursors show */
    return SKV_OK;
}
