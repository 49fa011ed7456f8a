/* L2 part (shard family). Copying a shard, and reading all of it. */
#include <string.h>

#include "shard_state.h"

uint64_t skv_shard_txn_state(const skv_shard *shard, const skv_shard_txn *txn)
{
    return shard->lmdb->txn_id(txn->inner);
}

skv_code skv_shard_give(skv_shard *shard, const uint8_t store_id[SKV_STORE_ID_BYTES], uint64_t applied_seqno,
                        skv_error *err)
{
    skv_code code = skv_shard_apply_begin(shard, err);
    if (code != SKV_OK)
        return code;
    memcpy(shard->store_id, store_id, SKV_STORE_ID_BYTES);
    return skv_shard_apply_commit(shard, applied_seqno, err);
}

static skv_code visit_next(skv_shard *shard, skv_slice *last, const skv_record *record, skv_error *err)
{
    if (last->data && skv_key_compare(*last, record->key) >= 0)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, record->seqno,
                           "the record with seqno %llu stands in the wrong place: its key is not above the one before",
                           (unsigned long long)record->seqno);
    *last = record->key;
    return SKV_OK;
}

skv_code skv_shard_walk(skv_shard *shard, skv_shard_visit visit, void *context, skv_error *err)
{
    skv_shard_txn *txn;
    skv_shard_cursor *cursor = NULL;
    skv_shard_sum sum = {0};
    skv_slice last = {NULL, 0};
    skv_record record;
    skv_code code = skv_shard_read_begin(shard, &txn, err);
    if (code != SKV_OK)
        return code;
    code = skv_shard_cursor_open(shard, txn, &cursor, err);
    if (code == SKV_OK)
        code = skv_shard_seek(shard, cursor, last, &record, err);
    for (; code == SKV_OK; code = code == SKV_OK ? skv_shard_next(shard, cursor, &record, err) : code) {
        sum.digest += skv_record_digest(&record);
        sum.count++;
        code = visit_next(shard, &last, &record, err);
        if (code == SKV_OK)
            code = visit(context, &record, err);
    }
    if (code == SKV_NOT_FOUND)
        code = skv_shard_prove(shard, txn, SKV_SHARD_ALL, sum, err);
    skv_shard_cursor_close(shard, txn, cursor);
    skv_shard_read_end(shard, txn);
    return code;
}
