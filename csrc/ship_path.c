/* L3 path. Shipping. */
#include "ship_path.h"

#include "hash.h"
#include "memory.h"

#define BODY_BYTES_KEPT ((size_t)1 << 20)

skv_code skv_ship_begin(skv_parts *from, skv_parts *to, skv_shipment *out, skv_error *err)
{
    *out = (skv_shipment){.to = to};
    return skv_log_cursor_create(from->log, skv_log_last(to->log) + 1, &out->cursor, err);
}

void skv_ship_end(skv_shipment *shipment)
{
    skv_log_cursor_free(shipment->cursor);
    skv_release(shipment->body);
    skv_release(shipment->hashes);
    *shipment = (skv_shipment){0};
}

/* -- taking --------------------------------------------------------------------------------------------------------- */

static skv_code make_room(skv_shipment *shipment, size_t bytes, skv_error *err)
{
    if (shipment->capacity >= bytes && (bytes > BODY_BYTES_KEPT || shipment->capacity <= BODY_BYTES_KEPT))
        return SKV_OK;
    skv_release(shipment->body);
    shipment->capacity = bytes > BODY_BYTES_KEPT ? bytes : BODY_BYTES_KEPT;
    shipment->body = skv_alloc(shipment->capacity);
    if (shipment->body)
        return SKV_OK;
    shipment->capacity = 0;
    return skv_fail(err, SKV_NO_MEMORY, "out of memory: a frame of %zu bytes", bytes);
}

/* Its bytes may only be used inside the call; what the peer's disk does then must not hold this log back. */
static skv_code copy_frame(void *context, const skv_log_frame *frame, skv_error *err)
{
    skv_shipment *shipment = context;
    skv_code code = make_room(shipment, frame->body.bytes, err);
    if (code != SKV_OK)
        return code;
    memcpy(shipment->body, frame->body.data, frame->body.bytes);
    shipment->body_bytes = frame->body.bytes;
    shipment->first_seqno = frame->first_seqno;
    return SKV_OK;
}

static bool grow_hashes(skv_shipment *shipment)
{
    uint32_t capacity = shipment->hashes_capacity ? 2 * shipment->hashes_capacity : 1024;
    uint64_t *hashes = skv_alloc(capacity * sizeof hashes[0]);
    if (!hashes)
        return false;
    if (shipment->count)
        memcpy(hashes, shipment->hashes, shipment->count * sizeof hashes[0]);
    skv_release(shipment->hashes);
    shipment->hashes = hashes;
    shipment->hashes_capacity = capacity;
    return true;
}

static skv_code verify(skv_shipment *shipment, skv_error *err)
{
    size_t at = 0;
    shipment->count = 0;
    while (at < shipment->body_bytes) {
        uint64_t seqno = shipment->first_seqno + shipment->count;
        skv_record record;
        size_t bytes = skv_record_decode(shipment->body + at, shipment->body_bytes - at, &record);
        if (!bytes || record.seqno != seqno || !skv_record_verify(&record))
            return skv_fail_at(err, SKV_CORRUPT, "log", 0, seqno, "the record with seqno %llu fails its checksum on its way",
                               (unsigned long long)seqno);
        if (shipment->count == shipment->hashes_capacity && !grow_hashes(shipment))
            return skv_fail(err, SKV_NO_MEMORY, "out of memory");
        shipment->hashes[shipment->count++] = skv_key_of(record.key).hash;
        at += bytes;
    }
    return SKV_OK;
}

skv_code skv_ship_take(skv_shipment *shipment, bool ahead, skv_error *err)
{
    skv_code code = skv_log_read_frame(shipment->cursor, ahead, copy_frame, shipment, err);
    return code == SKV_OK ? verify(shipment, err) : code;
}

/* -- putting -------------------------------------------------------------------------------------------------------- */

static skv_lane *lane_of(const skv_shipment *shipment, uint32_t i)
{
    return &shipment->to->lanes[skv_ring_route(shipment->to->ring, shipment->hashes[i])];
}

static void unreserve(const skv_shipment *shipment, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        skv_lane *lane = lane_of(shipment, i);
        skv_lock(&lane->lock);
        skv_index_unreserve(lane->active, shipment->hashes[i], shipment->to->cuts);
        skv_unlock(&lane->lock);
    }
}

/* After this no insert can fail for want of memory. Under the log's lock, which keeps the active generations in place. */
static skv_code reserve(const skv_shipment *shipment, skv_error *err)
{
    for (uint32_t i = 0; i < shipment->count; i++) {
        skv_lane *lane = lane_of(shipment, i);
        skv_code code;
        skv_lock(&lane->lock);
        code = skv_index_reserve(lane->active, shipment->hashes[i], shipment->to->cuts);
        skv_unlock(&lane->lock);
        if (code != SKV_OK) {
            unreserve(shipment, i);
            return skv_fail(err, code, "out of memory: the index cannot grow");
        }
    }
    return SKV_OK;
}

static void index_frame(const skv_shipment *shipment, skv_position position)
{
    size_t at = 0;
    for (uint32_t i = 0; i < shipment->count; i++) {
        skv_lane *lane = lane_of(shipment, i);
        skv_position here = {position.offset + (uint32_t)at, position.slot};
        skv_record record;
        at += skv_record_decode(shipment->body + at, shipment->body_bytes - at, &record);
        skv_lock(&lane->lock);
        skv_index_insert(lane->active, shipment->hashes[i], here, &record, shipment->to->cuts);
        skv_unlock(&lane->lock);
    }
}

/* Under the log's lock. */
static skv_code append(skv_shipment *shipment, skv_error *err)
{
    skv_log *log = shipment->to->log;
    skv_code code = SKV_OK;
    if (skv_log_last(log) + 1 != shipment->first_seqno)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, shipment->first_seqno,
                           "the next record has seqno %llu, but %llu is on its way", (unsigned long long)skv_log_last(log) + 1,
                           (unsigned long long)shipment->first_seqno);
    code = skv_log_reserve_frame(log, shipment->body_bytes, err);
    if (code == SKV_OK)
        code = reserve(shipment, err);
    if (code != SKV_OK)
        return code;
    index_frame(shipment,
                skv_log_append_frame(log, (skv_slice){shipment->body, shipment->body_bytes}, shipment->count));
    skv_log_note_disk(log);
    skv_pressure_add(&shipment->to->pressure, shipment->body_bytes); /* before a flush can take it away */
    return SKV_OK;
}

skv_code skv_ship_put(skv_shipment *shipment, uint64_t slice_ns, skv_error *err)
{
    skv_parts *to = shipment->to;
    uint64_t end = skv_now_ns() + slice_ns, now;
    skv_code code = skv_pressure_admit(&to->pressure, shipment->body_bytes, slice_ns);
    if (code != SKV_OK && code != SKV_BUSY)
        return skv_pressure_failure(&to->pressure, "the peer's flushes fail", err);
    while (code == SKV_OK) {
        unsigned seen = skv_log_room_read(to->log);
        skv_log_lock(to->log);
        code = append(shipment, err);
        skv_log_unlock(to->log);
        if (code != SKV_BUSY || (now = skv_now_ns()) >= end)
            return code;
        skv_log_room_wait(to->log, seen, end - now);
        code = SKV_OK;
    }
    return code;
}
