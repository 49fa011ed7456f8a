/* L2 part (shard family). Packing a shard anew while a flush is applied: old and new records, merged by key, go into an
 * empty tree behind each other. */
#include "shard_state.h"

static skv_code begin_old(skv_shard *shard, skv_error *err)
{
    MDB_stat stat;
    int rc;
    skv_code code = skv_shard_read_begin(shard, &shard->old.txn, err);
    if (code == SKV_OK)
        code = skv_shard_cursor_open(shard, shard->old.txn, &shard->old.cursor, err);
    if (code != SKV_OK)
        return code;
    rc = shard->lmdb->stat(shard->old.txn->inner, shard->dbi, &stat);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "count", err);
    shard->old.left = stat.ms_entries;
    return SKV_OK;
}

/* Look at the next old record. */
static skv_code look(skv_shard *shard, int move, skv_error *err)
{
    skv_shard_old *old = &shard->old;
    int rc = shard->lmdb->cursor_get((MDB_cursor *)old->cursor, &old->key, &old->stored, move);
    if (rc == (old->left ? 0 : MDB_NOTFOUND))
        return SKV_OK;
    if (rc == 0 || rc == MDB_NOTFOUND)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard does not hold as many records as it says");
    return skv_shard_fail(shard, rc, "read what is packed anew", err);
}

skv_code skv_shard_repack_begin(skv_shard *shard, skv_error *err)
{
    int rc;
    skv_code code = skv_shard_apply_begin(shard, err);
    if (code == SKV_OK)
        code = begin_old(shard, err);
    if (code == SKV_OK)
        code = look(shard, MDB_FIRST, err);
    if (code == SKV_OK && (rc = shard->lmdb->drop(shard->writing, shard->dbi, 0)) != 0)
        code = skv_shard_fail(shard, rc, "begin to pack anew", err);
    if (code != SKV_OK)
        skv_shard_apply_abort(shard);
    return code;
}

bool skv_shard_old_is_next(const skv_shard *shard, skv_slice key)
{
    return shard->old.left && skv_key_compare(skv_slice_of(&shard->old.key), key) == 0;
}

skv_code skv_shard_old_leave(skv_shard *shard, skv_error *err)
{
    shard->old.left--;
    return look(shard, MDB_NEXT, err);
}

skv_code skv_shard_old_follow(skv_shard *shard, skv_slice below, skv_error *err)
{
    skv_shard_old *old = &shard->old;
    skv_code code = SKV_OK;
    while (code == SKV_OK && old->left && (!below.data || skv_key_compare(skv_slice_of(&old->key), below) < 0)) {
        int rc = shard->lmdb->cursor_put(shard->cursor, &old->key, &old->stored, MDB_APPEND);
        if (rc == MDB_KEYEXIST)
            return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a record stands in the wrong place");
        code = rc == 0 ? skv_shard_old_leave(shard, err) : skv_shard_fail(shard, rc, "pack anew", err);
    }
    return code;
}

void skv_shard_old_end(skv_shard *shard)
{
    if (!shard->old.txn)
        return;
    skv_shard_cursor_close(shard, shard->old.txn, shard->old.cursor);
    skv_shard_read_end(shard, shard->old.txn);
    shard->old = (skv_shard_old){0};
}
