/* L2 part. The manifest: which store this is and how its keys are laid out. FORMAT.md 3. Two equal copies. */
#ifndef SKV_MANIFEST_H
#define SKV_MANIFEST_H

#include <stdbool.h>

#include "format.h"
#include "include/shardkv_dirs.h"

typedef struct {
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint64_t generation;
    uint64_t epoch;
    skv_settings settings; /* 0: not stored, the default holds */
    uint32_t shards;
    uint32_t weights[SKV_SHARDS_MAX];
    uint32_t lineage_bytes; /* 0: none */
    uint8_t lineage[SKV_LINEAGE_BYTES_MAX];
} skv_manifest;

/* Replace both copies, one after the other: temporary file, sync, rename, sync of the directory. */
skv_code skv_manifest_save(int dir, const skv_manifest *manifest, skv_error *err);
/* The newest good copy; a damaged or older other one is mended from it. NOT_FOUND (without err): there is none.
 * CORRUPT: there are only damaged ones. FORMAT: a version this release does not know; nothing is touched. */
skv_code skv_manifest_load(int dir, skv_manifest *out, skv_error *err);
/* The newest good copy, and nothing is mended. NOT_FOUND, CORRUPT, FORMAT. */
skv_code skv_manifest_peek(int dir, skv_manifest *out, skv_error *err);
/* One copy, 0 or 1, as it is; nothing is mended. NOT_FOUND (without err), CORRUPT, FORMAT. */
skv_code skv_manifest_look(int dir, int copy, skv_manifest *out, skv_error *err);
/* All copies, good or bad. */
skv_code skv_manifest_remove(int dir, skv_error *err);
/* Is there any copy, good or bad? */
bool skv_manifest_exists(int dir);

#endif
