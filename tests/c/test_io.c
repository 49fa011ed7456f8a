/* The workspace grows as it is filled and stays as it is when memory is out. */
#include "io.h"

#include <string.h>

#include "check.h"
#include "memory.h"
#include "msgpack.h"

static void test_what_is_appended_is_there_however_small_it_began(void)
{
    for (uint64_t capacity = 0; capacity < 40; capacity += 13) {
        skv_io *io = skv_io_new(capacity);
        CHECK(io && io->capacity == capacity && io->bytes == 0);
        for (size_t i = 0; i < 500; i++) {
            uint8_t bytes[7] = {(uint8_t)i, 1, 2, 3, 4, 5, 6};
            CHECK_EQ(skv_io_room(io, i % 8), SKV_OK);
            skv_io_append(io, i % 8 ? bytes : NULL, i % 8);
        }
        CHECK_EQ(io->bytes, 500 / 8 * 28 + 6);
        CHECK(io->capacity >= io->bytes);
        CHECK_EQ(io->data[0], 1);
        skv_io_free(io);
    }
    skv_io_free(NULL);
}

static void test_bins_are_appended_with_their_heads(void)
{
    static uint8_t value[70000];
    static const size_t lengths[] = {0, 10, 255, 256, 65535, 65536};
    skv_io *io = skv_io_new(0);
    skv_unpack in;
    CHECK(io);
    for (size_t i = 0; i < 6; i++)
        CHECK_EQ(skv_io_append_bin(io, (skv_slice){value, lengths[i]}), SKV_OK);
    in = (skv_unpack){io->data, io->data + io->bytes};
    for (size_t i = 0; i < 6; i++) {
        skv_slice got;
        CHECK(skv_unpack_bin(&in, &got) && got.bytes == lengths[i]);
    }
    CHECK(in.at == in.end);
    skv_io_free(io);
}

static void test_out_of_memory_leaves_everything_as_it_was(void)
{
    skv_io *io = skv_io_new(16);
    CHECK(io);
    skv_io_append(io, "0123456789", 10);
    skv_memory_fail(1, 1);
    CHECK_EQ(skv_io_room(io, 6), SKV_OK);
    CHECK_EQ(skv_io_room(io, 7), SKV_NO_MEMORY);
    CHECK_EQ(io->error.code, SKV_NO_MEMORY);
    CHECK_EQ(skv_io_append_bin(io, (skv_slice){(const uint8_t *)"x", 100000}), SKV_NO_MEMORY);
    CHECK(io->bytes == 10 && io->capacity == 16 && memcmp(io->data, "0123456789", 10) == 0);
    CHECK(!skv_io_new(8));
    skv_memory_fail(2, 0);
    CHECK(!skv_io_new(8));
    skv_memory_fail(0, 0);
    skv_io_free(io);
}

int main(void)
{
    RUN(test_what_is_appended_is_there_however_small_it_began);
    RUN(test_bins_are_appended_with_their_heads);
    RUN(test_out_of_memory_leaves_everything_as_it_was);
    return 0;
}
