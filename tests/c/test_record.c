/* Records: what is written is read back, every byte of it is under the checksum, and no input is read beyond its end. */
#include "record.h"

#include "check.h"

static const uint8_t bytes_of_value[] = "the value of the record, long enough for a whole stripe of the hash";

static skv_record sample(uint8_t flags, size_t value_bytes)
{
    return (skv_record){.key = {(const uint8_t *)"the key", 7},
                        .value = {bytes_of_value, value_bytes},
                        .seqno = 0x00a1b2c3d4e5f6ULL,
                        .expires_ms = flags & SKV_RECORD_EXPIRES ? 1234567890123ULL : 0,
                        .flags = flags};
}

static void check_same(const skv_record *a, const skv_record *b)
{
    CHECK_EQ(a->seqno, b->seqno);
    CHECK_EQ(a->flags, b->flags);
    CHECK_EQ(a->expires_ms, b->expires_ms);
    CHECK_EQ(a->checksum, b->checksum);
    CHECK_EQ(skv_key_compare(a->key, b->key), 0);
    CHECK_EQ(skv_key_compare(a->value, b->value), 0);
}

static void test_every_kind_of_record_comes_back(void)
{
    for (uint8_t flags = 0; flags <= SKV_RECORD_FLAGS_ALL; flags++)
        for (size_t bytes = 0; bytes < sizeof bytes_of_value; bytes += 11) {
            skv_record record = sample(flags, bytes), read;
            size_t size = skv_record_bytes(&record);
            uint8_t *out = malloc(size);
            CHECK(out);
            CHECK_EQ(skv_record_encode(out, &record), size);
            CHECK_EQ(size, SKV_RECORD_HEADER_BYTES + (flags & SKV_RECORD_EXPIRES ? 8U : 0U) + 7 + bytes);
            CHECK_EQ(skv_record_decode(out, size, &read), size);
            check_same(&record, &read);
            CHECK(skv_record_verify(&read));
            CHECK_EQ(skv_record_deletes(&read), flags & SKV_RECORD_DELETE);
            for (size_t cut = 0; cut < size; cut++)
                CHECK_EQ(skv_record_decode(out, cut, &read), 0);
            free(out);
        }
}

static void test_every_flipped_bit_is_noticed(void)
{
    for (uint8_t flags = 0; flags <= SKV_RECORD_FLAGS_ALL; flags++) {
        skv_record record = sample(flags, 40), read;
        uint8_t out[128] = {0}; /* longer than the record: a changed length may reach behind it */
        size_t size = skv_record_encode(out, &record);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            out[bit / 8] ^= (uint8_t)(1U << bit % 8);
            CHECK(!skv_record_decode(out, sizeof out, &read) || !skv_record_verify(&read));
            out[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        CHECK(skv_record_decode(out, size, &read) == size && skv_record_verify(&read));
    }
}

static void test_lengths_beyond_the_limits_are_malformed(void)
{
    skv_record record = sample(0, 10), read;
    uint8_t out[1024];
    size_t size = skv_record_encode(out, &record);
    skv_store16(out + SKV_RECORD_KEY_BYTES, 0);
    CHECK_EQ(skv_record_decode(out, size, &read), 0);
    skv_store16(out + SKV_RECORD_KEY_BYTES, SKV_KEY_BYTES_MAX + 1);
    CHECK_EQ(skv_record_decode(out, SIZE_MAX, &read), 0);
    skv_store16(out + SKV_RECORD_KEY_BYTES, SKV_KEY_BYTES_MAX);
    CHECK_EQ(skv_record_decode(out, sizeof out, &read), SKV_RECORD_HEADER_BYTES + SKV_KEY_BYTES_MAX + 10);
    skv_store32(out + SKV_RECORD_VALUE_BYTES, SKV_VALUE_BYTES_MAX + 1);
    CHECK_EQ(skv_record_decode(out, SIZE_MAX, &read), 0);
    skv_store32(out + SKV_RECORD_VALUE_BYTES, UINT32_MAX);
    CHECK_EQ(skv_record_decode(out, size, &read), 0);
}

static void test_the_checksum_goes_with_the_record_into_a_shard(void)
{
    for (uint8_t flags = 0; flags <= SKV_RECORD_FLAGS_ALL; flags++) {
        skv_record record = sample(flags, 30), read;
        uint8_t out[128], stored[128];
        size_t head;
        (void)skv_record_encode(out, &record);
        head = skv_stored_encode(stored, &record);
        memcpy(stored + head, record.value.data, record.value.bytes);
        if (flags & SKV_RECORD_DELETE) { /* no shard holds a delete */
            CHECK(!skv_stored_decode(record.key, (skv_slice){stored, head + 30}, &read));
            continue;
        }
        CHECK(skv_stored_decode(record.key, (skv_slice){stored, head + 30}, &read));
        check_same(&record, &read);
        CHECK(skv_record_verify(&read));
        CHECK(!skv_stored_decode(record.key, (skv_slice){stored, head - 1}, &read));
        read.key.bytes--; /* another key's value */
        CHECK(!skv_record_verify(&read));
    }
}

static void test_digests_tell_records_apart(void)
{
    skv_record one = sample(0, 30), other = sample(0, 30);
    uint8_t out[128];
    (void)skv_record_encode(out, &one);
    (void)skv_record_encode(out, &other);
    CHECK_EQ(skv_record_digest(&one), skv_record_digest(&other));
    other.seqno++;
    (void)skv_record_encode(out, &other);
    CHECK(skv_record_digest(&one) != skv_record_digest(&other));
    other = sample(0, 29);
    (void)skv_record_encode(out, &other);
    CHECK(skv_record_digest(&one) != skv_record_digest(&other));
}

int main(void)
{
    RUN(test_every_kind_of_record_comes_back);
    RUN(test_every_flipped_bit_is_noticed);
    RUN(test_lengths_beyond_the_limits_are_malformed);
    RUN(test_the_checksum_goes_with_the_record_into_a_shard);
    RUN(test_digests_tell_records_apart);
    return 0;
}
