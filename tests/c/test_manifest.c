/* The manifest: two copies, either of which may be lost, and a version that is not ours is left alone. */
#include "manifest.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "check.h"
#include "hash.h"
#include "os.h"
#include "scratch.h"

#define PLACE "manifest"

static const char *const names[2] = {"MANIFEST", "MANIFEST.bak"};

/* With settings of all sizes, and without: each of the four is there or not. */
static skv_manifest sample(uint64_t generation, uint32_t shards)
{
    skv_manifest manifest = {.store_id = "0123456789abcde", .generation = generation, .epoch = 300, .shards = shards};
    manifest.settings = (skv_settings){.max_writes_per_s = generation & 1 ? shards : 0,
                                       .max_bytes_per_s = generation & 2 ? (uint64_t)1 << 46 : 0,
                                       .retain_log_bytes = generation & 4 ? 1 : 0,
                                       .unflushed_bytes = shards & 1 ? 1 << 20 : 0};
    for (uint32_t i = 0; i < shards; i++)
        manifest.weights[i] = 1 + i % SKV_WEIGHT_MAX;
    return manifest;
}

static void check_same(const skv_manifest *a, const skv_manifest *b)
{
    CHECK(memcmp(a->store_id, b->store_id, SKV_STORE_ID_BYTES) == 0);
    CHECK_EQ(a->generation, b->generation);
    CHECK_EQ(a->epoch, b->epoch);
    CHECK_EQ(a->shards, b->shards);
    CHECK(memcmp(&a->settings, &b->settings, sizeof a->settings) == 0);
    CHECK(memcmp(a->weights, b->weights, sizeof a->weights) == 0);
}

static void save(int dir, uint64_t generation, uint32_t shards)
{
    skv_error err = {0};
    skv_manifest manifest = sample(generation, shards);
    CHECK_OK(skv_manifest_save(dir, &manifest, &err), &err);
}

static void expect(int dir, uint64_t generation, uint32_t shards)
{
    skv_error err = {0};
    skv_manifest manifest, wanted = sample(generation, shards);
    CHECK_OK(skv_manifest_load(dir, &manifest, &err), &err);
    check_same(&manifest, &wanted);
}

static void expect_equal_copies(int dir)
{
    size_t first_bytes, second_bytes;
    uint8_t *first = scratch_read(dir, names[0], &first_bytes), *second = scratch_read(dir, names[1], &second_bytes);
    CHECK(first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0);
    free(first);
    free(second);
}

static void test_what_was_saved_is_loaded_for_any_number_of_shards(void)
{
    static const uint32_t shards[] = {1, 2, 8, 15, 16, 100, SKV_SHARDS_MAX};
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_manifest manifest;
    CHECK_EQ(skv_manifest_load(dir, &manifest, &err), SKV_NOT_FOUND);
    for (uint64_t i = 0; i < 7; i++) {
        save(dir, i + 1, shards[i]);
        expect(dir, i + 1, shards[i]);
        expect_equal_copies(dir);
    }
    CHECK_EQ(scratch_size(dir, "MANIFEST.new"), -1);
    scratch_remove(dir, PLACE);
}

static void test_any_flip_or_cut_of_one_copy_is_mended_from_the_other(void)
{
    int dir = scratch_make(PLACE);
    save(dir, 3, 2);
    for (int copy = 0; copy < 2; copy++) {
        size_t bytes = (size_t)scratch_size(dir, names[copy]);
        for (size_t bit = 0; bit < 8 * bytes; bit += bit < 256 ? 1 : 5) {
            scratch_flip(dir, names[copy], bit);
            expect(dir, 3, 2);
            expect_equal_copies(dir);
        }
        for (size_t cut = 0; cut < bytes; cut += 13) {
            scratch_cut(dir, names[copy], cut);
            expect(dir, 3, 2);
            expect_equal_copies(dir);
        }
        scratch_zero(dir, names[copy], 20000, 0);
        expect(dir, 3, 2);
        CHECK_EQ(unlinkat(dir, names[copy], 0), 0);
        expect(dir, 3, 2);
        expect_equal_copies(dir);
    }
    scratch_remove(dir, PLACE);
}

static void test_the_newer_copy_wins(void)
{
    for (int newer = 0; newer < 2; newer++) {
        int dir = scratch_make(PLACE);
        size_t bytes;
        uint8_t *old;
        save(dir, 1, 2);
        old = scratch_read(dir, names[1 - newer], &bytes);
        save(dir, 2, 2);
        scratch_write(dir, names[1 - newer], old, bytes, 0);
        expect(dir, 2, 2);
        expect_equal_copies(dir);
        free(old);
        scratch_remove(dir, PLACE);
    }
}

