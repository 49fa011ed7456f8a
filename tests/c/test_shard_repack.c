/* Packing a shard anew: what was there comes along, as much as there should be, or nothing is changed. */
#include "shard_state.h"

#include "check.h"
#include "fake_lmdb.h"
#include "scratch.h"

#define PLACE "repack"
#define OLD 20

static skv_record record_of(uint8_t key[2], uint64_t number, uint64_t seqno)
{
    key[0] = 'k';
    key[1] = (uint8_t)number;
    return (skv_record){.key = {key, 2}, .value = {key, 2}, .seqno = seqno, .checksum = (uint32_t)(number * seqno)};
}

/* Every record with a number from..below in steps, as one flush; an open transaction when that fails. */
static skv_code apply(skv_shard *shard, uint64_t from, uint64_t below, uint64_t step, uint64_t seqno, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint64_t number = from; code == SKV_OK && number < below; number += step) {
        uint8_t key[2];
        skv_record record = record_of(key, number, seqno);
        code = skv_shard_apply(shard, &record, err);
    }
    return code == SKV_OK ? skv_shard_apply_commit(shard, seqno, err) : code;
}

static skv_shard *make_shard(int *dir)
{
    skv_error err = {0};
    skv_shard *shard;
    const skv_shard_place place = {.lmdb = &fake_lmdb, .path = PLACE, .map_bytes = 1 << 20, .store_id = "a store for test"};
    *dir = scratch_make(PLACE);
    fake_lmdb_clear();
    CHECK_OK(skv_shard_open(&place, true, &shard, &err), &err);
    CHECK_OK(skv_shard_apply_begin(shard, &err), &err);
    CHECK_OK(apply(shard, 0, 2 * OLD, 2, 1, &err), &err);
    CHECK_EQ(fake_lmdb_count(PLACE), OLD + 1);
    return shard;
}

/* Between the old ones, in place of some of them and behind the last. */
static skv_code repack(skv_shard *shard, skv_error *err)
{
    skv_code code = skv_shard_repack_begin(shard, err);
    if (code == SKV_OK)
        code = apply(shard, 1, 3 * OLD, 3, 2, err);
    if (code != SKV_OK)
        skv_shard_apply_abort(shard);
    return code;
}

static void check_what_is_there(skv_shard *shard, bool packed)
{
    CHECK(!shard->writing && !shard->cursor && !shard->old.txn && shard->open_txns == 0);
    for (uint64_t number = 0; number < 3 * OLD; number++) {
        uint8_t key[2];
        skv_record wanted = record_of(key, number, 1), found;
        bool put = packed && number % 3 == 1, there = put || (number < 2 * OLD && number % 2 == 0);
        CHECK_EQ(fake_lmdb_find(PLACE, wanted.key, &found), there);
        if (there)
            CHECK_EQ(found.seqno, put ? 2 : 1);
    }
    CHECK_EQ(skv_shard_applied(shard), packed ? 2 : 1);
    CHECK_EQ(fake_lmdb_count(PLACE), shard->meta.all.count + 1);
}

static void test_old_and_new_records_are_merged(void)
{
    int dir;
    skv_error err = {0};
    skv_shard *shard = make_shard(&dir);
    CHECK_OK(repack(shard, &err), &err);
    check_what_is_there(shard, true);
    skv_shard_free(shard);
    scratch_remove(dir, PLACE);
}

/* Those that are too many would be left behind in silence. */
static void test_a_shard_that_holds_more_or_fewer_records_than_it_says_is_left_as_it_is(void)
{
    for (int hidden = -1; hidden <= 2; hidden++) {
        int dir;
        skv_error err = {0};
        skv_shard *shard = make_shard(&dir);
        fake_lmdb_hide((size_t)hidden);
        CHECK_EQ(repack(shard, &err), hidden ? SKV_CORRUPT : SKV_OK);
        fake_lmdb_hide(0);
        check_what_is_there(shard, !hidden);
        skv_shard_free(shard);
        scratch_remove(dir, PLACE);
    }
}

static void test_whichever_call_fails_nothing_is_changed_and_the_next_try_succeeds(void)
{
    bool met = true;
    for (long nth = 1; met; nth++) {
        int dir;
        skv_error err = {0};
        skv_shard *shard = make_shard(&dir);
        skv_code code;
        fake_lmdb_fail(nth);
        code = repack(shard, &err);
        met = fake_lmdb_calls() >= nth;
        fake_lmdb_fail(0);
        CHECK_EQ(code, met ? SKV_IO : SKV_OK);
        check_what_is_there(shard, !met);
        if (met)
            CHECK_OK(repack(shard, &err), &err);
        check_what_is_there(shard, true);
        skv_shard_free(shard);
        scratch_remove(dir, PLACE);
    }
}

int main(void)
{
    RUN(test_old_and_new_records_are_merged);
    RUN(test_a_shard_that_holds_more_or_fewer_records_than_it_says_is_left_as_it_is);
    RUN(test_whichever_call_fails_nothing_is_changed_and_the_next_try_succeeds);
    return 0;
}
