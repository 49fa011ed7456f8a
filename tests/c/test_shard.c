/* A shard that another process writes to. */
#include <sys/stat.h>

#include "check.h"
#include "fake_lmdb.h"
#include "scratch.h"
#include "shard.h"

#define PLACE "shard"

/* Its map doubled between the opening of the environment and the first transaction: a scrub told of damage. */
static void test_a_map_that_was_outgrown_is_no_damage(void)
{
    int dir = scratch_make(PLACE);
    skv_shard_place place = {.lmdb = &fake_lmdb, .path = PLACE, .map_bytes = 1 << 20, .store_id = "a store for test"};
    skv_error err = {0};
    skv_shard *shard;
    skv_shard_txn *txn;
    CHECK_OK(skv_shard_open(&place, true, &shard, &err), &err);
    skv_shard_free(shard);
    place.guest = true;
    fake_lmdb_outgrow();
    CHECK_OK(skv_shard_open(&place, false, &shard, &err), &err);
    fake_lmdb_outgrow();
    CHECK_OK(skv_shard_read_begin(shard, &txn, &err), &err);
    skv_shard_read_end(shard, txn);
    skv_shard_free(shard);
    fake_lmdb_clear();
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_map_that_was_outgrown_is_no_damage);
    return 0;
}
