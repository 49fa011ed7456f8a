/* L4 house. A directory that may be damaged in every part, to be read and not written: what mending draws on. */
#ifndef SKV_REMAINS_H
#define SKV_REMAINS_H

#include "home.h"
#include "log_remains.h"
#include "manifest.h"
#include "shard_pages.h"

typedef struct {
    int dir, lock_fd;
    bool manifested; /* a manifest holds */
    skv_manifest manifest;
    bool named; /* store_id is known, from the manifest or from a shard */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    skv_log_remains log;
} skv_remains;

/* Hold the directory and read its manifest and its log's frames. In any case to be given to skv_remains_close.
 * INVALID: there is no store. LOCKED, FORMAT, IO, NO_MEMORY. */
skv_code skv_remains_open(const char *path, skv_remains *out, skv_error *err);
void skv_remains_close(skv_remains *remains);
/* The file of a shard. *out NULL: it is missing. owned: skv_pages_free. */
skv_code skv_remains_pages(const skv_remains *remains, uint32_t number, skv_pages **out, skv_error *err);
/* Directories of shards, without a gap. */
uint32_t skv_remains_shards(const skv_remains *remains);

#endif
