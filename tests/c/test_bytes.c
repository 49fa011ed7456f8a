/* Little-endian loads and stores, and the order of keys. */
#include "bytes.h"

#include "check.h"

static void test_numbers_are_little_endian_at_any_alignment(void)
{
    uint8_t at[16] = {0};
    for (size_t shift = 0; shift < 8; shift++) {
        skv_store64(at + shift, 0x0807060504030201ULL);
        for (uint8_t i = 0; i < 8; i++)
            CHECK_EQ(at[shift + i], i + 1);
        CHECK_EQ(skv_load64(at + shift), 0x0807060504030201ULL);
        CHECK_EQ(skv_load32(at + shift), 0x04030201U);
        CHECK_EQ(skv_load16(at + shift), 0x0201);
        skv_store32(at + shift, 0xfffefdfcU);
        skv_store16(at + shift + 4, 0xabcd);
        CHECK_EQ(skv_load64(at + shift), 0x0807abcdfffefdfcULL);
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static skv_slice random_key(uint8_t *out, uint64_t *random)
{
    size_t bytes = check_random(random) % 12;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(check_random(random) % 3 * 127);
    return (skv_slice){out, bytes};
}

static void test_the_prefix_of_a_key_never_contradicts_its_order(void)
{
    uint64_t random = check_seed();
    uint8_t left[12], right[12];
    for (int i = 0; i < 20000; i++) {
        skv_slice a = random_key(left, &random), b = random_key(right, &random);
        uint64_t pa = skv_order_prefix(a.data, a.bytes), pb = skv_order_prefix(b.data, b.bytes);
        int order = sign(skv_key_compare(a, b));
        CHECK_EQ(order, -sign(skv_key_compare(b, a)));
        CHECK(pa == pb || (pa < pb) == (order < 0));
        if (order == 0)
            CHECK(a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0);
    }
}

static void test_a_key_comes_after_its_own_beginning(void)
{
    CHECK(skv_key_compare((skv_slice){(const uint8_t *)"ab", 2}, (skv_slice){(const uint8_t *)"abc", 3}) < 0);
    CHECK(skv_key_compare((skv_slice){(const uint8_t *)"ab\0", 3}, (skv_slice){(const uint8_t *)"ab", 2}) > 0);
    CHECK(skv_key_compare((skv_slice){NULL, 0}, (skv_slice){(const uint8_t *)"a", 1}) < 0);
    CHECK(skv_key_compare((skv_slice){(const uint8_t *)"\xff", 1}, (skv_slice){(const uint8_t *)"\x7f", 1}) > 0);
}

static void test_alignment_goes_up_to_the_next_multiple_of_eight(void)
{
    for (size_t x = 0; x < 100; x++)
        CHECK(skv_align8(x) % 8 == 0 && skv_align8(x) >= x && skv_align8(x) < x + 8);
}

int main(void)
{
    RUN(test_numbers_are_little_endian_at_any_alignment);
    RUN(test_the_prefix_of_a_key_never_contradicts_its_order);
    RUN(test_a_key_comes_after_its_own_beginning);
    RUN(test_alignment_goes_up_to_the_next_multiple_of_eight);
    return 0;
}
