/* L0. One put or delete: its bytes in the log, its bytes in a shard, and the checksum that goes with it from one to the
 * other. FORMAT.md 6 and 8. Pure. */
#ifndef SKV_RECORD_H
#define SKV_RECORD_H

#include <stdbool.h>

#include "bytes.h"
#include "format.h"

typedef struct {
    skv_slice key;   /* borrowed */
    skv_slice value; /* borrowed */
    uint64_t seqno;
    uint64_t expires_ms; /* 0 without SKV_RECORD_EXPIRES */
    uint32_t checksum;
    uint8_t flags;
} skv_record;

/* Bytes that the record takes in the log. */
size_t skv_record_bytes(const skv_record *record);
/* Write the record to out, checksum included; returns its bytes. */
size_t skv_record_encode(uint8_t *out, skv_record *record);
/* Bytes that the record whose SKV_RECORD_HEADER_BYTES stand at `in` says to take; whether it is one is decode's matter. */
size_t skv_record_span(const uint8_t *in);
/* Read a record of at most bytes; returns its bytes, 0 when it is malformed. Does not verify the checksum. */
size_t skv_record_decode(const uint8_t *in, size_t bytes, skv_record *out);
/* Does the checksum hold for key, stamp, expiry and value? */
bool skv_record_verify(const skv_record *record);

/* The header that precedes the value inside a shard; returns its bytes (12, or 20 with expiry). */
size_t skv_stored_encode(uint8_t out[SKV_STORED_HEADER_BYTES + SKV_RECORD_EXPIRES_BYTES], const skv_record *record);
/* Read key and stored bytes back. false: malformed. Does not verify the checksum. */
bool skv_stored_decode(skv_slice key, skv_slice stored, skv_record *out);
/* What a record adds to its shard's digest: the sum over all records, modulo 2^64, in any order. */
uint64_t skv_record_digest(const skv_record *record);

/* Is the key one of those that are kept for namespaces and the like? They are the end of the key order. */
static inline bool skv_key_reserved(skv_slice key)
{
    return key.bytes >= SKV_RESERVED_BYTES && skv_load32(key.data) == UINT32_MAX;
}

/* Where they begin: the bound of a scan that does not meet them. */
static inline skv_slice skv_first_reserved(void)
{
    return (skv_slice){(const uint8_t *)"\xff\xff\xff\xff", SKV_RESERVED_BYTES};
}

/* Is this a delete? */
static inline bool skv_record_deletes(const skv_record *record)
{
    return (record->flags & SKV_RECORD_DELETE) != 0;
}

/* Does it live for a time only? */
static inline bool skv_record_expires(const skv_record *record)
{
    return (record->flags & SKV_RECORD_EXPIRES) != 0;
}

#endif
