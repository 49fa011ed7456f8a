/* L0. Sort 16-byte pairs by their 64-bit key, least significant byte first. Stable. Pure. */
#ifndef SKV_RADIX_H
#define SKV_RADIX_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t key;
    uint64_t payload;
} skv_pair;

/* scratch: as large as pairs. Bytes that are the same in every key cost one pass of counting only. */
void skv_radix_sort(skv_pair *pairs, skv_pair *scratch, size_t count);

#endif
