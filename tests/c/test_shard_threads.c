/* A map grows when nobody reads. Who reads shortly is held back for a moment at most, however long somebody else stays. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "fake_lmdb.h"
#include "scratch.h"
#include "shard_state.h"

#define PLACE "shard"

static skv_shard *open_shard(int *dir)
{
    skv_error err = {0};
    skv_shard *shard;
    const skv_shard_place place = {.lmdb = &fake_lmdb, .path = PLACE, .map_bytes = 1 << 20, .store_id = "a store for test"};
    *dir = scratch_make(PLACE);
    fake_lmdb_clear();
    CHECK_OK(skv_shard_open(&place, true, &shard, &err), &err);
    return shard;
}

static skv_shard_txn *begin(skv_shard *shard)
{
    skv_error err = {0};
    skv_shard_txn *txn;
    CHECK_OK(skv_shard_read_begin(shard, &txn, &err), &err);
    return txn;
}

typedef struct {
    skv_shard *shard;
    skv_code code;
    atomic_bool over;
} growth;

static void *grow(void *context)
{
    growth *at = context;
    at->code = skv_shard_grow(at->shard, NULL);
    atomic_store(&at->over, true);
    return NULL;
}

/* Story: each of many tries held all readers of the shard back for a second, for as long as a snapshot was open. */
static void test_beside_one_that_stays_nobody_is_held_back_again(void)
{
    int dir;
    skv_error err = {0};
    skv_shard *shard = open_shard(&dir);
    skv_shard_txn *stays = begin(shard);
    growth at = {.shard = shard};
    pthread_t thread;
    CHECK_EQ(skv_shard_grow(shard, &err), SKV_BUSY);
    CHECK_EQ(pthread_create(&thread, NULL, grow, &at), 0);
    while (!atomic_load(&at.over)) {
        skv_lock(&shard->lock);
        CHECK(!shard->growing);
        skv_unlock(&shard->lock);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(at.code, SKV_BUSY);
    skv_shard_read_end(shard, stays);
    CHECK_OK(skv_shard_grow(shard, &err), &err);
    skv_shard_free(shard);
    scratch_remove(dir, PLACE);
}

static void test_those_that_stayed_are_counted_until_each_has_ended(void)
{
    int dir;
    skv_error err = {0};
    skv_shard *shard = open_shard(&dir);
    skv_shard_txn *first = begin(shard), *second = begin(shard), *later, *none;
    uint64_t patience = shard->gate_ns;
    CHECK_EQ(skv_shard_grow(shard, &err), SKV_BUSY);
    CHECK(shard->stayed == 2 && shard->open_txns == 2 && !shard->growing);
    CHECK_EQ(shard->gate_ns, 2 * patience); /* for scans that take turns */
    later = begin(shard);
    skv_shard_read_end(shard, first);
    CHECK(shard->stayed == 1 && shard->open_txns == 2);
    fake_lmdb_fail(1);
    first = begin(shard); /* of the pool */
    CHECK_EQ(skv_shard_read_begin(shard, &none, &err), SKV_IO);
    CHECK(!none && shard->stayed == 1 && shard->open_txns == 3);
    skv_shard_read_end(shard, first);
    skv_shard_read_end(shard, later);
    CHECK(shard->stayed == 1 && shard->open_txns == 1);
    skv_shard_read_end(shard, second);
    CHECK(shard->stayed == 0 && shard->open_txns == 0);
    CHECK_OK(skv_shard_grow(shard, &err), &err);
    CHECK_EQ(shard->gate_ns, patience);
    skv_shard_free(shard);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_beside_one_that_stays_nobody_is_held_back_again);
    RUN(test_those_that_stayed_are_counted_until_each_has_ended);
    return 0;
}
