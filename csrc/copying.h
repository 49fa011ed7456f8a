/* L4 house. A copy under way: its directory, and which piece comes next. FORMAT.md 2. */
#ifndef SKV_COPYING_H
#define SKV_COPYING_H

#include "copy_path.h"
#include "origin.h"
#include "still.h"
#include "store.h"

struct skv_copy {
    skv_store *store; /* borrowed; NULL: the original is not open */
    skv_still *still; /* owned: then it is here */
    skv_still *base;  /* owned: the backup that grows; NULL: all is copied */
    skv_log *log;     /* of the original */
    skv_log_sizes sizes;
    long process;     /* in a forked child there is nothing to tidy */
    char *path;       /* owned */
    int dir, lock_fd;
    bool backup;      /* one that is there may grow */
    bool made, pinned, finished;
    bool resumed;     /* the directory is that of an earlier attempt */
    bool worthless;   /* the original is damaged: nothing to go on with */
    uint32_t pin, next_shard, kept_shards;
    skv_slice lineage; /* borrowed while the copy is opened */
    bool kept[SKV_SHARDS_MAX]; /* shards of an earlier attempt */
    uint64_t first_seqno;
    uint64_t least_seqno;               /* nothing in the shards so far is newer */
    uint64_t passed_bytes, shard_bytes; /* of the original: shards that are copied, and all of them */
    skv_manifest manifest;              /* of the copy */
    skv_origin origin;                  /* likewise */
    skv_copy_target to;
    skv_copy_shard shard;
    skv_copy_stream stream;
};

/* Nothing is written yet. owned: skv_copying_free. */
skv_copy *skv_copying_make(const char *path, skv_error *err);
/* The rest of a copy that was not finished stays when it can be gone on with; else it is taken away. */
void skv_copying_free(skv_copy *copy);
/* A directory of its own, for a copy of a store with this manifest: a new one, or that of an earlier attempt. */
skv_code skv_copying_set_out(skv_copy *copy, const skv_manifest *from, skv_error *err);
/* Hold the log of an open original from the first record on that a shard may lack, and keep what can be kept of an
 * earlier attempt. */
skv_code skv_copying_pin(skv_copy *copy, skv_error *err);
/* Between these two an open original stays open. No file of the copy is touched there: its disk must keep nobody from closing. */
skv_code skv_copying_enter(const skv_copy *copy, skv_error *err);
void skv_copying_leave(const skv_copy *copy);
/* By what a copy is known later (copying_proof.c); an open original is entered.
 *
 * Note for COPYING the newest frame: everything in the shards that are finished by now is older. When the log does not have
 * it, nobody will go on with the copy. */
skv_code skv_copying_prove_shards(skv_copy *copy, skv_error *err);
/* That frame is there: the original has not gone on from an older state. */
bool skv_copying_is_proven(skv_copy *copy);
/* A copy that grows shows what it is a copy of by the frame that its ORIGIN names, and by all records behind that: begin its log
 * with the first one that the frame with this record does not prove to be durable, when they can be read. */
void skv_copying_have(skv_copy *copy, uint64_t seqno);
/* Hold the log from this record on. false: it does not reach back so far. */
bool skv_copying_reaches_back(skv_copy *copy, uint64_t seqno);
/* Note for ORIGIN what proves the copy's last record. When the original's log cannot be read there, nothing will. */
skv_code skv_copying_prove(skv_copy *copy, skv_error *err);
/* The next piece, of about `bytes`. AGAIN, OK: it is finished. CLOSED: the original was. This one, set_out, pin and the next enter an open
 * original by themselves, never while they touch the copy's files. */
skv_code skv_copying_next(skv_copy *copy, uint64_t bytes, skv_error *err);

/* In place of set_out: the directory holds a backup of the store with this manifest, which will grow by the log after its newest
 * record. INVALID, LOCKED, CORRUPT, LOG_GONE: the log does not reach back that far (increment.c). */
skv_code skv_increment_begin(skv_copy *copy, const skv_manifest *from, skv_error *err);

#endif
