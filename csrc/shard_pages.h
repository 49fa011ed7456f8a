/* L2 part (shard family). The file of an environment read as bytes, without LMDB and without believing any of it: what is left of
 * a damaged shard. No damage ends the process or the walk; what cannot be read is passed by.
 *
 * A meta page names a state of the shard; there are two, the newer one and the one before. A leaf page belongs to a state
 * when its list of free pages does not have it. Where that list cannot be read, what the tree reaches has to do. */
#ifndef SKV_SHARD_PAGES_H
#define SKV_SHARD_PAGES_H

#include "shard.h"

#define SKV_PAGES_STATES 2

typedef struct skv_pages skv_pages;

/* What a shard's own record says. */
typedef struct {
    uint8_t store_id[SKV_STORE_ID_BYTES];
    uint32_t number;
    uint64_t applied_seqno;
    skv_shard_sum all;
} skv_shard_claim;

/* Map a file. NOT_FOUND: there is none, or nothing in it. owned: skv_pages_free. IO, NO_MEMORY. */
skv_code skv_pages_open(int dir, const char *name, skv_pages **out, skv_error *err);
void skv_pages_free(skv_pages *pages);
/* States whose meta page can be read, newest first. */
uint32_t skv_pages_states(const skv_pages *pages);
/* The own record among a walk's; false: it is another, or damaged. */
bool skv_pages_claim(skv_slice key, skv_slice stored, skv_shard_claim *out);

typedef enum { SKV_PAGES_LISTED, SKV_PAGES_REACHED } skv_pages_way; /* by the list of free pages; by the tree */
/* Visit what the leaves hold, in no order, unverified. What visit answers but OK ends it. */
typedef skv_code (*skv_pages_visit)(void *context, skv_slice key, skv_slice stored, skv_error *err);
typedef struct {
    skv_pages_visit visit;
    void *context;
} skv_pages_visitor;
skv_code skv_pages_walk(const skv_pages *pages, uint32_t state, skv_pages_way way, skv_pages_visitor to, skv_error *err);

#endif
