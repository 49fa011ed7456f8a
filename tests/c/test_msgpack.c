/* msgpack as its specification says, and nothing of a broken input is believed. */
#include "msgpack.h"

#include "check.h"

static skv_unpack reader(const uint8_t *at, size_t bytes)
{
    return (skv_unpack){at, at + bytes};
}

/* Pack a bin of this length behind every head that can carry it, and take it back. */
static void check_bin(size_t bytes)
{
    static uint8_t out[70000];
    for (size_t width = 1; width <= 4; width *= 2) {
        skv_slice got = {0};
        skv_unpack in;
        if (width < 4 && bytes >> (8 * width))
            continue;
        out[0] = width == 1 ? 0xc4 : width == 2 ? 0xc5 : 0xc6;
        for (size_t i = 0; i < width; i++)
            out[1 + i] = (uint8_t)(bytes >> (8 * (width - 1 - i)));
        in = reader(out, 1 + width + bytes);
        CHECK_EQ(skv_unpack_kind(&in), SKV_MP_BIN);
        CHECK(skv_unpack_bin(&in, &got));
        CHECK(got.data == out + 1 + width && got.bytes == bytes && in.at == in.end);
        in = reader(out, 1 + width + bytes - 1);
        CHECK(!skv_unpack_bin(&in, &got));
        CHECK(in.at == out);
    }
    {
        skv_slice got = {0};
        size_t head = skv_pack_bin_head(out, bytes);
        skv_unpack in = reader(out, head + bytes);
        CHECK(head <= SKV_MP_HEAD_MAX);
        CHECK_EQ(head, bytes < 256 ? 2 : bytes < 65536 ? 3 : 5);
        CHECK(skv_unpack_bin(&in, &got) && got.bytes == bytes);
    }
}

static void test_bins_of_every_width(void)
{
    static const size_t lengths[] = {0, 1, 31, 255, 256, 257, 65535, 65536, 69000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        check_bin(lengths[i]);
}

static void test_numbers_of_every_width(void)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ULL << 32, UINT64_MAX};
    uint8_t out[SKV_MP_HEAD_MAX];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint64_t got = 0;
        size_t bytes = skv_pack_uint(out, numbers[i]);
        skv_unpack in = reader(out, bytes);
        CHECK(bytes <= SKV_MP_HEAD_MAX);
        CHECK_EQ(skv_unpack_kind(&in), SKV_MP_UINT);
        CHECK(skv_unpack_uint(&in, &got) && got == numbers[i] && in.at == in.end);
        for (size_t width = 1; width <= 8; width *= 2) { /* others may pack more widely than we do */
            if (width < 8 && numbers[i] >> (8 * width))
                continue;
            out[0] = (uint8_t)(width == 1 ? 0xcc : width == 2 ? 0xcd : width == 4 ? 0xce : 0xcf);
            for (size_t b = 0; b < width; b++)
                out[1 + b] = (uint8_t)(numbers[i] >> (8 * (width - 1 - b)));
            in = reader(out, 1 + width);
            CHECK(skv_unpack_uint(&in, &got) && got == numbers[i]);
            in = reader(out, width);
            CHECK(!skv_unpack_uint(&in, &got) && in.at == out);
        }
    }
}

