/* L0. XXH64. */
#include "hash.h"

#define PRIME_1 0x9E3779B185EBCA87ULL
#define PRIME_2 0xC2B2AE3D27D4EB4FULL
#define PRIME_3 0x165667B19E3779F9ULL
#define PRIME_4 0x85EBCA77C2B2AE63ULL
#define PRIME_5 0x27D4EB2F165667C5ULL

static inline uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t mix_lane(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t fold_lane(uint64_t hash, uint64_t lane)
{
    return (hash ^ mix_lane(0, lane)) * PRIME_1 + PRIME_4;
}

static uint64_t hash_stripes(const uint8_t **at, const uint8_t *end, uint64_t seed)
{
    uint64_t a = seed + PRIME_1 + PRIME_2, b = seed + PRIME_2, c = seed, d = seed - PRIME_1, hash;
    const uint8_t *p = *at;
    do {
        a = mix_lane(a, skv_load64(p));
        b = mix_lane(b, skv_load64(p + 8));
        c = mix_lane(c, skv_load64(p + 16));
        d = mix_lane(d, skv_load64(p + 24));
        p += 32;
    } while (end - p >= 32);
    *at = p;
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    hash = fold_lane(hash, a);
    hash = fold_lane(hash, b);
    hash = fold_lane(hash, c);
    return fold_lane(hash, d);
}

static inline uint64_t hash_tail(uint64_t hash, const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8)
        hash = rotate(hash ^ mix_lane(0, skv_load64(p)), 27) * PRIME_1 + PRIME_4;
    if (end - p >= 4) {
        hash = rotate(hash ^ (skv_load32(p) * PRIME_1), 23) * PRIME_2 + PRIME_3;
        p += 4;
    }
    for (; p < end; p++)
        hash = rotate(hash ^ (*p * PRIME_5), 11) * PRIME_1;
    return hash;
}

uint64_t skv_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = data, *end = p + bytes;
    uint64_t hash = bytes >= 32 ? hash_stripes(&p, end, seed) : seed + PRIME_5;
    hash = hash_tail(hash + bytes, p, end);
    hash = (hash ^ (hash >> 33)) * PRIME_2;
    hash = (hash ^ (hash >> 29)) * PRIME_3;
    return hash ^ (hash >> 32);
}
