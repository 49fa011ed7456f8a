/* L2 part (log family). Replay's reader: the log as it was left, before skv_log_start. */
#ifndef SKV_LOG_SCAN_H
#define SKV_LOG_SCAN_H

#include "log.h"

typedef skv_code (*skv_log_visit)(void *context, skv_position position, const skv_record *record, skv_error *err);
/* What a scan found: records up to proven_seqno are on disk for certain; those up to last_seqno were read whole. */
typedef struct {
    uint64_t first_seqno; /* the log begins with this record */
    uint64_t last_seqno;
    uint64_t proven_seqno;
    uint64_t tail_bytes; /* of the records in between */
    uint64_t applied_sum; /* that the shards must have reached */
    bool closed;          /* the store was closed in good order */
    uint64_t records;
    uint64_t visited_seqno; /* up to which a visitor has seen them */
} skv_log_found_tail;
/* Who sees records while the log is scanned: those of a segment at once when it is verified and the next one's header proves
 * them, so that who indexes them works while the next ones are read from the disk. A scan that fails was seen in part. */
typedef struct {
    void (*expect)(void *context, uint64_t first_seqno, uint64_t last_seqno); /* called first: what headers speak of */
    skv_log_visit visit;
    void *context;
} skv_log_visitor;
/* Open and verify all segments. visitor: NULL for none. proof_seqno: the newest seqno that a shard has applied. Torn tail: cut. CORRUPT with
 * file, offset and seqno: a record that was durable is damaged or missing. */
skv_code skv_log_scan(skv_log *log, uint64_t proof_seqno, const skv_log_visitor *visitor, skv_log_found_tail *out,
                      skv_error *err);
/* The same for a log that nobody has open, of which nothing is written: cursors read it from then on, retained segments and
 * torn tail included. It cannot be started. */
skv_code skv_log_scan_still(skv_log *log, skv_log_found_tail *out, skv_error *err);
/* Visit the records of [from, upto], in order. Frames are visited whole or not at all. */
skv_code skv_log_visit_records(skv_log *log, uint64_t from, uint64_t upto, skv_log_visit visit, void *context,
                               skv_error *err);

#endif
