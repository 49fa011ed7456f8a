/* L3 path. Shipping: the frames of one log, appended to another and indexed there, their records as they are; every checksum is
 * verified on the way. A frame is read as soon as its own sync has begun, so both disks sync at the same time. */
#ifndef SKV_SHIP_PATH_H
#define SKV_SHIP_PATH_H

#include "log_frames.h"
#include "parts.h"

typedef struct {
    skv_parts *to;          /* kept */
    skv_log_cursor *cursor; /* of the other log; owned */
    uint8_t *body;          /* of the frame under way; owned */
    size_t body_bytes, capacity;
    uint64_t first_seqno;
    uint32_t count, hashes_capacity;
    uint64_t *hashes; /* of its keys; owned */
} skv_shipment;

/* From the record behind the newest one of `to` on. owned: skv_ship_end. */
skv_code skv_ship_begin(skv_parts *from, skv_parts *to, skv_shipment *out, skv_error *err);
void skv_ship_end(skv_shipment *shipment);
/* Take a copy of the next frame, verified. AGAIN: there is none. LOG_GONE, CORRUPT, NO_MEMORY. Never waits. */
skv_code skv_ship_take(skv_shipment *shipment, bool ahead, skv_error *err);
/* Append it. BUSY: after slice_ns there was no room; call again. POISONED, FULL, IO, CORRUPT (it is not the next), NO_MEMORY. */
skv_code skv_ship_put(skv_shipment *shipment, uint64_t slice_ns, skv_error *err);

#endif
