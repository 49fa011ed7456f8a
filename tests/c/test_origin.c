/* Where a copy comes from: whole or damaged, of this store or of another. */
#include "origin.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "hash.h"
#include "os.h"
#include "scratch.h"

#define PLACE "origin"
#define NAME "ORIGIN"

static const skv_manifest source = {.store_id = "where it is from", .shards = 3, .weights = {1, 2, 3}};

static skv_origin example(void)
{
    skv_origin origin = skv_origin_of(&source);
    memcpy(origin.store_id, "the copy's own id", SKV_STORE_ID_BYTES);
    origin.least_seqno = 7;
    origin.proof_seqno = 1ULL << 40;
    origin.proof = 0xfedcba9876543210;
    return origin;
}

static skv_code read_it(int dir, skv_origin *out, skv_error *err)
{
    memset(out, 0xaa, sizeof *out);
    return skv_origin_read(dir, NAME, out, err);
}

static void check_example(const skv_origin *found)
{
    skv_origin wanted = example();
    CHECK(memcmp(found->source_id, wanted.source_id, SKV_STORE_ID_BYTES) == 0);
    CHECK(memcmp(found->store_id, wanted.store_id, SKV_STORE_ID_BYTES) == 0);
    CHECK(found->layout == wanted.layout && found->least_seqno == wanted.least_seqno);
    CHECK(found->proof_seqno == wanted.proof_seqno && found->proof == wanted.proof);
}

static void test_what_was_written_is_read_back(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_origin origin = example(), found;
    CHECK_EQ(read_it(dir, &found, &err), SKV_NOT_FOUND);
    CHECK_EQ(err.code, SKV_OK);
    origin.least_seqno = 3;
    CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err);
    origin = example();
    CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err); /* over the old one */
    CHECK_EQ(scratch_size(dir, NAME), SKV_ORIGIN_BYTES);
    CHECK_OK(read_it(dir, &found, &err), &err);
    check_example(&found);
    scratch_remove(dir, PLACE);
}

static void test_a_copy_is_one_of_the_store_with_the_same_id_and_weights(void)
{
    skv_origin origin = example();
    skv_manifest other = source;
    CHECK(skv_origin_is(&origin, &other));
    other.generation = other.epoch = 9; /* what changes in a store's life */
    CHECK(skv_origin_is(&origin, &other));
    other.store_id[SKV_STORE_ID_BYTES - 1] ^= 1;
    CHECK(!skv_origin_is(&origin, &other));
    other = source;
    other.weights[2]++;
    CHECK(!skv_origin_is(&origin, &other));
    other = source;
    other.shards--;
    CHECK(!skv_origin_is(&origin, &other));
}

static void check_corrupt(int dir)
{
    skv_error err = {0};
    skv_origin found;
    CHECK_EQ(read_it(dir, &found, &err), SKV_CORRUPT);
    CHECK(strcmp(err.file, NAME) == 0);
}

static void test_no_flipped_bit_and_no_other_length_is_believed(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_origin origin = example();
    for (size_t bit = 0; bit < 8 * (size_t)SKV_ORIGIN_BYTES; bit++) {
        CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err);
        scratch_flip(dir, NAME, bit);
        check_corrupt(dir);
    }
    for (size_t bytes = 0; bytes < SKV_ORIGIN_BYTES; bytes += 11) {
        CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err);
        scratch_cut(dir, NAME, bytes);
        check_corrupt(dir);
    }
    CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err);
    scratch_zero(dir, NAME, 1, SKV_ORIGIN_BYTES);
    check_corrupt(dir);
    scratch_remove(dir, PLACE);
}

static void test_another_version_is_not_read(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_origin origin = example();
    size_t count;
    uint8_t *bytes;
    CHECK_OK(skv_origin_write(dir, NAME, &origin, &err), &err);
    bytes = scratch_read(dir, NAME, &count);
    skv_store32(bytes + SKV_ORIGIN_VERSION, SKV_FORMAT_VERSION + 1);
    skv_store64(bytes + SKV_ORIGIN_CHECKSUM, skv_hash64(bytes + SKV_ORIGIN_VERSION, SKV_ORIGIN_BYTES - SKV_ORIGIN_VERSION, 0));
    scratch_write(dir, NAME, bytes, count, 0);
    check_corrupt(dir);
    free(bytes);
    scratch_remove(dir, PLACE);
}

static void test_a_call_that_fails_is_told_and_leaves_what_the_next_one_replaces(void)
{
    int dir = scratch_make(PLACE);
    skv_origin origin = example(), found;
    skv_error err = {0};
    long nth = 0;
    do {
        skv_code code;
        skv_os_fail(++nth, SKV_FAULT_ERROR, EIO, 0);
        code = skv_origin_write(dir, NAME, &origin, &err);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        CHECK_EQ(code, nth <= 3 ? SKV_IO : SKV_OK); /* open, write, sync */
    } while (nth <= 3);
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 0);
    CHECK_EQ(read_it(dir, &found, &err), SKV_IO);
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
    CHECK_OK(read_it(dir, &found, &err), &err);
    check_example(&found);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_what_was_written_is_read_back);
    RUN(test_a_copy_is_one_of_the_store_with_the_same_id_and_weights);
    RUN(test_no_flipped_bit_and_no_other_length_is_believed);
    RUN(test_another_version_is_not_read);
    RUN(test_a_call_that_fails_is_told_and_leaves_what_the_next_one_replaces);
    return 0;
}
