/* L0. Frame and segment headers. FORMAT.md 4 and 5. Pure. */
#ifndef SKV_FRAME_H
#define SKV_FRAME_H

#include <stdbool.h>

#include "bytes.h"
#include "format.h"

typedef struct {
    uint64_t salt;
    uint64_t first_seqno;
    uint64_t durable_upto;
    uint64_t previous; /* header checksum of the frame before, across segments */
    uint32_t body_bytes;
    uint32_t count;
} skv_frame;

typedef struct {
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint64_t id;
    uint64_t file_bytes;
    uint64_t salt;
    uint64_t first_seqno;
    uint64_t previous;
} skv_segment_header;

/* Verdict on bytes that should hold a header. */
typedef enum { SKV_HEADER_GOOD, SKV_HEADER_BLANK, SKV_HEADER_DAMAGED, SKV_HEADER_UNKNOWN_VERSION } skv_verdict;

/* Write its body_bytes, count, first_seqno and durable_upto: from now on they do not change. */
void skv_frame_number(uint8_t *at, const skv_frame *frame);
/* Write the rest of the header, in front of a body and behind numbers that are already in place and are not touched:
 * others may read these meanwhile. Returns the header's checksum, which chains the next. */
uint64_t skv_frame_seal(uint8_t *at, const skv_frame *frame);
/* Read the header at `at`: right salt and right checksum, or false. Does not look at the body. */
bool skv_frame_read(const uint8_t *at, size_t bytes, uint64_t salt, skv_frame *out);
/* Does the body hold? The header was read before and the body lies within the file. */
bool skv_frame_verify(const uint8_t *at, const skv_frame *frame);
/* The header's own checksum, as stored. */
uint64_t skv_frame_checksum(const uint8_t *at);
/* Header, body and padding. */
static inline size_t skv_frame_span(const skv_frame *frame)
{
    return skv_align8(SKV_FRAME_HEADER_BYTES + (size_t)frame->body_bytes);
}

void skv_segment_header_write(uint8_t out[SKV_SEGMENT_FRAMES], const skv_segment_header *header);
skv_verdict skv_segment_header_read(const uint8_t in[SKV_SEGMENT_FRAMES], skv_segment_header *out);

#endif
