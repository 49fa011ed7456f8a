/* Records in memory, without a log: what an index and its runs point at. */
#ifndef RECORDS_H
#define RECORDS_H

#include "segment.h"

typedef struct {
    skv_slots slots;
    uint8_t *base;
    size_t end, bytes;
    uint64_t last_seqno;
} records;

/* owned: records_free. */
records *records_create(size_t bytes);
void records_free(records *all);
/* One more record, the newest. The value is empty; a delete has the flag. */
skv_position records_put(records *all, skv_slice key, bool deletes);
/* The record at a position. */
skv_record records_at(const records *all, skv_position position);
/* A number as a key: big-endian, so that numbers and keys have one order. */
skv_slice records_key(uint8_t out[8], uint64_t number);

#endif
