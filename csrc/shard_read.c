/* L2 part (shard family). Reading: pooled transactions, single keys, cursors. */
#include <errno.h>

#include "hash.h"
#include "memory.h"
#include "shard_state.h"

#define GROW_WAIT_NS SKV_NS_PER_S

/* Under the lock, on return too. */
static void wait_until_grown(skv_shard *shard)
{
    while (shard->growing) {
        unsigned seen = skv_event_read(&shard->quiet);
        skv_unlock(&shard->lock);
        skv_event_wait(&shard->quiet, seen, GROW_WAIT_NS);
        skv_lock(&shard->lock);
    }
}

int skv_shard_begin(skv_shard *shard, MDB_txn **out)
{
    int rc;
    do {
        rc = shard->lmdb->txn_begin(shard->env, NULL, MDB_RDONLY, out);
    } while (rc == MDB_MAP_RESIZED && (rc = shard->lmdb->env_set_mapsize(shard->env, 0)) == 0);
    return rc;
}

static int begin_new(skv_shard *shard, skv_shard_txn **out)
{
    skv_shard_txn *txn = skv_alloc(sizeof *txn);
    int rc = txn ? skv_shard_begin(shard, &txn->inner) : ENOMEM;
    *out = txn;
    return rc;
}

static int begin_again(skv_shard *shard, skv_shard_txn *txn)
{
    return txn->fresh ? 0 : shard->lmdb->txn_renew(txn->inner);
}

void skv_shard_txn_free(skv_shard *shard, skv_shard_txn *txn)
{
    if (!txn)
        return;
    if (txn->cursor)
        shard->lmdb->cursor_close(txn->cursor);
    if (txn->inner)
        shard->lmdb->txn_abort(txn->inner);
    skv_release(txn);
}

/* One that began after so many tries to grow the map is over. Under the lock. */
static void count_out(skv_shard *shard, uint64_t tries)
{
    shard->open_txns--;
    shard->stayed -= tries < shard->tries;
}

skv_code skv_shard_read_begin(skv_shard *shard, skv_shard_txn **out, skv_error *err)
{
    skv_shard_txn *txn = NULL;
    uint64_t tries;
    int rc;
    skv_lock(&shard->lock);
    wait_until_grown(shard);
    shard->open_txns++;
    tries = shard->tries;
    if (shard->pooled)
        txn = shard->pool[--shard->pooled];
    skv_unlock(&shard->lock);
    rc = txn ? begin_again(shard, txn) : begin_new(shard, &txn);
    *out = rc == 0 ? txn : NULL;
    if (rc == 0) {
        txn->tries = tries;
        return SKV_OK;
    }
    skv_shard_txn_free(shard, txn);
    skv_lock(&shard->lock);
    count_out(shard, tries);
    skv_unlock(&shard->lock);
    return skv_shard_fail(shard, rc, "begin reading", err);
}

/* A transaction that still shows the newest commit is kept as it is; it holds no page back. */
void skv_shard_read_end(skv_shard *shard, skv_shard_txn *txn)
{
    bool growing, pooled;
    skv_lock(&shard->lock);
    txn->fresh = shard->lmdb->txn_id(txn->inner) == shard->newest_txn_id;
    pooled = shard->pooled < SKV_SHARD_POOL_MAX;
    if (pooled) {
        if (!txn->fresh)
            shard->lmdb->txn_reset(txn->inner);
        shard->pool[shard->pooled++] = txn;
    }
    count_out(shard, txn->tries);
    growing = shard->growing;
    skv_unlock(&shard->lock);
    if (!pooled)
        skv_shard_txn_free(shard, txn);
    if (growing)
        skv_event_notify(&shard->quiet);
}

void skv_shard_committed(skv_shard *shard, uint64_t txn_id)
{
    skv_lock(&shard->lock);
    shard->newest_txn_id = txn_id;
    for (uint32_t i = 0; i < shard->pooled; i++) {
        if (shard->pool[i]->fresh)
            shard->lmdb->txn_reset(shard->pool[i]->inner);
        shard->pool[i]->fresh = false;
    }
    skv_unlock(&shard->lock);
}