static void test_arrays_and_maps_of_every_width(void)
{
    static const uint8_t items[][5] = {{0x93}, {0xdc, 0x01, 0x02}, {0xdd, 0, 0, 0x01, 0x02}};
    static const uint8_t pairs[][5] = {{0x83}, {0xde, 0x01, 0x02}, {0xdf, 0, 0, 0x01, 0x02}};
    static const size_t sizes[] = {1, 3, 5};
    uint8_t out[5];
    uint32_t count;
    for (int i = 0; i < 3; i++) {
        skv_unpack in = reader(items[i], sizes[i]);
        CHECK(skv_unpack_array(&in, &count) && count == (i ? 258U : 3U) && in.at == in.end);
        in = reader(pairs[i], sizes[i]);
        CHECK(!skv_unpack_array(&in, &count));
        CHECK(skv_unpack_map(&in, &count) && count == (i ? 258U : 3U) && in.at == in.end);
        in = reader(items[i], sizes[i] - 1);
        CHECK(!skv_unpack_array(&in, &count));
        in = reader(pairs[i], sizes[i] - 1);
        CHECK(!skv_unpack_map(&in, &count));
    }
    CHECK_EQ(skv_pack_array5(out, 70000), 5);
    {
        skv_unpack in = reader(out, 5);
        CHECK(skv_unpack_array(&in, &count) && count == 70000);
    }
    CHECK_EQ(skv_pack_map(out, 15), 1);
    CHECK_EQ(out[0], 0x8f);
}

static void test_strings(void)
{
    static const uint8_t wide[] = {0xda, 0, 2, 'a', 'b'};
    uint8_t out[40];
    skv_slice got;
    size_t bytes = skv_pack_str(out, "weights");
    skv_unpack in = reader(out, bytes);
    CHECK_EQ(skv_unpack_kind(&in), SKV_MP_STR);
    CHECK(!skv_unpack_bin(&in, &got));
    CHECK(skv_unpack_str(&in, &got) && got.bytes == 7 && memcmp(got.data, "weights", 7) == 0);
    in = reader(wide, sizeof wide);
    CHECK(skv_unpack_str(&in, &got) && got.bytes == 2);
    in = reader(wide, sizeof wide - 1);
    CHECK(!skv_unpack_str(&in, &got) && in.at == wide);
    CHECK_EQ(skv_pack_str(out, "0123456789012345678901234567890"), 32);
}

static void test_other_kinds_are_named(void)
{
    static const uint8_t others[] = {0xc1, 0xc2, 0xc3, 0xca, 0xcb, 0xd0, 0xd1, 0xd2, 0xd3, 0xe0, 0xff, 0xc7, 0xd4, 0xd8};
    uint8_t nil = SKV_MP_NIL_BYTE, pair = 0x92;
    skv_unpack in = reader(&nil, 1);
    CHECK_EQ(skv_unpack_kind(&in), SKV_MP_NIL);
    in = reader(&pair, 1);
    CHECK_EQ(skv_unpack_kind(&in), SKV_MP_ARRAY);
    in = reader(&nil, 0);
    CHECK_EQ(skv_unpack_kind(&in), SKV_MP_END);
    for (size_t i = 0; i < sizeof others; i++) {
        in = reader(others + i, 1);
        CHECK_EQ(skv_unpack_kind(&in), SKV_MP_OTHER);
    }
}

/* The block ends where the input ends: the sanitizer sees every byte too many. */
static void test_random_input_is_never_read_beyond_its_end(void)
{
    uint64_t random = check_seed();
    for (int round = 0; round < 20000; round++) {
        size_t bytes = check_random(&random) % 12;
        uint8_t *block = malloc(bytes ? bytes : 1);
        skv_unpack in = reader(block, bytes);
        skv_slice slice;
        uint32_t count;
        uint64_t number;
        CHECK(block);
        for (size_t i = 0; i < bytes; i++)
            block[i] = (uint8_t)(check_random(&random) % 2 ? 0xc0 + check_random(&random) % 32 : check_random(&random));
        while (skv_unpack_bin(&in, &slice) || skv_unpack_str(&in, &slice) || skv_unpack_array(&in, &count) ||
               skv_unpack_map(&in, &count) || skv_unpack_uint(&in, &number))
            CHECK(in.at <= in.end);
        free(block);
    }
}

int main(void)
{
    RUN(test_bins_of_every_width);
    RUN(test_numbers_of_every_width);
    RUN(test_arrays_and_maps_of_every_width);
    RUN(test_strings);
    RUN(test_other_kinds_are_named);
    RUN(test_random_input_is_never_read_beyond_its_end);
    return 0;
}