static void test_two_damaged_copies_refuse(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_manifest manifest;
    save(dir, 1, 2);
    scratch_flip(dir, names[0], 300);
    scratch_flip(dir, names[1], 200);
    CHECK_EQ(skv_manifest_load(dir, &manifest, &err), SKV_CORRUPT);
    CHECK(err.file[0] && err.text[0]);
    CHECK_EQ(unlinkat(dir, names[0], 0), 0);
    CHECK_EQ(skv_manifest_load(dir, &manifest, &err), SKV_CORRUPT);
    CHECK_EQ(err.code, SKV_CORRUPT);
    scratch_remove(dir, PLACE);
}

/* Change a byte and make the checksum right again. */
static void change(int dir, const char *name, size_t at, uint8_t value)
{
    size_t bytes;
    uint8_t *file = scratch_read(dir, name, &bytes);
    file[at] = value;
    skv_store64(file + SKV_MANIFEST_CHECKSUM, skv_hash64(file + SKV_MANIFEST_VERSION, bytes - SKV_MANIFEST_VERSION, 0));
    scratch_write(dir, name, file, bytes, 0);
    free(file);
}

static void test_an_unknown_version_or_field_is_refused_untouched(void)
{
    for (int kind = 0; kind < 6; kind++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_manifest manifest;
        size_t bytes[2];
        uint8_t *before[2];
        save(dir, 1, 2);
        if (kind < 3) /* either copy, or both */
            for (int copy = 0; copy < 2; copy++)
                if (kind == copy || kind == 2)
                    change(dir, names[copy], SKV_MANIFEST_VERSION, SKV_FORMAT_VERSION + 1);
        if (kind == 3)
            change(dir, names[0], SKV_MANIFEST_BODY + 2, 'S'); /* a field of another name */
        if (kind == 4)
            change(dir, names[0], SKV_MANIFEST_BODY, 0x83); /* a field less than there are */
        if (kind == 5)
            change(dir, names[0], SKV_MANIFEST_BODY, 0x85); /* one more */
        for (int copy = 0; copy < 2; copy++)
            before[copy] = scratch_read(dir, names[copy], &bytes[copy]);
        CHECK_EQ(skv_manifest_load(dir, &manifest, &err), SKV_FORMAT);
        CHECK(err.text[0] && err.file[0]);
        for (int copy = 0; copy < 2; copy++) {
            size_t after_bytes;
            uint8_t *after = scratch_read(dir, names[copy], &after_bytes);
            CHECK(after_bytes == bytes[copy] && memcmp(after, before[copy], after_bytes) == 0);
            free(after);
            free(before[copy]);
        }
        scratch_remove(dir, PLACE);
    }
}

/* The power goes at every call of a save: the old one or the new one is there, whole. */
static void test_a_save_that_fails_anywhere_leaves_the_old_or_the_new(void)
{
    skv_code code = SKV_IO;
    long nth;
    for (nth = 1; code != SKV_OK; nth++) {
        int dir = scratch_make(PLACE);
        skv_error err = {0};
        skv_manifest manifest = sample(2, 5), loaded;
        save(dir, 1, 2);
        skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 1);
        code = skv_manifest_save(dir, &manifest, &err);
        CHECK(code == SKV_OK || code == SKV_IO);
        skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
        CHECK_OK(skv_manifest_load(dir, &loaded, &err), &err);
        CHECK(loaded.generation == 2 || (code != SKV_OK && loaded.generation == 1));
        expect(dir, loaded.generation, loaded.generation == 2 ? 5 : 2);
        expect_equal_copies(dir);
        scratch_remove(dir, PLACE);
    }
    CHECK_EQ(nth, 2 * 7 + 2); /* remove, open, write, sync, rename, open and sync the directory; twice */
}

int main(void)
{
    RUN(test_what_was_saved_is_loaded_for_any_number_of_shards);
    RUN(test_any_flip_or_cut_of_one_copy_is_mended_from_the_other);
    RUN(test_the_newer_copy_wins);
    RUN(test_two_damaged_copies_refuse);
    RUN(test_an_unknown_version_or_field_is_refused_untouched);
    RUN(test_a_save_that_fails_anywhere_leaves_the_old_or_the_new);
    return 0;
}
