/* L2 part (log family). What is left of a damaged log: runs of records that their checksums prove, wherever they stand. Damage is
 * not an error here; it is what there is less of. Nothing is written. */
#ifndef SKV_LOG_REMAINS_H
#define SKV_LOG_REMAINS_H

#include "mark.h"
#include "record.h"

/* How far a run is believed, best first: a frame of a segment whose header holds; a record of a frame that does not hold; what
 * stands in a file without a good header. */
typedef enum { SKV_REMNANT_FRAME, SKV_REMNANT_RECORD, SKV_REMNANT_STRAY } skv_remnant_rank;

typedef struct {
    uint64_t first_seqno, last_seqno; /* of the records that count */
    const uint8_t *records;           /* one after the other, the first of them may come before first_seqno */
    skv_remnant_rank rank;
    bool joined; /* it follows, frame by frame, from the header of its segment */
} skv_remnant;

typedef struct skv_remains_file skv_remains_file;

typedef struct {
    skv_remnant *runs; /* owned, in no order */
    size_t count, capacity;
    bool marked; /* the side file could be read */
    skv_mark mark;
    uint64_t proven_seqno; /* everything up to it was durable, says something that holds */
    uint64_t oldest_seqno; /* of the first record, or the next, of the oldest segment; UINT64_MAX: there is none */
    skv_remains_file *files; /* owned: the runs point into them */
} skv_log_remains;

/* Read the frames. NO_MEMORY, IO. In any case to be given to skv_log_remains_free. */
skv_code skv_log_remains_read(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_log_remains *out, skv_error *err);
/* Then the single records between them, up to what is proven by any copy. */
skv_code skv_log_remains_salvage(skv_log_remains *remains, uint64_t proven_seqno, skv_error *err);
void skv_log_remains_free(skv_log_remains *remains);

#endif
