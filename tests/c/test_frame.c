/* Headers of frames and segments: read back, and refused when a single bit is wrong. */
#include "frame.h"

#include "check.h"

#define BODY 37

static const skv_frame sample = {.salt = 0x1122334455667788ULL,
                                 .first_seqno = 77,
                                 .durable_upto = 76,
                                 .previous = 0xabcdefULL,
                                 .body_bytes = BODY,
                                 .count = 3};

static void make(uint8_t out[SKV_FRAME_HEADER_BYTES + BODY])
{
    uint64_t checksum;
    for (size_t i = 0; i < BODY; i++)
        out[SKV_FRAME_HEADER_BYTES + i] = (uint8_t)i;
    skv_frame_number(out, &sample);
    checksum = skv_frame_seal(out, &sample);
    CHECK_EQ(checksum, skv_frame_checksum(out));
}

static void test_a_sealed_frame_comes_back(void)
{
    uint8_t bytes[SKV_FRAME_HEADER_BYTES + BODY];
    skv_frame frame;
    make(bytes);
    CHECK(skv_frame_read(bytes, sizeof bytes, sample.salt, &frame));
    CHECK_EQ(frame.salt, sample.salt);
    CHECK_EQ(frame.first_seqno, 77);
    CHECK_EQ(frame.durable_upto, 76);
    CHECK_EQ(frame.previous, 0xabcdef);
    CHECK_EQ(frame.body_bytes, BODY);
    CHECK_EQ(frame.count, 3);
    CHECK(skv_frame_verify(bytes, &frame));
    CHECK_EQ(skv_frame_span(&frame), 96);
}

static void test_a_frame_of_another_life_or_beyond_the_end_is_none(void)
{
    uint8_t bytes[SKV_FRAME_HEADER_BYTES + BODY];
    skv_frame frame;
    make(bytes);
    CHECK(!skv_frame_read(bytes, sizeof bytes, sample.salt + 1, &frame));
    for (size_t cut = 0; cut < sizeof bytes; cut++)
        CHECK(!skv_frame_read(bytes, cut, sample.salt, &frame));
    frame = sample;
    frame.count = 0;
    skv_frame_number(bytes, &frame);
    (void)skv_frame_seal(bytes, &frame);
    CHECK(!skv_frame_read(bytes, sizeof bytes, sample.salt, &frame));
    frame = sample;
    frame.body_bytes = UINT32_MAX;
    make(bytes);
    skv_store32(bytes + SKV_FRAME_BODY_BYTES, UINT32_MAX); /* a length does not lead beyond the end, whatever else it does */
    CHECK(!skv_frame_read(bytes, sizeof bytes, sample.salt, &frame));
}

static void test_every_flipped_bit_of_a_frame_is_noticed(void)
{
    uint8_t bytes[SKV_FRAME_HEADER_BYTES + BODY];
    skv_frame frame;
    make(bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(!skv_frame_read(bytes, sizeof bytes, sample.salt, &frame) || !skv_frame_verify(bytes, &frame));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static const skv_segment_header header_sample = {.store_id = "an identity.....",
                                                 .id = 5,
                                                 .file_bytes = 65536,
                                                 .salt = 0x9988776655443322ULL,
                                                 .first_seqno = 1000,
                                                 .previous = 0x1234};

static void test_a_segment_header_comes_back(void)
{
    uint8_t sector[SKV_SEGMENT_FRAMES];
    skv_segment_header header;
    skv_segment_header_write(sector, &header_sample);
    CHECK_EQ(skv_segment_header_read(sector, &header), SKV_HEADER_GOOD);
    CHECK(memcmp(header.store_id, header_sample.store_id, SKV_STORE_ID_BYTES) == 0);
    CHECK_EQ(header.id, 5);
    CHECK_EQ(header.file_bytes, 65536);
    CHECK_EQ(header.salt, header_sample.salt);
    CHECK_EQ(header.first_seqno, 1000);
    CHECK_EQ(header.previous, 0x1234);
}

static void test_every_flipped_bit_of_a_segment_header_is_noticed(void)
{
    uint8_t sector[SKV_SEGMENT_FRAMES];
    skv_segment_header header;
    skv_segment_header_write(sector, &header_sample);
    for (size_t bit = 0; bit < 8 * sizeof sector; bit++) {
        sector[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK_EQ(skv_segment_header_read(sector, &header), SKV_HEADER_DAMAGED);
        sector[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_a_blank_sector_is_not_a_damaged_one(void)
{
    uint8_t sector[SKV_SEGMENT_FRAMES] = {0};
    skv_segment_header header;
    CHECK_EQ(skv_segment_header_read(sector, &header), SKV_HEADER_BLANK);
    sector[SKV_SEGMENT_FRAMES - 1] = 1;
    CHECK_EQ(skv_segment_header_read(sector, &header), SKV_HEADER_DAMAGED);
}

int main(void)
{
    RUN(test_a_sealed_frame_comes_back);
    RUN(test_a_frame_of_another_life_or_beyond_the_end_is_none);
    RUN(test_every_flipped_bit_of_a_frame_is_noticed);
    RUN(test_a_segment_header_comes_back);
    RUN(test_every_flipped_bit_of_a_segment_header_is_noticed);
    RUN(test_a_blank_sector_is_not_a_damaged_one);
    return 0;
}
