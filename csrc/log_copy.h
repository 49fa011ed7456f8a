/* L2 part (log family). A log that is filled with the records of another one, as they are: with their seqnos, flags and
 * expiry, and what was one frame is one again, so that no batch is ever in two. It is not used until it is finished. */
#ifndef SKV_LOG_COPY_H
#define SKV_LOG_COPY_H

#include "log_read.h"

typedef struct skv_log_copy skv_log_copy;

typedef struct {
    int dir; /* of the copy, kept; its "log" is there and empty */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    skv_log_sizes sizes;
    uint64_t first_seqno; /* of the first record that will come */
    uint64_t clock_ms;    /* that the other store's clock has reached */
} skv_log_copy_terms;

/* owned: skv_log_copy_free. One thread at a time. FULL, IO. */
skv_code skv_log_copy_create(const skv_log_copy_terms *terms, skv_log_copy **out, skv_error *err);
/* The same behind what a log holds that was closed, or not, then in a fresh segment: its directory is held. proof_seqno: the newest that a shard of its
 * has applied; sizes and clock are taken from the terms, first_seqno must be that of the record that comes next. CORRUPT. */
skv_code skv_log_copy_reopen(const skv_log_copy_terms *terms, uint64_t proof_seqno, skv_log_copy **out, skv_error *err);
void skv_log_copy_free(skv_log_copy *copy);
/* The next record; rest: of its frame. Touches no file. CORRUPT when it does not follow the one before; BUSY when its frame needs
 * another segment: nothing is taken, make room first. */
skv_code skv_log_copy_take(skv_log_copy *copy, const skv_record *record, skv_log_rest rest, skv_error *err);
skv_code skv_log_copy_make_room(skv_log_copy *copy, skv_error *err);
/* Make durable what was taken. */
skv_code skv_log_copy_sync(skv_log_copy *copy, skv_error *err);
/* Sync, and close the log in good order. applied_sum: of the shards that belong to it. */
skv_code skv_log_copy_finish(skv_log_copy *copy, uint64_t applied_sum, skv_error *err);

#endif
