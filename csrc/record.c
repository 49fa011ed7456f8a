/* L0. Records. */
#include "record.h"

#include <assert.h>

#include "hash.h"

static uint64_t stamp_of(const skv_record *record)
{
    return record->seqno << 8 | record->flags;
}

static uint32_t checksum_of(const skv_record *record)
{
    uint64_t hash = skv_hash64(record->key.data, record->key.bytes, stamp_of(record));
    return (uint32_t)skv_hash64(record->value.data, record->value.bytes, hash ^ record->expires_ms);
}

static size_t expires_bytes(uint8_t flags)
{
    return flags & SKV_RECORD_EXPIRES ? SKV_RECORD_EXPIRES_BYTES : 0;
}

size_t skv_record_bytes(const skv_record *record)
{
    return SKV_RECORD_HEADER_BYTES + expires_bytes(record->flags) + record->key.bytes + record->value.bytes;
}

size_t skv_record_encode(uint8_t *out, skv_record *record)
{
    uint8_t *at = out + SKV_RECORD_HEADER_BYTES;
    assert(record->seqno < (uint64_t)1 << 56);
    record->checksum = checksum_of(record);
    skv_store32(out + SKV_RECORD_CHECKSUM, record->checksum);
    skv_store64(out + SKV_RECORD_STAMP, stamp_of(record));
    skv_store32(out + SKV_RECORD_VALUE_BYTES, (uint32_t)record->value.bytes);
    skv_store16(out + SKV_RECORD_KEY_BYTES, (uint16_t)record->key.bytes);
    if (record->flags & SKV_RECORD_EXPIRES) {
        skv_store64(at, record->expires_ms);
        at += SKV_RECORD_EXPIRES_BYTES;
    }
    memcpy(at, record->key.data, record->key.bytes);
    at += record->key.bytes;
    if (record->value.bytes)
        memcpy(at, record->value.data, record->value.bytes);
    return (size_t)(at - out) + record->value.bytes;
}

size_t skv_record_span(const uint8_t *in)
{
    return SKV_RECORD_HEADER_BYTES + expires_bytes((uint8_t)skv_load64(in + SKV_RECORD_STAMP)) +
           skv_load32(in + SKV_RECORD_VALUE_BYTES) + skv_load16(in + SKV_RECORD_KEY_BYTES);
}

size_t skv_record_decode(const uint8_t *in, size_t bytes, skv_record *out)
{
    size_t head;
    uint64_t stamp;
    if (bytes < SKV_RECORD_HEADER_BYTES)
        return 0;
    stamp = skv_load64(in + SKV_RECORD_STAMP);
    out->checksum = skv_load32(in + SKV_RECORD_CHECKSUM);
    out->seqno = stamp >> 8;
    out->flags = (uint8_t)stamp;
    out->value.bytes = skv_load32(in + SKV_RECORD_VALUE_BYTES);
    out->key.bytes = skv_load16(in + SKV_RECORD_KEY_BYTES);
    head = SKV_RECORD_HEADER_BYTES + expires_bytes(out->flags);
    if (out->flags & ~SKV_RECORD_FLAGS_ALL || out->key.bytes == 0 || out->key.bytes > SKV_KEY_BYTES_MAX ||
        out->value.bytes > SKV_VALUE_BYTES_MAX || bytes < head + out->key.bytes + out->value.bytes)
        return 0;
    out->expires_ms = out->flags & SKV_RECORD_EXPIRES ? skv_load64(in + SKV_RECORD_HEADER_BYTES) : 0;
    out->key.data = in + head;
    out->value.data = out->key.data + out->key.bytes;
    return head + out->key.bytes + out->value.bytes;
}

bool skv_record_verify(const skv_record *record)
{
    return record->checksum == checksum_of(record);
}

size_t skv_stored_encode(uint8_t out[SKV_STORED_HEADER_BYTES + SKV_RECORD_EXPIRES_BYTES], const skv_record *record)
{
    skv_store32(out + SKV_STORED_CHECKSUM, record->checksum);
    skv_store64(out + SKV_STORED_STAMP, stamp_of(record));
    if (record->flags & SKV_RECORD_EXPIRES)
        skv_store64(out + SKV_STORED_HEADER_BYTES, record->expires_ms);
    return SKV_STORED_HEADER_BYTES + expires_bytes(record->flags);
}

bool skv_stored_decode(skv_slice key, skv_slice stored, skv_record *out)
{
    size_t head;
    uint64_t stamp;
    if (stored.bytes < SKV_STORED_HEADER_BYTES)
        return false;
    stamp = skv_load64(stored.data + SKV_STORED_STAMP);
    out->checksum = skv_load32(stored.data + SKV_STORED_CHECKSUM);
    out->seqno = stamp >> 8;
    out->flags = (uint8_t)stamp;
    head = SKV_STORED_HEADER_BYTES + expires_bytes(out->flags);
    if (out->flags & ~SKV_RECORD_FLAGS_ALL || skv_record_deletes(out) || stored.bytes < head)
        return false;
    out->expires_ms = out->flags & SKV_RECORD_EXPIRES ? skv_load64(stored.data + SKV_STORED_HEADER_BYTES) : 0;
    out->key = key;
    out->value = (skv_slice){stored.data + head, stored.bytes - head};
    return true;
}

uint64_t skv_record_digest(const skv_record *record)
{
    uint8_t proof[SKV_STORED_HEADER_BYTES];
    skv_store32(proof + SKV_STORED_CHECKSUM, record->checksum);
    skv_store64(proof + SKV_STORED_STAMP, stamp_of(record));
    return skv_hash64(proof, sizeof proof, 0);
}
