/* L2 part (log family). The side file: what is known to be durable, and where the log begins. FORMAT.md 7. */
#ifndef SKV_MARK_H
#define SKV_MARK_H

#include "format.h"
#include "os.h"

typedef struct {
    uint64_t generation;
    uint64_t durable_seqno;    /* every record up to it was synced */
    uint64_t first_segment_id; /* older segments hold nothing that is still needed */
    uint64_t first_seqno;      /* every record before it is durable in its shard */
    uint64_t applied_sum;       /* of all shards: less than that is an older copy of one */
    uint64_t clock_ms;          /* that the engine's clock had reached */
    uint64_t kept_segment_id;   /* the retained log begins with this segment; 0: nothing is retained */
    uint64_t kept_seqno;        /* and with this record */
    uint64_t closed_segment_id; /* the last segment, after a close; 0: the store is open or was not closed */
} skv_mark;

/* Write one slot and sync; the other slot keeps the generation before. */
skv_code skv_mark_write(int fd, const uint8_t store_id[SKV_STORE_ID_BYTES], const skv_mark *mark, skv_error *err);
/* The newest good slot. CORRUPT when neither holds, or it is another store's. */
skv_code skv_mark_read(int fd, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_mark *out, skv_error *err);
/* Both slots: CORRUPT when either does not hold, though one is enough. Nothing is written. */
skv_code skv_mark_verify(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_error *err);

#endif
