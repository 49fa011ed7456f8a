/* L2 part (shard family). Applying a flush, in one write transaction. */
#include "shard_state.h"

skv_code skv_shard_apply_begin(skv_shard *shard, skv_error *err)
{
    int rc = shard->lmdb->txn_begin(shard->env, NULL, 0, &shard->writing);
    if (rc == 0)
        rc = shard->lmdb->dbi_open(shard->writing, NULL, 0, &shard->dbi);
    if (rc == 0)
        rc = shard->lmdb->cursor_open(shard->writing, shard->dbi, &shard->cursor);
    if (rc != 0) {
        skv_shard_apply_abort(shard);
        return skv_shard_fail(shard, rc, "begin a flush", err);
    }
    shard->pending = shard->meta;
    shard->appending = true;
    return SKV_OK;
}

/* A record comes to the sums of the open transaction, or leaves them. */
static void come(skv_shard_meta *meta, const skv_record *record)
{
    uint64_t digest = skv_record_digest(record), reserved = skv_key_reserved(record->key);
    meta->all.digest += digest;
    meta->all.count++;
    meta->reserved.digest += reserved * digest;
    meta->reserved.count += reserved;
    meta->expiring += skv_record_expires(record);
}

static void leave(skv_shard_meta *meta, const skv_record *record)
{
    uint64_t digest = skv_record_digest(record), reserved = skv_key_reserved(record->key);
    meta->all.digest -= digest;
    meta->all.count--;
    meta->reserved.digest -= reserved * digest;
    meta->reserved.count -= reserved;
    meta->expiring -= skv_record_expires(record);
}

/* The sums lose the record that is about to be replaced or deleted. */
static skv_code forget_old(skv_shard *shard, skv_slice key, const MDB_val *stored, skv_error *err)
{
    skv_record old;
    if (!skv_stored_decode(key, skv_slice_of(stored), &old))
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a stored record of %zu bytes is malformed",
                           stored->mv_size);
    leave(&shard->pending, &old);
    return SKV_OK;
}

/* Reserve room for a record behind everything, or where it belongs. KEYEXIST: `stored` is the old one. */
static int place_record(skv_shard *shard, MDB_val *key, size_t bytes, unsigned flags, MDB_val *stored)
{
    if (shard->appending) {
        *stored = (MDB_val){bytes, NULL};
        int rc = shard->lmdb->cursor_put(shard->cursor, key, stored, MDB_APPEND | MDB_RESERVE);
        if (rc != MDB_KEYEXIST)
            return rc;
        shard->appending = false;
    }
    *stored = (MDB_val){bytes, NULL};
    return shard->lmdb->cursor_put(shard->cursor, key, stored, MDB_RESERVE | flags);
}

static skv_code apply_put(skv_shard *shard, const skv_record *record, skv_error *err)
{
    uint8_t head[SKV_STORED_HEADER_BYTES + SKV_RECORD_EXPIRES_BYTES];
    size_t head_bytes = skv_stored_encode(head, record), bytes = head_bytes + record->value.bytes;
    MDB_val key = skv_val_of(record->key), stored;
    int rc = place_record(shard, &key, bytes, MDB_NOOVERWRITE, &stored);
    if (rc == MDB_KEYEXIST) {
        skv_code code = forget_old(shard, record->key, &stored, err);
        if (code != SKV_OK)
            return code;
        rc = place_record(shard, &key, bytes, 0, &stored);
    }
    if (rc != 0)
        return skv_shard_fail(shard, rc, "write", err);
    memcpy(stored.mv_data, head, head_bytes);
    if (record->value.bytes)
        memcpy((uint8_t *)stored.mv_data + head_bytes, record->value.data, record->value.bytes);
    come(&shard->pending, record);
    return SKV_OK;
}

