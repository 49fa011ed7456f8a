/* A directory that may be damaged in every part: whose it is, what it holds, and nothing that it is not. */
#include "remains.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "hash.h"
#include "logs.h"
#include "memory.h"
#include "pages.h"
#include "scratch.h"

#define PLACE "remains of a store"

static const uint8_t shard_id[SKV_STORE_ID_BYTES] = "what a shard say";

/* A shard that says whose it is; or only its state before the newest does. */
static void write_shard(int dir, const char *folder, bool before)
{
    static const pages_tree none = {.root = PAGES_NONE};
    static pages_file file;
    skv_shard_claim claim = {.number = 0};
    char name[64];
    uint64_t leaf, list, empty;
    memcpy(claim.store_id, shard_id, SKV_STORE_ID_BYTES);
    pages_begin(&file);
    leaf = pages_add(&file, PAGES_LEAF);
    pages_put_claim(&file, leaf, &claim);
    list = pages_add(&file, PAGES_LEAF);
    pages_put_free(&file, list, &leaf, 1);
    empty = pages_add(&file, PAGES_LEAF);
    pages_meta(&file, 0, 1, none, (pages_tree){.leaves = 1, .root = leaf});
    if (before)
        pages_meta(&file, 1, 2, (pages_tree){.leaves = 1, .root = list}, (pages_tree){.leaves = 1, .root = empty});
    CHECK(snprintf(name, sizeof name, "%s/data.mdb", folder) > 0);
    pages_write(&file, dir, name);
}

static void add_shard(int dir, const char *folder)
{
    CHECK_EQ(mkdirat(dir, folder, 0700), 0);
    write_shard(dir, folder, false);
}

/* Two shards, a log with five records, a manifest. */
static int make(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_manifest manifest = {.generation = 3, .shards = 2, .weights = {1, 1}};
    skv_log *log = logs_found(dir, logs_small);
    memcpy(manifest.store_id, logs_id, SKV_STORE_ID_BYTES);
    logs_append(log, 1, 5);
    logs_sync(log);
    skv_log_free(log);
    CHECK_EQ(mkdirat(dir, "shards", 0700), 0);
    add_shard(dir, "shards/0000");
    add_shard(dir, "shards/0001");
    CHECK_OK(skv_manifest_save(dir, &manifest, &err), &err);
    return dir;
}

static skv_code open_it(skv_remains *out)
{
    skv_error err = {0};
    skv_code code = skv_remains_open(PLACE, out, &err);
    CHECK(code == SKV_OK || code == err.code);
    return code;
}

static uint64_t records_of(const skv_remains *remains)
{
    uint64_t count = 0;
    for (size_t i = 0; i < remains->log.count; i++)
        count += remains->log.runs[i].last_seqno - remains->log.runs[i].first_seqno + 1;
    return count;
}

static void test_a_sound_directory_is_what_its_manifest_says(void)
{
    int dir = make();
    skv_remains remains;
    CHECK_EQ(open_it(&remains), SKV_OK);
    CHECK(remains.manifested && remains.named);
    CHECK_EQ(remains.manifest.shards, 2);
    CHECK(memcmp(remains.store_id, logs_id, SKV_STORE_ID_BYTES) == 0);
    CHECK_EQ(records_of(&remains), 5);
    CHECK_EQ(skv_remains_shards(&remains), 2);
    for (uint32_t i = 0; i < 3; i++) {
        skv_error err = {0};
        skv_pages *pages;
        CHECK_OK(skv_remains_pages(&remains, i, &pages, &err), &err);
        CHECK_EQ(pages != NULL, i < 2);
        skv_pages_free(pages);
    }
    skv_remains_close(&remains);
    scratch_remove(dir, PLACE);
}

