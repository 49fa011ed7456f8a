/* Logs that the writer itself made, and recovery as replay does it. What record n of life l holds follows from n and l,
 * so that a log can be checked without remembering it. */
#ifndef LOGS_H
#define LOGS_H

#include "log_scan.h"

extern const uint8_t logs_id[SKV_STORE_ID_BYTES];
/* Segments of one page. */
extern const skv_log_sizes logs_small;
/* Of every log here. */
extern skv_clock logs_clock;

/* A new store's log, started, nothing in it. owned: skv_log_free, as every log from here. */
skv_log *logs_found(int dir, skv_log_sizes sizes);
/* Append one record of a life, tending when there is no room; `bytes` of value. */
skv_code logs_try(skv_log *log, unsigned life, size_t bytes, skv_error *err);
void logs_append(skv_log *log, unsigned life, uint64_t count);
/* Make all that was appended durable. */
void logs_sync(skv_log *log);
/* Tend, and write the side file now, however short the last time ago. */
skv_code logs_mark(skv_log *log, skv_error *err);
/* How many segment files there are, live or not. */
int logs_files(int dir);
/* What one slot of the side file says, whatever the other does. */
skv_mark logs_slot(int dir, int slot);

/* Open a log and scan it; on failure *out is NULL. */
skv_code logs_scan(int dir, uint64_t proof_seqno, skv_log **out, skv_log_found_tail *tail, skv_error *err);
/* Records from..upto of a scanned log must be there, once, in order, whole, and written by this life. */
void logs_check(skv_log *log, unsigned life, uint64_t from, uint64_t upto);
/* Scan, start a fresh segment, write the unproven tail again: the log takes appends. */
skv_code logs_recover(int dir, uint64_t proof_seqno, skv_log **out, skv_log_found_tail *tail, skv_error *err);
/* A scan must find exactly the records 1..upto of this life. */
void logs_expect(int dir, unsigned life, uint64_t upto);

/* The offset behind the last good frame of a segment file in memory; *frames: how many. */
size_t logs_end(const uint8_t *file, size_t bytes, uint32_t *frames);
/* The offset of a frame, counted from 0. */
size_t logs_frame_at(const uint8_t *file, size_t bytes, uint32_t number, skv_frame *out);

#endif
