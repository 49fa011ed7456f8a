/* L2 part. The ring: an immutable map from key hash to shard, with weights. FORMAT.md 9. Threads: any, once created. */
#ifndef SKV_RING_H
#define SKV_RING_H

#include "error.h"

typedef struct skv_ring skv_ring;

/* weights: one per shard, 1..SKV_WEIGHT_MAX, or NULL for equal ones. owned: skv_ring_free. INVALID, NO_MEMORY. */
skv_code skv_ring_create(const uint32_t *weights, uint32_t shards, skv_ring **out, skv_error *err);
void skv_ring_free(skv_ring *ring);
/* What a lookup of this hash will touch, for one who looks up many. */
void skv_ring_prefetch(const skv_ring *ring, uint64_t key_hash);
/* The shard whose point is the first at or after the hash, around the circle. */
uint32_t skv_ring_route(const skv_ring *ring, uint64_t key_hash);

#endif
