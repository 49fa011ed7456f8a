/* L0. Frame and segment headers. */
#include "frame.h"

#include "hash.h"

void skv_frame_number(uint8_t *at, const skv_frame *frame)
{
    skv_store32(at + SKV_FRAME_BODY_BYTES, frame->body_bytes);
    skv_store32(at + SKV_FRAME_COUNT, frame->count);
    skv_store64(at + SKV_FRAME_FIRST_SEQNO, frame->first_seqno);
    skv_store64(at + SKV_FRAME_DURABLE_UPTO, frame->durable_upto);
}

uint64_t skv_frame_seal(uint8_t *at, const skv_frame *frame)
{
    uint64_t checksum;
    skv_store64(at + SKV_FRAME_SALT, frame->salt);
    skv_store64(at + SKV_FRAME_BODY_CHECKSUM, skv_hash64(at + SKV_FRAME_HEADER_BYTES, frame->body_bytes, frame->salt));
    skv_store64(at + SKV_FRAME_PREVIOUS, frame->previous);
    checksum = skv_hash64(at + SKV_FRAME_SALT, SKV_FRAME_HEADER_BYTES - SKV_FRAME_SALT, frame->salt);
    skv_store64(at + SKV_FRAME_CHECKSUM, checksum);
    return checksum;
}

bool skv_frame_read(const uint8_t *at, size_t bytes, uint64_t salt, skv_frame *out)
{
    if (bytes < SKV_FRAME_HEADER_BYTES || skv_load64(at + SKV_FRAME_SALT) != salt)
        return false;
    if (skv_frame_checksum(at) != skv_hash64(at + SKV_FRAME_SALT, SKV_FRAME_HEADER_BYTES - SKV_FRAME_SALT, salt))
        return false;
    out->salt = salt;
    out->body_bytes = skv_load32(at + SKV_FRAME_BODY_BYTES);
    out->count = skv_load32(at + SKV_FRAME_COUNT);
    out->first_seqno = skv_load64(at + SKV_FRAME_FIRST_SEQNO);
    out->durable_upto = skv_load64(at + SKV_FRAME_DURABLE_UPTO);
    out->previous = skv_load64(at + SKV_FRAME_PREVIOUS);
    return out->body_bytes <= bytes - SKV_FRAME_HEADER_BYTES && out->count > 0;
}

bool skv_frame_verify(const uint8_t *at, const skv_frame *frame)
{
    return skv_load64(at + SKV_FRAME_BODY_CHECKSUM) ==
           skv_hash64(at + SKV_FRAME_HEADER_BYTES, frame->body_bytes, frame->salt);
}

uint64_t skv_frame_checksum(const uint8_t *at)
{
    return skv_load64(at + SKV_FRAME_CHECKSUM);
}

void skv_segment_header_write(uint8_t out[SKV_SEGMENT_FRAMES], const skv_segment_header *header)
{
    memset(out, 0, SKV_SEGMENT_FRAMES);
    memcpy(out, SKV_SEGMENT_MAGIC, 8);
    skv_store32(out + SKV_SEGMENT_VERSION, SKV_FORMAT_VERSION);
    memcpy(out + SKV_SEGMENT_STORE_ID, header->store_id, SKV_STORE_ID_BYTES);
    skv_store64(out + SKV_SEGMENT_ID, header->id);
    skv_store64(out + SKV_SEGMENT_FILE_BYTES, header->file_bytes);
    skv_store64(out + SKV_SEGMENT_SALT, header->salt);
    skv_store64(out + SKV_SEGMENT_FIRST_SEQNO, header->first_seqno);
    skv_store64(out + SKV_SEGMENT_PREVIOUS, header->previous);
    skv_store64(out + SKV_SEGMENT_CHECKSUM,
                skv_hash64(out + SKV_SEGMENT_VERSION, SKV_SEGMENT_FRAMES - SKV_SEGMENT_VERSION, 0));
}

static bool blank(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

skv_verdict skv_segment_header_read(const uint8_t in[SKV_SEGMENT_FRAMES], skv_segment_header *out)
{
    if (blank(in, SKV_SEGMENT_FRAMES))
        return SKV_HEADER_BLANK;
    if (memcmp(in, SKV_SEGMENT_MAGIC, 8) != 0)
        return SKV_HEADER_DAMAGED;
    if (skv_load64(in + SKV_SEGMENT_CHECKSUM) !=
        skv_hash64(in + SKV_SEGMENT_VERSION, SKV_SEGMENT_FRAMES - SKV_SEGMENT_VERSION, 0))
        return SKV_HEADER_DAMAGED;
    if (skv_load32(in + SKV_SEGMENT_VERSION) != SKV_FORMAT_VERSION)
        return SKV_HEADER_UNKNOWN_VERSION;
    memcpy(out->store_id, in + SKV_SEGMENT_STORE_ID, SKV_STORE_ID_BYTES);
    out->id = skv_load64(in + SKV_SEGMENT_ID);
    out->file_bytes = skv_load64(in + SKV_SEGMENT_FILE_BYTES);
    out->salt = skv_load64(in + SKV_SEGMENT_SALT);
    out->first_seqno = skv_load64(in + SKV_SEGMENT_FIRST_SEQNO);
    out->previous = skv_load64(in + SKV_SEGMENT_PREVIOUS);
    return SKV_HEADER_GOOD;
}