static skv_code read_record(skv_shard *shard, skv_slice key, const MDB_val *stored, skv_record *out, skv_error *err)
{
    if (skv_stored_decode(key, skv_slice_of(stored), out) && skv_record_verify(out))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a record (key of %zu bytes, hash %016llx) fails its checksum",
                       key.bytes, (unsigned long long)skv_key_hash(key.data, key.bytes));
}

/* What stands beside a search's end is what led it there. Long values would take longer than the search. */
static skv_code trust_neighbour(skv_shard *shard, int found, const MDB_val *key, const MDB_val *stored, skv_error *err)
{
    skv_record ignored;
    if (found != 0 || key->mv_size > SKV_KEY_BYTES_MAX || stored->mv_size > SKV_PAGE_BYTES)
        return SKV_OK;
    return read_record(shard, skv_slice_of(key), stored, &ignored, err);
}

/* Stand at the last record below `key`. LMDB's pages have no checksums, and a damaged one can lead to the wrong leaf, where
 * keys seem to be absent. Leaves know their neighbours, so a search that was led astray does not end between a record below
 * the key and one that is not; and one that a key inside the leaf led astray ends beside that. OK, NOT_FOUND: there is none
 * below, CORRUPT. *exact: the key itself comes next. */
static skv_code stand_before(skv_shard *shard, MDB_cursor *cursor, skv_slice key, bool *exact, skv_error *err)
{
    MDB_val above = skv_val_of(key), below, stored;
    int before, order = 1, found = shard->lmdb->cursor_get(cursor, &above, &stored, MDB_SET_RANGE);
    skv_code code;
    if (found != 0 && found != MDB_NOTFOUND)
        return skv_shard_fail(shard, found, "search", err);
    code = trust_neighbour(shard, found, &above, &stored, err);
    if (found == 0)
        order = skv_key_compare(skv_slice_of(&above), key);
    before = shard->lmdb->cursor_get(cursor, &below, &stored, found == 0 ? MDB_PREV : MDB_LAST);
    if (before != 0 && before != MDB_NOTFOUND)
        return skv_shard_fail(shard, before, "search", err);
    if (order < 0 || (before == 0 && skv_key_compare(skv_slice_of(&below), key) >= 0))
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a page is damaged: it leads to the wrong keys");
    if (code == SKV_OK)
        code = trust_neighbour(shard, before, &below, &stored, err);
    *exact = order == 0;
    return code == SKV_OK && before != 0 ? SKV_NOT_FOUND : code;
}

static skv_code prove_absent(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_error *err)
{
    bool exact = false;
    skv_shard_cursor *cursor;
    skv_code code = skv_shard_cursor_open(shard, txn, &cursor, err);
    if (code != SKV_OK)
        return code;
    code = stand_before(shard, (MDB_cursor *)cursor, key, &exact, err);
    skv_shard_cursor_close(shard, txn, cursor);
    if (exact)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a key is found in one way and not in another");
    return code == SKV_OK ? SKV_NOT_FOUND : code;
}

skv_code skv_shard_get(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_record *out, skv_error *err)
{
    MDB_val wanted = skv_val_of(key), stored;
    int rc = shard->lmdb->get(txn->inner, shard->dbi, &wanted, &stored);
    if (rc == MDB_NOTFOUND)
        return prove_absent(shard, txn, key, err);
    return rc == 0 ? read_record(shard, key, &stored, out, err) : skv_shard_fail(shard, rc, "read", err);
}

skv_code skv_shard_has(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_error *err)
{
    MDB_val wanted = skv_val_of(key), stored;
    int rc = shard->lmdb->get(txn->inner, shard->dbi, &wanted, &stored);
    if (rc == MDB_NOTFOUND)
        return prove_absent(shard, txn, key, err);
    return rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "read", err);
}

skv_code skv_shard_sum_of(skv_shard *shard, skv_shard_txn *txn, skv_shard_sum *out, skv_error *err)
{
    skv_shard_meta meta;
    skv_code code = skv_shard_read_meta(shard, txn->inner, &meta, err);
    if (code == SKV_OK)
        *out = meta.all;
    return code;
}