static skv_code apply_delete(skv_shard *shard, const skv_record *record, skv_error *err)
{
    MDB_val key = skv_val_of(record->key), stored;
    skv_code code;
    int rc = shard->lmdb->cursor_get(shard->cursor, &key, &stored, MDB_SET);
    if (rc == MDB_NOTFOUND)
        return SKV_OK;
    if (rc != 0)
        return skv_shard_fail(shard, rc, "find what to delete", err);
    code = forget_old(shard, record->key, &stored, err);
    if (code != SKV_OK)
        return code;
    rc = shard->lmdb->cursor_del(shard->cursor, 0);
    return rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "delete", err);
}

/* The old records below it go first; that of its key does not come along. */
static skv_code apply_in_turn(skv_shard *shard, const skv_record *record, skv_error *err)
{
    skv_code code = skv_shard_old_follow(shard, record->key, err);
    if (code == SKV_OK && skv_shard_old_is_next(shard, record->key)) {
        code = forget_old(shard, record->key, &shard->old.stored, err);
        if (code == SKV_OK)
            code = skv_shard_old_leave(shard, err);
    }
    return code == SKV_OK && !skv_record_deletes(record) ? apply_put(shard, record, err) : code;
}

skv_code skv_shard_apply(skv_shard *shard, const skv_record *record, skv_error *err)
{
    if (record->seqno > shard->pending.newest_seqno)
        shard->pending.newest_seqno = record->seqno;
    if (shard->old.txn)
        return apply_in_turn(shard, record, err);
    return skv_record_deletes(record) ? apply_delete(shard, record, err) : apply_put(shard, record, err);
}

skv_code skv_shard_apply_newer(skv_shard *shard, const skv_record *record, skv_error *err)
{
    MDB_val key = skv_val_of(record->key), stored;
    skv_record old;
    int rc = shard->lmdb->cursor_get(shard->cursor, &key, &stored, MDB_SET);
    if (rc == 0 && skv_stored_decode(record->key, skv_slice_of(&stored), &old) && old.seqno >= record->seqno)
        return SKV_OK;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return skv_shard_fail(shard, rc, "find what is older", err);
    return skv_shard_apply(shard, record, err);
}

skv_shard_sum skv_shard_applied_sum(const skv_shard *shard)
{
    return shard->pending.all;
}

skv_code skv_shard_apply_commit(skv_shard *shard, uint64_t applied_seqno, skv_error *err)
{
    uint8_t stored[SKV_SHARD_META_BYTES];
    MDB_val key = {sizeof skv_shard_meta_key, (void *)(uintptr_t)skv_shard_meta_key}, data = {sizeof stored, stored};
    skv_code code = shard->old.txn ? skv_shard_old_follow(shard, (skv_slice){NULL, 0}, err) : SKV_OK;
    uint64_t txn_id;
    int rc;
    if (code != SKV_OK) {
        skv_shard_apply_abort(shard);
        return code;
    }
    skv_shard_old_end(shard);
    shard->pending.applied_seqno = applied_seqno;
    skv_shard_encode_meta(shard, &shard->pending, stored);
    rc = shard->lmdb->cursor_put(shard->cursor, &key, &data, 0);
    if (rc != 0) {
        skv_shard_apply_abort(shard);
        return skv_shard_fail(shard, rc, "write the shard's own record", err);
    }
    shard->lmdb->cursor_close(shard->cursor);
    txn_id = shard->lmdb->txn_id(shard->writing);
    rc = shard->lmdb->txn_commit(shard->writing);
    shard->writing = NULL;
    shard->cursor = NULL;
    if (rc != 0)
        return skv_shard_fail(shard, rc, "commit", err);
    shard->meta = shard->pending;
    skv_shard_committed(shard, txn_id);
    skv_shard_publish(shard);
    return SKV_OK;
}

void skv_shard_apply_abort(skv_shard *shard)
{
    skv_shard_old_end(shard);
    if (shard->cursor)
        shard->lmdb->cursor_close(shard->cursor);
    if (shard->writing)
        shard->lmdb->txn_abort(shard->writing);
    shard->cursor = NULL;
    shard->writing = NULL;
}
