/* When a flush packs a shard anew. An LMDB in memory says how many pages there are; see unit/test_repack.py for what comes of it. */
#include "flush_path.h"

#include <sys/stat.h>

#include "check.h"
#include "fake_lmdb.h"
#include "made_parts.h"
#include "scratch.h"

#define PLACE "flush"
#define SHARD PLACE "/0"

static skv_parts *make_parts(int *dir, uint64_t records)
{
    skv_error err = {0};
    skv_parts *parts;
    skv_shard_place place = {.lmdb = &fake_lmdb, .path = SHARD, .map_bytes = 1 << 20};
    skv_shard *shard;
    *dir = scratch_make(PLACE);
    fake_lmdb_clear();
    CHECK_EQ(mkdir(SHARD, 0700), 0);
    parts = made_parts_create(*dir, 1, 1 << 20);
    skv_shard_free(parts->lanes[0].shard);
    CHECK_OK(skv_shard_open(&place, true, &shard, &err), &err);
    parts->lanes[0].shard = shard;
    CHECK_OK(skv_shard_apply_begin(shard, &err), &err);
    for (uint64_t i = 0; i < records; i++) {
        uint8_t key[2] = {'a', (uint8_t)i};
        skv_record record = {.key = {key, 2}, .value = {key, 2}};
        CHECK_OK(skv_shard_apply(shard, &record, &err), &err);
    }
    CHECK_OK(skv_shard_apply_commit(shard, 0, &err), &err);
    return parts;
}

/* A shard of so many records, pages of them and pages of long values; a flush of so many others. */
static bool packs(uint64_t records, size_t leaf_pages, size_t overflow_pages, uint64_t flushed)
{
    int dir;
    skv_error err = {0};
    atomic_bool stop = false;
    skv_parts *parts = make_parts(&dir, records);
    bool packed;
    for (uint64_t i = 0; i < flushed; i++)
        (void)made_parts_put(parts);
    fake_lmdb_pages(leaf_pages, overflow_pages);
    skv_flush_ask(parts, skv_log_last(parts->log));
    CHECK_OK(skv_flush_step(parts, &stop, &err), &err);
    CHECK(!parts->lanes[0].sealed);
    CHECK_EQ(fake_lmdb_count(SHARD), records + flushed + 1);
    packed = fake_lmdb_drops() > 0;
    made_parts_free(parts);
    scratch_remove(dir, PLACE);
    return packed;
}

static void test_a_shard_is_packed_anew_when_nearly_all_pages_are_touched(void)
{
    CHECK(packs(64, 8, 0, 16));
    CHECK(!packs(64, 8, 0, 15)); /* not two on a page */
    CHECK(packs(128, 8, 0, 16));
    CHECK(!packs(129, 8, 0, 16)); /* less than an eighth */
    CHECK(!packs(64, 7, 0, 16)); /* so small */
    CHECK(!packs(64, 8, 1, 16)); /* with long values */
}

int main(void)
{
    RUN(test_a_shard_is_packed_anew_when_nearly_all_pages_are_touched);
    return 0;
}
