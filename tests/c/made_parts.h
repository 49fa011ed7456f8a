/* The parts of a store without its shards' environments: a log, lanes with their indexes, pressure, acks. A shard is a number: what
 * it has applied. */
#ifndef MADE_PARTS_H
#define MADE_PARTS_H

#include "parts.h"

/* A log of segments of `segment_bytes` in dir. owned: made_parts_free. */
skv_parts *made_parts_create(int dir, uint32_t lanes, uint64_t segment_bytes);
/* The same over the log that is there, which nobody has scanned yet. */
skv_parts *made_parts_open(int dir, uint32_t lanes, uint64_t segment_bytes);
void made_parts_free(skv_parts *parts);
/* Append and index one record, key "key n" of its own seqno n; returns its lane. Nothing is synced. */
uint32_t made_parts_put(skv_parts *parts);
/* The same under this key. */
uint32_t made_parts_put_at(skv_parts *parts, const char *key, size_t value_bytes);
/* A flush of a lane as far as its generation is sealed; then its end, when the shard has everything up to `applied`. */
void made_parts_seal(skv_parts *parts, uint32_t lane);
void made_parts_flush(skv_parts *parts, uint32_t lane, uint64_t applied);

#endif
