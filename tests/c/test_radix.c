/* The sort is right, stable, and right on keys that share most of their bytes. */
#include "radix.h"

#include "check.h"

#define MOST 3000

static void check_sorted(const skv_pair *pairs, size_t count)
{
    static uint8_t seen[MOST];
    for (size_t i = 0; i < count; i++)
        seen[i] = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(pairs[i].payload < count && !seen[pairs[i].payload]);
        seen[pairs[i].payload] = 1;
        if (i)
            CHECK(pairs[i - 1].key < pairs[i].key ||
                  (pairs[i - 1].key == pairs[i].key && pairs[i - 1].payload < pairs[i].payload));
    }
}

static void test_random_pairs_of_every_count_are_sorted_stably(void)
{
    static const uint64_t masks[] = {UINT64_MAX, 0, 0xff, 0xff00000000000000ULL, 0x0f0f000000ff0003ULL, 1};
    static skv_pair pairs[MOST], scratch[MOST];
    static const size_t counts[] = {0, 1, 2, 3, 255, 256, 257, MOST};
    uint64_t random = check_seed();
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (size_t i = 0; i < counts[c]; i++)
                pairs[i] = (skv_pair){(check_random(&random) & masks[m]) | (0x5500ULL & ~masks[m]), i};
            skv_radix_sort(pairs, scratch, counts[c]);
            check_sorted(pairs, counts[c]);
        }
}

static void test_every_single_byte_decides(void)
{
    for (int shift = 0; shift < 64; shift += 8) {
        skv_pair pairs[256], scratch[256];
        for (size_t i = 0; i < 256; i++)
            pairs[i] = (skv_pair){(uint64_t)(255 - i) << shift, i};
        skv_radix_sort(pairs, scratch, 256);
        for (size_t i = 0; i < 256; i++)
            CHECK(pairs[i].key == (uint64_t)i << shift && pairs[i].payload == 255 - i);
    }
}

int main(void)
{
    RUN(test_random_pairs_of_every_count_are_sorted_stably);
    RUN(test_every_single_byte_decides);
    return 0;
}
