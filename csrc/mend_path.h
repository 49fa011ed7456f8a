/* L3 path. Mending: a sound shard is made of what is left of its copies and of their logs.
 *
 * What proves a shard is the digest and count that each copy of it keeps: a copy whose records add up to its own is whole, and
 * so is the union of several that adds up to the newest. A record that is in no copy is only passed by when the sums say
 * which one it is; else the shard is not proven. Behind what the shard had applied the log tells the rest, deletes too: so
 * what is absent is proven to be, by a sum or by a delete. */
#ifndef SKV_MEND_PATH_H
#define SKV_MEND_PATH_H

#include "remnants.h"
#include "ring.h"
#include "shard_pages.h"

#define SKV_MEND_COPIES_MAX 16
#define SKV_MEND_VIEWS_MAX (4 * SKV_MEND_COPIES_MAX)
#define SKV_MEND_SPOILT_MAX 64

/* A record that fails its checksum: what it seems to be, and what it adds to the digest if its head holds. */
typedef struct {
    uint64_t seqno, digest;
    skv_slice key; /* borrowed, and not to be believed */
    bool replaced; /* the record was found elsewhere */
} skv_spoilt;

/* One copy of the shard, in one state, read one way. */
typedef struct {
    skv_pages *pages; /* kept */
    uint32_t copy, state;
    skv_pages_way way;
    bool claims; /* its own record holds */
    skv_shard_claim claim;
    uint64_t upto;       /* it has every record of the shard up to this seqno */
    skv_shard_sum found; /* of the records that hold */
    uint64_t newest_seqno;
    skv_spoilt spoilt[SKV_MEND_SPOILT_MAX];
    uint32_t spoilt_count; /* may be more than there is room for */
} skv_mend_view;

typedef struct {
    skv_pages *pages[SKV_MEND_COPIES_MAX]; /* owned; NULL: the file is not there */
    skv_mend_view *views;                  /* owned: room for SKV_MEND_VIEWS_MAX */
    uint32_t count;
} skv_mend_shard;

/* What all shards share. All kept. */
typedef struct {
    const skv_lmdb *lmdb;
    const skv_ring *ring;
    const skv_remnants *log;
    uint64_t last_seqno;
    int dir;          /* of the new store */
    const char *path; /* likewise */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint64_t map_bytes; /* to begin with */
} skv_mend_plan;

/* What a shard became. */
typedef enum { SKV_MEND_WHOLE, SKV_MEND_LOST, SKV_MEND_UNPROVEN } skv_mend_verdict;
typedef struct {
    skv_mend_verdict verdict;
    uint64_t from_seqno;       /* the log from behind this one on was needed */
    const skv_mend_view *view; /* LOST: what of its spoilt records was not replaced is lost. UNPROVEN: the newest; NULL: none */
    skv_shard_sum sum;         /* before that log */
} skv_mend_result;

/* Look at a copy's file of shard `number`: fills in views. A missing file is none. NO_MEMORY, IO. */
skv_code skv_mend_look(const skv_mend_plan *plan, uint32_t number, skv_pages *pages, uint32_t copy, skv_mend_shard *out,
                       skv_error *err);
bool skv_mend_whole(const skv_mend_view *view);
/* The view that has most of the log, of all that claim anything or of the whole ones. NULL: there is none. */
const skv_mend_view *skv_mend_newest(const skv_mend_shard *from, bool whole);
/* Visit the seqnos of all records that hold, in any view. */
typedef struct {
    void (*see)(void *context, uint64_t seqno);
    void *context;
} skv_mend_seer;
skv_code skv_mend_seqnos(const skv_mend_shard *from, skv_mend_seer to, skv_error *err);
/* Make the shard; the new store's directory for it is empty. complete: of the newest whole view, the log misses nothing. */
skv_code skv_mend_make(const skv_mend_plan *plan, uint32_t number, skv_mend_shard *from, bool complete, skv_mend_result *out,
                       skv_error *err);

#endif
