/* XXH64 equals the reference (the numbers come from the xxhash library) on every length that takes another way. */
#include "hash.h"

#include <string.h>

#include "check.h"

static void test_known_answers(void)
{
    const char *text = "Nobody inspects the spammish repetition";
    CHECK_EQ(skv_hash64("", 0, 0), 0xef46db3751d8e999ULL);
    CHECK_EQ(skv_hash64("abc", 3, 0), 0x44bc2cf5ad770999ULL);
    CHECK_EQ(skv_hash64(text, strlen(text), 0), 0xfbcea83c8a378bf1ULL);
    CHECK_EQ(skv_key_hash("abc", 3), skv_hash64("abc", 3, 0));
}

/* Each length's hash is the next one's seed: one number answers for all of them. */
static void test_every_length_up_to_300_at_every_alignment(void)
{
    uint8_t bytes[308];
    for (size_t shift = 0; shift < 8; shift++) {
        uint64_t hash = 0;
        for (size_t i = 0; i < 300; i++)
            bytes[shift + i] = (uint8_t)(i * 131 + 7);
        for (size_t length = 0; length <= 300; length++)
            hash = skv_hash64(bytes + shift, length, hash);
        CHECK_EQ(hash, 0xd51e61c97f15de0aULL);
    }
}

/* Exactly `bytes` are read: the sanitizer watches the ends of the block. */
static void test_nothing_is_read_beyond_the_end(void)
{
    for (size_t length = 0; length <= 300; length++) {
        uint8_t *exact = malloc(length ? length : 1);
        CHECK(exact);
        memset(exact, 5, length);
        (void)skv_hash64(exact, length, length);
        free(exact);
    }
}

int main(void)
{
    RUN(test_known_answers);
    RUN(test_every_length_up_to_300_at_every_alignment);
    RUN(test_nothing_is_read_beyond_the_end);
    return 0;
}
