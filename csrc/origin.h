/* L2 part. Where a copy comes from: said in COPYING while it is made, in ORIGIN from then on until somebody writes to it. FORMAT.md 2. */
#ifndef SKV_ORIGIN_H
#define SKV_ORIGIN_H

#include <stdbool.h>

#include "manifest.h"

typedef struct {
    uint8_t source_id[SKV_STORE_ID_BYTES];
    uint8_t store_id[SKV_STORE_ID_BYTES]; /* of the copy */
    uint64_t layout;                      /* of both: how keys are spread */
    uint64_t least_seqno;          /* nothing in the copy's shards is newer */
    uint64_t proof_seqno, proof;   /* a record of the source that is newer than all in the shards so far, and its frame's checksum; 0: none */
} skv_origin;

/* Of a copy of the store with this manifest. The rest is the caller's to fill in. */
skv_origin skv_origin_of(const skv_manifest *source);
/* Was it made of the store with this manifest? */
bool skv_origin_is(const skv_origin *origin, const skv_manifest *source);
/* Durable on OK, once the directory is synced. It fits a sector: one that is written over is the old one or the new one. */
skv_code skv_origin_write(int dir, const char *name, const skv_origin *origin, skv_error *err);
/* In place of the one with this name, at once, even when the process is killed. Durable on OK. */
skv_code skv_origin_replace(int dir, const char *name, const skv_origin *origin, skv_error *err);
/* NOT_FOUND (without err), CORRUPT, IO. */
skv_code skv_origin_read(int dir, const char *name, skv_origin *out, skv_error *err);

#endif
