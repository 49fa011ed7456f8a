/* L0. Little-endian loads and stores, and the borrowed slice. Pure. */
#ifndef SKV_BYTES_H
#define SKV_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SKV_LE16(x) (x)
#define SKV_LE32(x) (x)
#define SKV_LE64(x) (x)
#else
#define SKV_LE16(x) __builtin_bswap16(x)
#define SKV_LE32(x) __builtin_bswap32(x)
#define SKV_LE64(x) __builtin_bswap64(x)
#endif

typedef struct {
    const uint8_t *data; /* borrowed */
    size_t bytes;
} skv_slice;

static inline skv_slice skv_slice_at(const char *data, size_t bytes)
{
    return (skv_slice){(const uint8_t *)data, bytes};
}

static inline uint16_t skv_load16(const void *at)
{
    uint16_t x;
    memcpy(&x, at, sizeof x);
    return (uint16_t)SKV_LE16(x);
}

static inline uint32_t skv_load32(const void *at)
{
    uint32_t x;
    memcpy(&x, at, sizeof x);
    return SKV_LE32(x);
}

static inline uint64_t skv_load64(const void *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return SKV_LE64(x);
}

static inline void skv_store16(void *at, uint16_t x)
{
    x = (uint16_t)SKV_LE16(x);
    memcpy(at, &x, sizeof x);
}

static inline void skv_store32(void *at, uint32_t x)
{
    x = SKV_LE32(x);
    memcpy(at, &x, sizeof x);
}

static inline void skv_store64(void *at, uint64_t x)
{
    x = SKV_LE64(x);
    memcpy(at, &x, sizeof x);
}

/* The first 8 bytes of a key as a number whose order is the key order; shorter keys are padded with zeros. */
static inline uint64_t skv_order_prefix(const uint8_t *key, size_t bytes)
{
    uint8_t padded[8] = {0};
    uint64_t x;
    if (bytes >= 8) {
        memcpy(&x, key, 8);
    } else {
        for (size_t i = 0; i < bytes; i++)
            padded[i] = key[i];
        memcpy(&x, padded, 8);
    }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(x);
#else
    return x;
#endif
}

/* <0, 0, >0 as memcmp, the shorter first among equals. */
static inline int skv_key_compare(skv_slice a, skv_slice b)
{
    size_t shared = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    if (order)
        return order;
    return (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static inline size_t skv_align8(size_t x)
{
    return (x + 7) & ~(size_t)7;
}

#endif
