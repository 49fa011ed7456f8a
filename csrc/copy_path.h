/* L3 path. Copying a store piece by piece, while it is written to: each shard, packed and verified, then the log from the first
 * record on that a shard may lack, up to a cut. Every piece is durable when its call returns; together they are a store
 * once a manifest is put beside them.
 *
 * A shard is copied in stretches of its keys, each in a transaction of its own, so that nothing is held back meanwhile. What
 * is flushed into it between two of them may be half in the copy: the log from before the first one on has all of it.
 *
 * What is taken from the original is put into the copy by another call: `take` touches no file of the copy, and `put` nothing of
 * the original's, which may be closed while the copy's disk hangs. */
#ifndef SKV_COPY_PATH_H
#define SKV_COPY_PATH_H

#include "log_copy.h"
#include "parts.h"

typedef struct {
    const skv_lmdb *lmdb; /* kept, as all pointers here */
    const char *path;     /* of the copy's directory, in which "log" and the shards' directories are */
    int dir;
    uint8_t from_id[SKV_STORE_ID_BYTES]; /* of the original */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint64_t map_bytes;
    uint64_t applied_sum; /* of the shards that are there so far */
    uint64_t bytes;       /* written so far */
} skv_copy_target;

/* What one step adds to a shard. */
typedef struct {
    skv_shard_sum sum;
    uint64_t bytes;
    size_t key_bytes; /* of the last key that is there; 0: none is */
    uint8_t key[SKV_KEY_BYTES_MAX];
} skv_copy_stretch;

/* A shard under way; all zeros: none is. */
typedef struct {
    skv_shard *from; /* kept */
    skv_shard *to;   /* owned */
    uint32_t number;
    uint64_t applied_seqno, state; /* of the original, as it was begun */
    bool flushed;                  /* the original was, meanwhile */
    skv_copy_stretch all, add;     /* that are durable; that were taken and not put yet */
    skv_code taken;                /* how that ended: OK, NOT_FOUND (the shard's end), BUSY (the copy's map is full) */
} skv_copy_shard;

/* Note what is to be copied; then make its place: the shard's directory in the copy is empty. owned: skv_copy_shard_end.
 * FULL, IO, NO_MEMORY. */
void skv_copy_shard_begin(skv_shard *from, skv_copy_shard *shard);
skv_code skv_copy_shard_make(const skv_copy_target *to, skv_copy_shard *shard, skv_error *err);
/* The next keys with about `bytes`, verified. OK: put them. CORRUPT: the original is damaged. FULL, IO, NO_MEMORY. */
skv_code skv_copy_shard_take(skv_copy_shard *shard, uint64_t bytes, skv_error *err);
/* AGAIN: there are more; OK: all are there, verified and durable. FULL, IO, NO_MEMORY. */
skv_code skv_copy_shard_put(skv_copy_target *to, skv_copy_shard *shard, skv_error *err);
/* Let it say that it is the copy's: from then on it is known as whole. */
skv_code skv_copy_shard_finish(skv_copy_target *to, skv_copy_shard *shard, skv_error *err);
void skv_copy_shard_end(skv_copy_shard *shard);
/* A shard that an earlier attempt made whole: made durable once more. NOT_FOUND (without err): there is none. */
skv_code skv_copy_shard_look(skv_copy_target *to, uint32_t number, uint64_t *applied_seqno, skv_error *err);
/* It stays. */
void skv_copy_shard_keep(skv_copy_target *to, uint64_t applied_seqno);

/* The log: create the cursor where the pin is, and the log that takes the records. */
typedef struct {
    skv_log_cursor *cursor;
    skv_log_copy *log;
    uint64_t upto; /* the cut: a seqno that is durable */
    uint64_t bytes;
    bool full; /* the copy's log needs another segment before more is taken */
} skv_copy_stream;
/* From here to the cut of a log: the last one at or before `until` at which a frame ends, so that no batch is cut in two; and
 * the first one that is not before `applied`, what the shards hold. 0: there is none. Reads all of the log. */
typedef struct {
    uint64_t first_seqno, until, applied;
    uint64_t cut, least; /* out */
} skv_copy_range;
skv_code skv_copy_find_cut(skv_log *log, skv_copy_range *range, skv_error *err);
/* The next records, of about `bytes`. OK: put them. CORRUPT, LOG_GONE. */
skv_code skv_copy_log_take(skv_copy_stream *stream, uint64_t bytes, skv_error *err);
/* AGAIN: there is more; OK: all up to the cut is taken and durable. FULL, IO. */
skv_code skv_copy_log_put(skv_copy_stream *stream, skv_error *err);
/* The frame with this record, by which a log is known: its checksum covers all frames before. NOT_FOUND (with err): the log does
 * not hold the record, or not any more. */
skv_code skv_copy_look(skv_log *log, uint64_t seqno, skv_log_rest *out, skv_error *err);
/* The checksum of the frame that ends with this record, also when the log begins behind it. NOT_FOUND likewise. */
skv_code skv_copy_end(skv_log *log, uint64_t seqno, uint64_t *out, skv_error *err);
/* A hash of the records from the first to the last: equal in logs that have the same ones, in whatever frames. NOT_FOUND likewise. */
skv_code skv_copy_digest(skv_log *log, uint64_t first_seqno, uint64_t last_seqno, uint64_t *out, skv_error *err);

#endif