skv_code skv_shard_count(skv_shard *shard, skv_shard_txn *txn, uint64_t *out, skv_error *err)
{
    skv_shard_meta meta;
    skv_code code = skv_shard_read_meta(shard, txn->inner, &meta, err);
    if (code == SKV_OK)
        *out = meta.all.count - meta.reserved.count;
    return code;
}

/* -- cursors -------------------------------------------------------------------------------------------------------- */

/* The transaction's idle cursor, or a new one. */
skv_code skv_shard_cursor_open(skv_shard *shard, skv_shard_txn *txn, skv_shard_cursor **out, skv_error *err)
{
    MDB_cursor *cursor = txn->cursor;
    int rc;
    txn->cursor = NULL;
    if (cursor)
        rc = shard->lmdb->cursor_renew(txn->inner, cursor);
    else
        rc = shard->lmdb->cursor_open(txn->inner, shard->dbi, &cursor);
    if (rc != 0 && cursor)
        shard->lmdb->cursor_close(cursor);
    *out = rc == 0 ? (skv_shard_cursor *)cursor : NULL;
    return rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "open a cursor", err);
}

void skv_shard_cursor_close(skv_shard *shard, skv_shard_txn *txn, skv_shard_cursor *cursor)
{
    if (cursor && !txn->cursor)
        txn->cursor = (MDB_cursor *)cursor;
    else if (cursor)
        shard->lmdb->cursor_close((MDB_cursor *)cursor);
}

/* Make the move; step over the shard's own record. */
static skv_code move_cursor(skv_shard *shard, MDB_cursor *cursor, int move, skv_record *out, skv_error *err)
{
    int next = move == MDB_FIRST || move == MDB_NEXT ? MDB_NEXT : MDB_PREV;
    MDB_val key, stored;
    int rc = shard->lmdb->cursor_get(cursor, &key, &stored, move);
    if (rc == 0 && key.mv_size > SKV_KEY_BYTES_MAX)
        rc = shard->lmdb->cursor_get(cursor, &key, &stored, next);
    if (rc == MDB_NOTFOUND)
        return SKV_NOT_FOUND;
    if (rc != 0)
        return skv_shard_fail(shard, rc, "scan", err);
    if (skv_stored_decode(skv_slice_of(&key), skv_slice_of(&stored), out))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a stored record of %zu bytes is malformed", stored.mv_size);
}

skv_code skv_shard_seek(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out, skv_error *err)
{
    bool exact;
    skv_code code = key.data ? stand_before(shard, (MDB_cursor *)cursor, key, &exact, err) : SKV_NOT_FOUND;
    if (code != SKV_OK && code != SKV_NOT_FOUND)
        return code;
    return move_cursor(shard, (MDB_cursor *)cursor, code == SKV_OK ? MDB_NEXT : MDB_FIRST, out, err);
}

skv_code skv_shard_seek_before(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out,
                               skv_error *err)
{
    bool exact;
    skv_code code = key.data ? stand_before(shard, (MDB_cursor *)cursor, key, &exact, err) : SKV_OK;
    if (code != SKV_OK)
        return code;
    return move_cursor(shard, (MDB_cursor *)cursor, key.data ? MDB_GET_CURRENT : MDB_LAST, out, err);
}

skv_code skv_shard_next(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err)
{
    return move_cursor(shard, (MDB_cursor *)cursor, MDB_NEXT, out, err);
}

skv_code skv_shard_previous(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err)
{
    return move_cursor(shard, (MDB_cursor *)cursor, MDB_PREV, out, err);
}

skv_code skv_shard_prove(skv_shard *shard, skv_shard_txn *txn, skv_shard_range range, skv_shard_sum found,
                         skv_error *err)
{
    skv_shard_meta meta;
    skv_shard_sum sum;
    skv_code code = skv_shard_read_meta(shard, txn->inner, &meta, err);
    if (code != SKV_OK)
        return code;
    sum = meta.all;
    if (range == SKV_SHARD_PUBLIC) {
        sum.digest -= meta.reserved.digest;
        sum.count -= meta.reserved.count;
    }
    if (sum.digest == found.digest && sum.count == found.count)
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0,
                       "%llu records were found where %llu belong, or an old one in the place of a new one",
                       (unsigned long long)found.count, (unsigned long long)sum.count);
}
