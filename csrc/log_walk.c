/* L2 part (log family). Walking. */
#include "log_walk.h"

#include <assert.h>

#include "log_state.h"

/* What a walk has to know of the log: taken under the lock, true for as long as the log is kept. */
typedef struct {
    const skv_segment *first; /* in which the next record lies */
    skv_log_place end;
} stretch;

skv_log_place skv_log_end(const skv_log *log)
{
    return (skv_log_place){.seqno = log->next_seqno - 1,
                       .segment_id = log->active->header.id,
                       .frame_at = log->frame_at,
                       .offset = log->active->end};
}

/* Under the lock. A segment that holds nothing behind the place is not the walk's: it may be given back at any time. */
static stretch stretch_from(const skv_log *log, const skv_log_place *place)
{
    const skv_segment *segment = log->oldest;
    while (segment != log->active && segment->last_seqno <= place->seqno)
        segment = segment->next;
    return (stretch){segment, skv_log_end(log)};
}

static void enter(const skv_segment *segment, skv_log_place *place)
{
    place->segment_id = segment->header.id;
    place->frame_at = 0;
    place->offset = SKV_SEGMENT_FRAMES;
}

/* The numbers of a closed frame do not change any more; those of the open one are not written yet. */
static size_t frame_end(const skv_segment *segment, const skv_log_place *place, const skv_log_place *end)
{
    if (place->segment_id == end->segment_id && place->frame_at == end->frame_at)
        return end->offset;
    return place->frame_at + SKV_FRAME_HEADER_BYTES + skv_load32(segment->base + place->frame_at + SKV_FRAME_BODY_BYTES);
}

/* Go to where the next record begins; there is one. */
static const skv_segment *find_record(const skv_segment *segment, skv_log_place *place, const skv_log_place *end)
{
    if (place->frame_at && place->offset == frame_end(segment, place, end)) {
        place->offset = skv_align8(place->offset);
        place->frame_at = 0;
    }
    while (!place->frame_at && segment->header.id != end->segment_id && place->offset == segment->end) {
        segment = segment->next;
        enter(segment, place);
    }
    if (!place->frame_at) {
        place->frame_at = place->offset;
        place->offset += SKV_FRAME_HEADER_BYTES;
    }
    return segment;
}

static bool walk(stretch along, skv_log_place *place, skv_log_see see, void *context)
{
    const skv_segment *segment = along.first;
    if (place->seqno < along.end.seqno && segment->header.id != place->segment_id)
        enter(segment, place);
    while (place->seqno < along.end.seqno) {
        skv_record record;
        size_t bytes;
        segment = find_record(segment, place, &along.end);
        bytes = skv_record_decode(segment->base + place->offset, (size_t)segment->header.file_bytes - place->offset, &record);
        assert(bytes && record.seqno == place->seqno + 1);
        place->offset += bytes;
        place->seqno++;
        if (!see(context, &record))
            return false;
    }
    return true;
}

bool skv_log_walk(skv_log *log, skv_log_place *place, skv_log_see see, void *context)
{
    stretch along;
    skv_lock(&log->lock);
    along = stretch_from(log, place);
    skv_unlock(&log->lock);
    return walk(along, place, see, context);
}

bool skv_log_walk_locked(const skv_log *log, skv_log_place *place, skv_log_see see, void *context)
{
    return walk(stretch_from(log, place), place, see, context);
}
