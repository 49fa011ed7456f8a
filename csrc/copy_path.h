/* L3 path. Copying a store piece by piece, while it is written to: each shard, packed and proven, then the log from the first
 * record on that a shard may lack, up to a cut. Every piece is durable when its call returns; together they are a store
 * once a manifest is put beside them. */
#ifndef SKV_COPY_PATH_H
#define SKV_COPY_PATH_H

#include "log_copy.h"
#include "parts.h"

typedef struct {
    const skv_lmdb *lmdb; /* kept, as all pointers here */
    const char *path;     /* of the copy's directory, in which "log" and the shards' directories are empty */
    int dir;
    uint8_t from_id[SKV_STORE_ID_BYTES]; /* of the original */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint64_t map_bytes;
    uint64_t applied_newest, applied_sum; /* of the shards copied so far */
    uint64_t bytes;                       /* written so far */
} skv_copy_target;

/* One shard. CORRUPT: the original is damaged. FULL, IO, NO_MEMORY. */
skv_code skv_copy_shard(skv_copy_target *to, skv_shard *from, skv_error *err);

/* The log: create the cursor where the pin is, and the log that takes the records. */
typedef struct {
    skv_log_cursor *cursor;
    skv_log_copy *log;
    uint64_t upto; /* the cut: a seqno that is durable */
    uint64_t bytes;
} skv_copy_stream;
/* From here to the cut of a log: the last one at or before `until` at which a frame ends, so that no batch is cut in two; and
 * the first one that is not before `applied`, what the shards hold. 0: there is none. Reads all of the log. */
typedef struct {
    uint64_t first_seqno, until, applied;
    uint64_t cut, least; /* out */
} skv_copy_range;
skv_code skv_copy_find_cut(skv_log *log, skv_copy_range *range, skv_error *err);
/* The next few MiB. AGAIN: there is more; OK: all up to the cut is taken and durable. */
skv_code skv_copy_log(skv_copy_stream *stream, skv_error *err);

#endif
