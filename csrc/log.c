/* L2 part (log family). Append: under the log's lock, straight into the active segment's memory. */
#include "log_state.h"

#include <assert.h>

void skv_log_lock(skv_log *log)
{
    skv_lock(&log->lock);
}

void skv_log_unlock(skv_log *log)
{
    skv_unlock(&log->lock);
}

uint64_t skv_log_last(const skv_log *log)
{
    return log->next_seqno - 1;
}

uint64_t skv_log_last_disk(const skv_log *log)
{
    return log->disk_seqno;
}

void skv_log_note_disk(skv_log *log)
{
    log->disk_seqno = log->next_seqno - 1;
}

uint64_t skv_log_durable(const skv_log *log)
{
    return atomic_load_explicit(&log->durable_seqno, memory_order_acquire);
}

void skv_log_close_frame(skv_log *log)
{
    skv_segment *active = log->active;
    uint8_t *at = active->base + log->frame_at;
    skv_frame frame;
    if (!log->frame_at)
        return;
    /* Only what a completed sync has made durable may be claimed: this frame's own sync has not even begun. */
    frame = (skv_frame){.body_bytes = (uint32_t)(active->end - log->frame_at - SKV_FRAME_HEADER_BYTES),
                        .count = log->frame_count,
                        .first_seqno = log->next_seqno - log->frame_count,
                        .durable_upto = skv_log_durable(log)};
    skv_frame_number(at, &frame);
    active->end = skv_align8(active->end);
    log->frame_at = 0;
    log->frame_count = 0;
}

void skv_log_activate(skv_log *log, skv_segment *segment, uint64_t id, uint64_t first_seqno)
{
    memcpy(segment->header.store_id, log->store_id, SKV_STORE_ID_BYTES);
    segment->header.id = id;
    segment->header.first_seqno = first_seqno;
    segment->last_seqno = first_seqno - 1;
    segment->next = NULL;
    if (log->active)
        log->active->next = segment;
    else
        log->oldest = segment;
    if (!log->unsynced)
        log->unsynced = segment;
    log->active = segment;
    log->live_bytes += segment->header.file_bytes;
    log->live_segments++;
}

/* Segments grow while they are used up faster than one a second. */
static void note_roll(skv_log *log)
{
    uint64_t now = skv_now_ns();
    if (now - log->rolled_ns < SKV_NS_PER_S && log->next_bytes < log->sizes.segment_bytes_max)
        log->next_bytes *= 2;
    log->rolled_ns = now;
}

static size_t bytes_with_frame(size_t bytes)
{
    return skv_align8(SKV_FRAME_HEADER_BYTES + bytes);
}

static skv_code roll(skv_log *log, size_t bytes, skv_error *err)
{
    uint64_t need = SKV_SEGMENT_FRAMES + bytes_with_frame(bytes);
    skv_segment *spare = log->spare;
    if (!spare || spare->header.file_bytes < need) {
        log->want_bytes = need > log->want_bytes ? need : log->want_bytes;
        skv_event_notify(&log->chore);
        if (log->pool_code == SKV_OK)
            return skv_fail(err, SKV_BUSY, "no log segment is ready");
        if (err)
            *err = log->pool_error;
        return log->pool_code;
    }
    if (!skv_segment_take_slot(spare, log->slots, SKV_SLOTS_LIVE))
        return skv_fail(err, SKV_BUSY, "the log has %d segments, and nothing lets go of them; close old snapshots",
                        SKV_SLOTS_LIVE);
    skv_log_close_frame(log);
    skv_log_activate(log, spare, log->active->header.id + 1, log->next_seqno);
    log->spare = NULL;
    note_roll(log);
    skv_event_notify(&log->chore);
    return SKV_OK;
}

skv_code skv_log_reserve(skv_log *log, size_t bytes, skv_error *err)
{
    size_t need = log->frame_at ? bytes : bytes_with_frame(bytes);
    if (log->poison_code != SKV_OK) {
        if (err)
            *err = log->poison;
        return SKV_POISONED;
    }
    if (skv_align8(log->active->end + need) <= log->active->header.file_bytes)
        return SKV_OK;
    return roll(log, bytes, err);
}

skv_position skv_log_append(skv_log *log, skv_record *record)
{
    skv_segment *active = log->active;
    skv_position position;
    if (!log->frame_at) {
        log->frame_at = active->end;
        active->end += SKV_FRAME_HEADER_BYTES;
    }
    position = (skv_position){(uint32_t)active->end, (uint16_t)active->slot};
    record->seqno = log->next_seqno++;
    active->end += skv_record_encode(active->base + active->end, record);
    active->last_seqno = record->seqno;
    log->frame_count++;
    assert(active->end <= active->header.file_bytes);
    return position;
}

void skv_log_want_sync(skv_log *log)
{
    log->async_seqno = log->next_seqno - 1;
    /* The loop is awake while a sync runs, and looks again before it sleeps. */
    if (!log->leading)
        skv_event_notify(&log->work);
}

skv_slots *skv_log_slots(skv_log *log)
{
    return log->slots;
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

void skv_log_stats_read(skv_log *log, skv_stats *out)
{
    skv_lock(&log->lock);
    out->seqno = log->next_seqno - 1;
    out->durable_seqno = skv_log_durable(log);
    out->log_bytes = log->live_bytes;
    out->log_segments = log->live_segments;
    out->retained_bytes = log->kept_bytes;
    out->retained_segments = log->kept_segments;
    out->oldest_seqno = log->kept_id ? log->kept_seqno : log->oldest->header.first_seqno;
    out->syncs = log->syncs;
    out->synced_bytes = log->synced_bytes;
    memcpy(out->group_sizes, log->group_sizes, sizeof out->group_sizes);
    memcpy(out->sync_us, log->sync_us, sizeof out->sync_us);
    skv_unlock(&log->lock);
}

void skv_log_extent(skv_log *log, uint64_t *bytes, uint64_t *segments)
{
    skv_lock(&log->lock);
    *bytes = log->live_bytes;
    *segments = log->live_segments;
    skv_unlock(&log->lock);
}