static void test_of_two_manifests_the_newer_one_that_holds_counts(void)
{
    static const char *const names[] = {"MANIFEST", "MANIFEST.bak"};
    for (int newer = 0; newer < 2; newer++)
        for (int damaged = 0; damaged < 2; damaged++) {
            int dir = make();
            skv_error err = {0};
            skv_remains remains;
            skv_manifest manifest;
            size_t bytes;
            uint8_t *older = scratch_read(dir, names[1 - newer], &bytes);
            CHECK_OK(skv_manifest_load(dir, &manifest, &err), &err);
            manifest.generation = 4;
            CHECK_OK(skv_manifest_save(dir, &manifest, &err), &err);
            scratch_write(dir, names[1 - newer], older, bytes, 0);
            if (damaged)
                scratch_flip(dir, names[newer], 300);
            CHECK_EQ(open_it(&remains), SKV_OK);
            CHECK_EQ(remains.manifest.generation, damaged ? 3 : 4);
            skv_remains_close(&remains);
            free(older);
            scratch_remove(dir, PLACE);
        }
}

/* What a later release wrote may mean anything: it is not passed by for an older copy. */
static void test_a_manifest_of_another_version_is_no_damaged_one(void)
{
    int dir = make();
    skv_remains remains;
    size_t bytes;
    uint8_t *file = scratch_read(dir, "MANIFEST", &bytes);
    skv_store32(file + SKV_MANIFEST_VERSION, SKV_FORMAT_VERSION + 1);
    skv_store64(file + SKV_MANIFEST_CHECKSUM, skv_hash64(file + SKV_MANIFEST_VERSION, bytes - SKV_MANIFEST_VERSION, 0));
    scratch_write(dir, "MANIFEST", file, bytes, 0);
    CHECK_EQ(open_it(&remains), SKV_FORMAT);
    skv_remains_close(&remains);
    free(file);
    scratch_remove(dir, PLACE);
}

/* The log is then that of the store whose the shards are. */
static void test_without_a_manifest_a_shard_says_whose_it_is(void)
{
    for (int how = 0; how < 4; how++) {
        int dir = make();
        skv_remains remains;
        CHECK_EQ(unlinkat(dir, "MANIFEST", 0), 0);
        scratch_cut(dir, "MANIFEST.bak", 10);
        if (how == 1)
            CHECK_EQ(unlinkat(dir, "shards/0000/data.mdb", 0), 0); /* the other one */
        if (how == 2) /* no shard can be read */
            for (int i = 0; i < 2; i++)
                scratch_zero(dir, i ? "shards/0000/data.mdb" : "shards/0001/data.mdb", 100, 0);
        if (how == 3) /* only an older state says it */
            for (int i = 0; i < 2; i++)
                write_shard(dir, i ? "shards/0000" : "shards/0001", true);
        CHECK_EQ(open_it(&remains), SKV_OK);
        CHECK(!remains.manifested);
        CHECK_EQ(remains.named, how != 2);
        CHECK_EQ(memcmp(remains.store_id, shard_id, SKV_STORE_ID_BYTES) == 0, how != 2);
        CHECK_EQ(records_of(&remains), 0); /* it is another store's log */
        skv_remains_close(&remains);
        scratch_remove(dir, PLACE);
    }
}

static void test_what_is_no_file_is_missing(void)
{
    static const char *const names[] = {"MANIFEST", "log/MARK", "log/00000001.log", "shards/0001/data.mdb"};
    int dir = make();
    skv_remains remains;
    skv_error err = {0};
    skv_pages *pages;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_EQ(unlinkat(dir, names[i], 0), 0);
        CHECK_EQ(mkdirat(dir, names[i], 0700), 0);
    }
    CHECK_EQ(open_it(&remains), SKV_OK);
    CHECK(remains.manifested && !remains.log.marked);
    CHECK_EQ(records_of(&remains), 0);
    CHECK_OK(skv_remains_pages(&remains, 1, &pages, &err), &err);
    CHECK(!pages);
    skv_remains_close(&remains);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_EQ(unlinkat(dir, names[i], AT_REMOVEDIR), 0);
    scratch_remove(dir, PLACE);
}

