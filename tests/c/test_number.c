/* Numbers as values: every one comes back, in its shortest form; nothing else is taken for one. */
#include "number.h"

#include "check.h"

static skv_slice text_of(const char *text)
{
    return (skv_slice){(const uint8_t *)text, strlen(text)};
}

static void check_comes_back(int format, int64_t value, size_t bytes)
{
    uint8_t *out = malloc(SKV_NUMBER_BYTES_MAX), *exact;
    size_t written = skv_number_write(format, value, out);
    int64_t back = ~value;
    CHECK(!bytes || written == bytes);
    exact = malloc(written); /* so that a read beyond the end is seen */
    memcpy(exact, out, written);
    CHECK(skv_number_read(format, (skv_slice){exact, written}, &back));
    CHECK(back == value);
    free(exact);
    free(out);
}

static void test_numbers_at_every_power_of_two_come_back(void)
{
    for (int bit = 0; bit < 64; bit++)
        for (int64_t near = -2; near <= 2; near++) {
            int64_t value = (int64_t)(((uint64_t)1 << bit) + (uint64_t)near);
            for (int format = SKV_NUMBER_TEXT; format <= SKV_NUMBER_MSGPACK; format++) {
                check_comes_back(format, value, 0);
                check_comes_back(format, (int64_t)(0 - (uint64_t)value), 0);
            }
        }
}

static void test_the_forms_are_the_shortest(void)
{
    static const struct {
        int64_t value;
        size_t text, msgpack;
    } cases[] = {{0, 1, 1},       {127, 3, 1},     {128, 3, 2},       {255, 3, 2},        {256, 3, 3},
                 {65535, 5, 3},   {65536, 5, 5},   {-1, 2, 1},        {-32, 3, 1},        {-33, 3, 2},
                 {-128, 4, 2},    {-129, 4, 3},    {-32768, 6, 3},    {-32769, 6, 5},     {UINT32_MAX, 10, 5},
                 {INT64_MAX, 19, 9}, {INT64_MIN, 20, 9}, {INT32_MIN, 11, 5}, {4294967296, 10, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_comes_back(SKV_NUMBER_TEXT, cases[i].value, cases[i].text);
        check_comes_back(SKV_NUMBER_MSGPACK, cases[i].value, cases[i].msgpack);
    }
}

static void test_what_is_no_decimal_number_of_64_bits_is_refused(void)
{
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "01", "-0", "00", "1.0", "1e3", "0x1", "--1", "1-",
                                      "9223372036854775808", "-9223372036854775809", "18446744073709551616",
                                      "100000000000000000000", "\xd9\xa1"};
    int64_t ignored;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!skv_number_read(SKV_NUMBER_TEXT, text_of(bad[i]), &ignored));
}

static void test_what_is_no_msgpack_integer_is_refused(void)
{
    static const struct {
        uint8_t bytes[10];
        size_t count;
    } bad[] = {{{0}, 0},          {{0xc0}, 1},       {{0x80}, 1},          {{0xa1, '1'}, 2},  {{0xcc}, 1},
               {{0xcd, 1}, 2},    {{0xcc, 1, 1}, 3}, {{1, 1}, 2},          {{0xc4, 1, 1}, 3}, {{0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, 9},
               {{0xd4, 1, 1}, 3}, {{0xd3, 1}, 2},    {{0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9}, {{0xdf}, 1}};
    int64_t ignored;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!skv_number_read(SKV_NUMBER_MSGPACK, (skv_slice){bad[i].bytes, bad[i].count}, &ignored));
}

static void test_longer_msgpack_forms_are_read(void)
{
    static const uint8_t forms[][9] = {{0xcc, 7}, {0xcd, 0, 7}, {0xce, 0, 0, 0, 7}, {0xcf, 0, 0, 0, 0, 0, 0, 0, 7},
                                       {0xd0, 7}, {0xd1, 0, 7}, {0xd2, 0, 0, 0, 7}, {0xd3, 0, 0, 0, 0, 0, 0, 0, 7}};
    for (size_t i = 0; i < 8; i++) {
        int64_t value = 0;
        CHECK(skv_number_read(SKV_NUMBER_MSGPACK, (skv_slice){forms[i], 1 + ((size_t)1 << i % 4)}, &value));
        CHECK_EQ(value, 7);
    }
}

int main(void)
{
    RUN(test_numbers_at_every_power_of_two_come_back);
    RUN(test_the_forms_are_the_shortest);
    RUN(test_what_is_no_decimal_number_of_64_bits_is_refused);
    RUN(test_what_is_no_msgpack_integer_is_refused);
    RUN(test_longer_msgpack_forms_are_read);
    return 0;
}
