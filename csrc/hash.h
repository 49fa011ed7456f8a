/* L0. XXH64, written from its public specification (xxHash: doc/xxhash_spec.md). Part of the format: keys are placed
 * and bytes are checked with it. Pure. */
#ifndef SKV_HASH_H
#define SKV_HASH_H

#include "bytes.h"

uint64_t skv_hash64(const void *data, size_t bytes, uint64_t seed);

/* Where a key lives: its route on the ring and its place in an index. */
static inline uint64_t skv_key_hash(const void *key, size_t bytes)
{
    return skv_hash64(key, bytes, 0);
}

/* A key with its hash, so that it is computed once. */
typedef struct {
    skv_slice bytes; /* borrowed */
    uint64_t hash;
} skv_key;

static inline skv_key skv_key_of(skv_slice bytes)
{
    return (skv_key){bytes, skv_key_hash(bytes.data, bytes.bytes)};
}

#endif
