/* L2 part (log family). Reading the log in order, from a seqno on: over retained and live segments, beside appends, syncs and
 * retirement. A cursor shows what is durable and nothing else. Between calls it keeps nothing back: what it has not read
 * yet may be dropped meanwhile, and then it is told. Inside a call it holds one segment in place. */
#ifndef SKV_LOG_READ_H
#define SKV_LOG_READ_H

#include "log.h"

typedef struct skv_log_cursor skv_log_cursor;

/* What a reader does with one record while its bytes are sure to stay: they are verified. */
typedef skv_code (*skv_log_take)(void *context, const skv_record *record, skv_error *err);

/* next_seqno: of the first record to be read, which may not be there yet. log: kept. One thread at a time.
 * owned: skv_log_cursor_free, also after its log is gone. */
skv_code skv_log_cursor_create(skv_log *log, uint64_t next_seqno, skv_log_cursor **out, skv_error *err);
void skv_log_cursor_free(skv_log_cursor *cursor);
/* Take the next records, until about `bytes` of the log were walked; at least one unless there is none (a first call may only
 * find its place). AGAIN: all that is durable was read. GONE: the next record was dropped; err->seqno + 1 is the oldest that
 * is still there. CORRUPT. What `take` answers but OK ends the call: that record is read again by the next. */
skv_code skv_log_read(skv_log_cursor *cursor, size_t bytes, skv_log_take take, void *context, skv_error *err);
/* Inside `take`: the frame, of which this record and those that follow in it are left. */
typedef struct {
    uint64_t last_seqno;
    size_t bytes;
    uint64_t checksum;     /* of the frame, */
    uint64_t previous;     /* of the one before */
    uint64_t durable_upto; /* a frame ends there, too, and no open writes it again: this one proves it */
} skv_log_rest;
skv_log_rest skv_log_cursor_rest(const skv_log_cursor *cursor);
/* The seqno of the record that the next call begins with. */
uint64_t skv_log_cursor_next(const skv_log_cursor *cursor);

/* The oldest record that can be read; the next one to be appended when there is none. */
uint64_t skv_log_oldest(skv_log *log);
/* Is the one before it this record? Then give the checksum of its frame. */
bool skv_log_begins_behind(skv_log *log, uint64_t seqno, uint64_t *out);
/* The first record of the segment after the one that holds seqno; 0: there is none. */
uint64_t skv_log_next_segment(skv_log *log, uint64_t seqno);
/* Can a cursor go on after `since`? GONE: no, err->seqno is the oldest that it can go on after. INVALID: that was never
 * written. */
skv_code skv_log_reaches(skv_log *log, uint64_t since, skv_error *err);
/* Wait until seqno is durable, at most timeout_ns and without ever leading a sync. OK; AGAIN: not yet (also when woken early);
 * POISONED: it never will be. */
skv_code skv_log_watch(skv_log *log, uint64_t seqno, uint64_t timeout_ns, skv_error *err);
void skv_log_wake_watchers(skv_log *log);

#endif