static void test_shards_are_counted_up_to_the_first_that_is_missing(void)
{
    int dir = make();
    skv_remains remains;
    add_shard(dir, "shards/0003");
    CHECK_EQ(open_it(&remains), SKV_OK);
    CHECK_EQ(skv_remains_shards(&remains), 2);
    skv_remains_close(&remains);
    CHECK_EQ(unlinkat(dir, "shards/0000/data.mdb", 0), 0);
    CHECK_EQ(unlinkat(dir, "shards/0000", AT_REMOVEDIR), 0);
    CHECK_EQ(open_it(&remains), SKV_OK);
    CHECK_EQ(skv_remains_shards(&remains), 0);
    skv_remains_close(&remains);
    scratch_remove(dir, PLACE);
}

static void test_what_is_no_store_is_refused(void)
{
    skv_remains remains;
    int dir = scratch_make(PLACE);
    CHECK_EQ(open_it(&remains), SKV_INVALID); /* a log folder alone */
    skv_remains_close(&remains);
    scratch_remove(dir, PLACE);
    CHECK_EQ(open_it(&remains), SKV_INVALID);
    skv_remains_close(&remains);
    dir = make();
    scratch_zero(dir, SKV_COPY_NAME, 1, 0);
    CHECK_EQ(open_it(&remains), SKV_OK); /* its manifest comes last: it is one */
    skv_remains_close(&remains);
    CHECK_EQ(unlinkat(dir, "MANIFEST", 0), 0);
    CHECK_EQ(unlinkat(dir, "MANIFEST.bak", 0), 0);
    CHECK_EQ(open_it(&remains), SKV_INVALID); /* a copy that never was finished */
    skv_remains_close(&remains);
    scratch_remove(dir, PLACE);
}

static void test_a_store_that_somebody_has_open_is_left_alone(void)
{
    int dir = make(), held;
    skv_error err = {0};
    skv_remains remains;
    CHECK_OK(skv_home_lock(dir, PLACE, &held, &err), &err);
    CHECK_EQ(open_it(&remains), SKV_LOCKED);
    skv_remains_close(&remains);
    skv_os_close(held);
    CHECK_EQ(open_it(&remains), SKV_OK);
    CHECK_EQ(skv_home_lock(dir, PLACE, &held, &err), SKV_LOCKED); /* and is held meanwhile */
    skv_remains_close(&remains);
    scratch_remove(dir, PLACE);
}

static void test_failures_are_told_and_leave_nothing_open(void)
{
    for (int memory = 0; memory < 2; memory++) {
        bool met = true;
        long nth;
        for (nth = 1; met; nth++) {
            int dir = make();
            skv_remains remains;
            skv_code code;
            CHECK_EQ(unlinkat(dir, "MANIFEST", 0), 0);
            scratch_cut(dir, "MANIFEST.bak", 10); /* so that the shards are asked, too */
            if (memory)
                skv_memory_fail(nth, 0);
            else
                skv_os_fail(nth, SKV_FAULT_ERROR, EIO, 0);
            code = open_it(&remains);
            met = (memory ? skv_memory_count() : skv_os_calls()) >= nth;
            skv_memory_fail(0, 0);
            skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
            CHECK(code == (met ? memory ? SKV_NO_MEMORY : SKV_IO : SKV_OK) || (!memory && code == SKV_OK && !remains.log.marked));
            skv_remains_close(&remains);
            scratch_remove(dir, PLACE);
        }
        CHECK(nth > 5);
    }
}

int main(void)
{
    RUN(test_a_sound_directory_is_what_its_manifest_says);
    RUN(test_of_two_manifests_the_newer_one_that_holds_counts);
    RUN(test_a_manifest_of_another_version_is_no_damaged_one);
    RUN(test_without_a_manifest_a_shard_says_whose_it_is);
    RUN(test_what_is_no_file_is_missing);
    RUN(test_shards_are_counted_up_to_the_first_that_is_missing);
    RUN(test_what_is_no_store_is_refused);
    RUN(test_a_store_that_somebody_has_open_is_left_alone);
    RUN(test_failures_are_told_and_leave_nothing_open);
    return 0;
}
