/* L0. Radix sort of pairs. */
#include "radix.h"

#include <string.h>

static void scatter(const skv_pair *from, skv_pair *to, size_t count, size_t starts[256], int shift)
{
    for (size_t i = 0; i < count; i++)
        to[starts[(from[i].key >> shift) & 0xff]++] = from[i];
}

static int count_byte(const skv_pair *pairs, size_t count, size_t starts[256], int shift)
{
    size_t sum = 0;
    memset(starts, 0, 256 * sizeof starts[0]);
    for (size_t i = 0; i < count; i++)
        starts[(pairs[i].key >> shift) & 0xff]++;
    for (int byte = 0; byte < 256; byte++) {
        size_t here = starts[byte];
        if (here == count)
            return 0;
        starts[byte] = sum;
        sum += here;
    }
    return 1;
}

void skv_radix_sort(skv_pair *pairs, skv_pair *scratch, size_t count)
{
    size_t starts[256];
    skv_pair *from = pairs, *to = scratch;
    for (int shift = 0; shift < 64; shift += 8) {
        if (!count_byte(from, count, starts, shift))
            continue;
        scatter(from, to, count, starts, shift);
        skv_pair *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != pairs)
        memcpy(pairs, from, count * sizeof *pairs);
}
