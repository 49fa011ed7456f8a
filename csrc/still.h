/* L4 house. A store that nobody has open, to be read and not written: what checks and restores look at. */
#ifndef SKV_STILL_H
#define SKV_STILL_H

#include "home.h"
#include "log_copy.h"
#include "log_scan.h"
#include "manifest.h"
#include "shard.h"

typedef struct {
    char *path; /* owned */
    int dir, lock_fd;
    const skv_lmdb *lmdb; /* kept */
    skv_manifest manifest;
    skv_clock clock;
    skv_log *log; /* owned; NULL until it was read */
    skv_log_found_tail tail;
} skv_still;

/* Hold the directory. owned: skv_still_free. INVALID: there is no store; LOCKED, FORMAT, CORRUPT (the manifest), IO. */
skv_code skv_still_open(const skv_lmdb *lmdb, const char *path, skv_still **out, skv_error *err);
/* The same of one that will be written to: the directory is held as an open holds it. */
skv_code skv_still_open_to_extend(const skv_lmdb *lmdb, const char *path, skv_still **out, skv_error *err);
void skv_still_free(skv_still *still);
/* Read and verify the log, as an open would; only the first time. */
skv_code skv_still_read_log(skv_still *still, skv_error *err);
/* What the shards are, all together. */
typedef struct {
    uint64_t file_bytes, applied_sum, newest_seqno;
} skv_still_shards;

skv_code skv_still_measure(const skv_still *still, skv_still_shards *out, skv_error *err);
/* What they applied was in the log before, and never becomes less. CORRUPT: not so, one side is older than the other. */
skv_code skv_still_fit(const skv_still *still, const skv_still_shards *shards, skv_error *err);
/* owned: skv_shard_free. */
skv_code skv_still_open_shard(const skv_still *still, uint32_t number, skv_shard **out, skv_error *err);

#endif
