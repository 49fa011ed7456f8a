/* A check that lacks memory says so: what it could not read is no damage, and not sound either. */
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "fake_lmdb.h"
#include "logs.h"
#include "made_parts.h"
#include "manifest.h"
#include "memory.h"
#include "scratch.h"

#define PLACE "checked"
#define NTH_MOST 200

static int make_store(void)
{
    int dir = scratch_make(PLACE);
    skv_error err = {0};
    skv_manifest manifest = {.generation = 1, .shards = 1, .weights = {1}};
    skv_shard_place place = {.lmdb = &fake_lmdb, .path = PLACE "/shards/0000", .map_bytes = 1 << 20};
    skv_parts *parts = made_parts_create(dir, 1, 65536);
    skv_shard *shard;
    fake_lmdb_clear();
    for (int i = 0; i < 10; i++)
        made_parts_put(parts);
    logs_sync(parts->log);
    made_parts_free(parts);
    memcpy(manifest.store_id, logs_id, sizeof manifest.store_id);
    memcpy(place.store_id, logs_id, sizeof place.store_id);
    CHECK_OK(skv_manifest_save(dir, &manifest, &err), &err);
    CHECK_EQ(mkdirat(dir, "shards", 0700), 0);
    CHECK_EQ(mkdirat(dir, "shards/0000", 0700), 0);
    CHECK_OK(skv_shard_open(&place, true, &shard, &err), &err);
    skv_shard_free(shard);
    return dir;
}

/* Story: memory that ran out was reported as damage of the part in hand, or the last part passed unseen. */
static void test_what_memory_was_lacking_for_is_no_finding_and_does_not_pass(void)
{
    int dir = make_store();
    uint32_t lacking = 0;
    for (long nth = 0; nth < NTH_MOST; nth++) {
        for (uint32_t part = 0; part < 4; part++) {
            skv_io io = {0};
            skv_error found[4];
            skv_check *check = skv_check_open(&fake_lmdb, PLACE, &io);
            int64_t count;
            bool met;
            CHECK(check != NULL);
            skv_memory_fail(nth, 1);
            count = skv_check_part(check, part, found, 4, &io);
            met = nth && skv_memory_count() >= nth;
            skv_memory_fail(0, 0);
            CHECK_EQ(count, met ? SKV_NO_MEMORY : 0);
            CHECK(!met || io.error.code == SKV_NO_MEMORY);
            lacking += met;
            skv_check_free(check);
        }
    }
    CHECK(lacking > 4);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_what_memory_was_lacking_for_is_no_finding_and_does_not_pass);
    return 0;
}
