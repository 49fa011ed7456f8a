/* L3 path. What the log keeps: what is in no shard yet, and what snapshots, copies and peers need beside that. */
#ifndef SKV_KEEP_PATH_H
#define SKV_KEEP_PATH_H

#include "parts.h"

/* The first record that is in no shard yet; UINT64_MAX: all are. */
uint64_t skv_keep_first_unflushed(skv_parts *parts);
/* Somebody who is no snapshot may need less than before: tell the log from which record on it is needed. */
void skv_keep_retire(skv_parts *parts);
/* The same after the end of a snapshot that may have held back what others needed no more. */
void skv_keep_retire_rest(skv_parts *parts);

/* Keep the log from the first record on that is in no shard yet, whatever is flushed from now on: a shard that is read later,
 * and the log from there, make the whole store. FULL: too many pins. */
skv_code skv_keep_pin(skv_parts *parts, uint32_t *pin, uint64_t *seqno, skv_error *err);
/* Keep it from an earlier record on, seqno at least 1. false: that one is gone, and the pin stays where it is. One thread. */
bool skv_keep_pin_back(skv_parts *parts, uint32_t pin, uint64_t seqno);
void skv_keep_unpin(skv_parts *parts, uint32_t pin);

#endif
