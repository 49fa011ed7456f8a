/* L2 part. A shard over LMDB. */
#include "shard.h"

#include <errno.h>
#include <stdio.h>

#include "hash.h"
#include "lmdb_api.h"
#include "memory.h"
#include "os.h"
#include "sync.h"

#define POOL_MAX 64
#define READERS_MAX 4096
#define MAP_BYTES_DEFAULT ((uint64_t)16 << 30)
#define GROW_WAIT_NS SKV_NS_PER_S
#define DATA_DBI 1 /* the main database: lmdb.h gives it this handle */

typedef struct {
    uint64_t applied_seqno;
    uint64_t digest;
    uint64_t count;
} shard_meta;

struct skv_shard {
    const skv_lmdb *lmdb;
    MDB_env *env;
    MDB_dbi dbi;
    int fd; /* LMDB's */
    uint32_t number;
    uint8_t store_id[SKV_STORE_ID_BYTES];
    char name[SKV_NAME_MAX];

    skv_mutex lock; /* of the pool and the gate */
    MDB_txn *pool[POOL_MAX];
    uint32_t pooled;
    uint32_t open_txns;
    bool growing;
    skv_event quiet; /* a transaction ended, or growing did */

    MDB_txn *writing; /* the applying thread's */
    MDB_cursor *cursor;
    bool appending; /* keys come behind the last one: pages are packed full */
    shard_meta meta;    /* committed */
    shard_meta pending; /* of the open transaction */
    atomic_ullong applied_seqno;
    atomic_ullong records;
};

static const uint8_t meta_key[SKV_SHARD_META_KEY_BYTES]; /* zeros: longer than any key of a user */

static MDB_val val_of(skv_slice slice)
{
    return (MDB_val){slice.bytes, (void *)(uintptr_t)slice.data};
}

static skv_slice slice_of(const MDB_val *val)
{
    return (skv_slice){val->mv_data, val->mv_size};
}

static skv_code fail(skv_shard *shard, int rc, const char *doing, skv_error *err)
{
    if (rc == MDB_MAP_FULL)
        return skv_fail(err, SKV_BUSY, "the map of %s is full", shard->name);
    if (rc == MDB_READERS_FULL)
        return skv_fail(err, SKV_FULL, "%s: all %d reader slots are taken; close snapshots and scans", shard->name,
                        READERS_MAX);
    /* A write that a full disk cuts short is reported as EIO. */
    if (rc == EIO && shard->fd >= 0 && skv_os_free_bytes(shard->fd) < SKV_PAGE_BYTES)
        rc = ENOSPC;
    if (rc > 0)
        return skv_fail_errno(err, rc, shard->name, "cannot %s: %s", doing, shard->lmdb->strerror(rc));
    return skv_fail_at(err, rc == MDB_PANIC ? SKV_IO : SKV_CORRUPT, shard->name, 0, 0, "cannot %s: %s", doing,
                       shard->lmdb->strerror(rc));
}

/* -- the shard's own record ----------------------------------------------------------------------------------------- */

static void encode_meta(const skv_shard *shard, const shard_meta *meta, uint8_t out[SKV_SHARD_META_BYTES])
{
    memcpy(out + SKV_SHARD_META_STORE_ID, shard->store_id, SKV_STORE_ID_BYTES);
    skv_store32(out + SKV_SHARD_META_NUMBER, shard->number);
    skv_store32(out + SKV_SHARD_META_VERSION, SKV_FORMAT_VERSION);
    skv_store64(out + SKV_SHARD_META_APPLIED_SEQNO, meta->applied_seqno);
    skv_store64(out + SKV_SHARD_META_DIGEST, meta->digest);
    skv_store64(out + SKV_SHARD_META_COUNT, meta->count);
    skv_store64(out + SKV_SHARD_META_CHECKSUM,
                skv_hash64(out + SKV_SHARD_META_STORE_ID, SKV_SHARD_META_BYTES - SKV_SHARD_META_STORE_ID, 0));
}

static skv_code decode_meta(const skv_shard *shard, skv_slice stored, shard_meta *out, skv_error *err)
{
    const uint8_t *at = stored.data;
    if (stored.bytes != SKV_SHARD_META_BYTES ||
        skv_load64(at) != skv_hash64(at + SKV_SHARD_META_STORE_ID, SKV_SHARD_META_BYTES - SKV_SHARD_META_STORE_ID, 0))
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard's own record is damaged");
    if (skv_load32(at + SKV_SHARD_META_VERSION) != SKV_FORMAT_VERSION)
        return skv_fail_at(err, SKV_FORMAT, shard->name, 0, 0, "the shard has a format version this release does not know");
    if (memcmp(at + SKV_SHARD_META_STORE_ID, shard->store_id, SKV_STORE_ID_BYTES) != 0 ||
        skv_load32(at + SKV_SHARD_META_NUMBER) != shard->number)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "this is another store's shard, or another shard (%u)",
                           skv_load32(at + SKV_SHARD_META_NUMBER));
    out->applied_seqno = skv_load64(at + SKV_SHARD_META_APPLIED_SEQNO);
    out->digest = skv_load64(at + SKV_SHARD_META_DIGEST);
    out->count = skv_load64(at + SKV_SHARD_META_COUNT);
    return SKV_OK;
}

static skv_code read_meta(skv_shard *shard, MDB_txn *txn, shard_meta *out, skv_error *err)
{
    MDB_val key = {sizeof meta_key, (void *)(uintptr_t)meta_key}, stored;
    MDB_stat stat;
    skv_code code;
    int rc = shard->lmdb->get(txn, shard->dbi, &key, &stored);
    if (rc == MDB_NOTFOUND)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard's own record is missing");
    if (rc != 0)
        return fail(shard, rc, "read the shard's own record", err);
    code = decode_meta(shard, slice_of(&stored), out, err);
    if (code != SKV_OK)
        return code;
    rc = shard->lmdb->stat(txn, shard->dbi, &stat);
    if (rc != 0)
        return fail(shard, rc, "count", err);
    if (stat.ms_entries != out->count + 1)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard holds %llu records, its own record says %llu",
                           (unsigned long long)stat.ms_entries - 1, (unsigned long long)out->count);
    return SKV_OK;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

static skv_code open_env(skv_shard *shard, const skv_shard_place *place, skv_error *err)
{
    MDB_envinfo info;
    int dead, rc = shard->lmdb->env_create(&shard->env);
    if (rc != 0)
        return fail(shard, rc, "make an environment", err);
    rc = shard->lmdb->env_set_mapsize(shard->env, (size_t)(place->map_bytes ? place->map_bytes : MAP_BYTES_DEFAULT));
    if (rc == 0)
        rc = shard->lmdb->env_set_maxreaders(shard->env, READERS_MAX);
    if (rc == 0)
        rc = shard->lmdb->env_open(shard->env, place->path, MDB_NOTLS, 0600);
    if (rc != 0)
        return fail(shard, rc, "open the environment", err);
    if (shard->lmdb->env_get_fd(shard->env, &shard->fd) == 0)
        skv_os_close_on_exec(shard->fd);
    (void)shard->lmdb->reader_check(shard->env, &dead);
    rc = shard->lmdb->env_info(shard->env, &info);
    /* Nearly full already: enlarge while nobody reads. */
    if (rc == 0 && (info.me_last_pgno + 1) * SKV_PAGE_BYTES > info.me_mapsize / 2)
        rc = shard->lmdb->env_set_mapsize(shard->env, 4 * info.me_mapsize);
    return rc == 0 ? SKV_OK : fail(shard, rc, "size the map", err);
}

static skv_code open_data(skv_shard *shard, skv_error *err)
{
    MDB_txn *txn;
    skv_code code;
    int rc = shard->lmdb->txn_begin(shard->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return fail(shard, rc, "begin reading", err);
    rc = shard->lmdb->dbi_open(txn, NULL, 0, &shard->dbi);
    code = rc == 0 ? read_meta(shard, txn, &shard->meta, err) : fail(shard, rc, "open the database", err);
    shard->lmdb->txn_abort(txn);
    return code;
}

/* The first commit: from now on the environment can be opened whatever happens. */
static skv_code found(skv_shard *shard, skv_error *err)
{
    skv_code code;
    shard->dbi = DATA_DBI;
    code = skv_shard_apply_begin(shard, err);
    return code == SKV_OK ? skv_shard_apply_commit(shard, 0, err) : code;
}

static void publish(skv_shard *shard)
{
    atomic_store(&shard->applied_seqno, shard->meta.applied_seqno);
    atomic_store(&shard->records, shard->meta.count);
}

skv_code skv_shard_open(const skv_shard_place *place, bool create, skv_shard **out, skv_error *err)
{
    skv_code code;
    skv_shard *shard = skv_alloc(sizeof *shard);
    *out = NULL;
    if (!shard)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    shard->lmdb = place->lmdb;
    shard->number = place->number;
    shard->fd = -1;
    memcpy(shard->store_id, place->store_id, SKV_STORE_ID_BYTES);
    (void)snprintf(shard->name, sizeof shard->name, "shards/%04u/data.mdb", place->number);
    skv_mutex_create(&shard->lock);
    code = open_env(shard, place, err);
    if (code == SKV_OK && create)
        code = found(shard, err);
    if (code == SKV_OK)
        code = open_data(shard, err);
    if (code != SKV_OK) {
        skv_shard_free(shard);
        return code == SKV_BUSY ? SKV_FULL : code;
    }
    publish(shard);
    *out = shard;
    return SKV_OK;
}

void skv_shard_free(skv_shard *shard)
{
    if (!shard)
        return;
    skv_shard_apply_abort(shard);
    for (uint32_t i = 0; i < shard->pooled; i++)
        shard->lmdb->txn_abort(shard->pool[i]);
    if (shard->env)
        shard->lmdb->env_close(shard->env);
    skv_mutex_free(&shard->lock);
    skv_release(shard);
}

/* -- read transactions ---------------------------------------------------------------------------------------------- */

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

skv_code skv_shard_read_begin(skv_shard *shard, skv_shard_txn **out, skv_error *err)
{
    MDB_txn *txn = NULL;
    int rc;
    skv_lock(&shard->lock);
    wait_until_grown(shard);
    shard->open_txns++;
    if (shard->pooled)
        txn = shard->pool[--shard->pooled];
    skv_unlock(&shard->lock);
    rc = txn ? shard->lmdb->txn_renew(txn) : shard->lmdb->txn_begin(shard->env, NULL, MDB_RDONLY, &txn);
    *out = (skv_shard_txn *)txn;
    if (rc == 0)
        return SKV_OK;
    if (txn)
        shard->lmdb->txn_abort(txn);
    skv_lock(&shard->lock);
    shard->open_txns--;
    skv_unlock(&shard->lock);
    *out = NULL;
    return fail(shard, rc, "begin reading", err);
}

void skv_shard_read_end(skv_shard *shard, skv_shard_txn *txn)
{
    MDB_txn *inner = (MDB_txn *)txn;
    bool growing, pooled;
    shard->lmdb->txn_reset(inner);
    skv_lock(&shard->lock);
    pooled = shard->pooled < POOL_MAX;
    if (pooled)
        shard->pool[shard->pooled++] = inner;
    shard->open_txns--;
    growing = shard->growing;
    skv_unlock(&shard->lock);
    if (!pooled)
        shard->lmdb->txn_abort(inner);
    if (growing)
        skv_event_notify(&shard->quiet);
}

static skv_code read_record(skv_shard *shard, skv_slice key, const MDB_val *stored, skv_record *out, skv_error *err)
{
    if (skv_stored_decode(key, slice_of(stored), out) && skv_record_verify(out))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a record (key of %zu bytes, hash %016llx) fails its checksum",
                       key.bytes, (unsigned long long)skv_key_hash(key.data, key.bytes));
}

skv_code skv_shard_get(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_record *out, skv_error *err)
{
    MDB_val wanted = val_of(key), stored;
    int rc = shard->lmdb->get((MDB_txn *)txn, shard->dbi, &wanted, &stored);
    if (rc == MDB_NOTFOUND)
        return SKV_NOT_FOUND;
    return rc == 0 ? read_record(shard, key, &stored, out, err) : fail(shard, rc, "read", err);
}

skv_code skv_shard_count(skv_shard *shard, skv_shard_txn *txn, uint64_t *out, skv_error *err)
{
    MDB_stat stat;
    int rc = shard->lmdb->stat((MDB_txn *)txn, shard->dbi, &stat);
    if (rc != 0)
        return fail(shard, rc, "count", err);
    *out = stat.ms_entries - 1;
    return SKV_OK;
}

/* -- cursors -------------------------------------------------------------------------------------------------------- */

skv_code skv_shard_cursor_open(skv_shard *shard, skv_shard_txn *txn, skv_shard_cursor **out, skv_error *err)
{
    MDB_cursor *cursor;
    int rc = shard->lmdb->cursor_open((MDB_txn *)txn, shard->dbi, &cursor);
    *out = rc == 0 ? (skv_shard_cursor *)cursor : NULL;
    return rc == 0 ? SKV_OK : fail(shard, rc, "open a cursor", err);
}

void skv_shard_cursor_close(skv_shard *shard, skv_shard_cursor *cursor)
{
    if (cursor)
        shard->lmdb->cursor_close((MDB_cursor *)cursor);
}

/* Make the move; step over the shard's own record with `next`. */
static skv_code move_cursor(skv_shard *shard, MDB_cursor *cursor, skv_slice at, int move, int next, skv_record *out,
                            skv_error *err)
{
    MDB_val key = val_of(at), stored;
    int rc = shard->lmdb->cursor_get(cursor, &key, &stored, move);
    if (rc == 0 && key.mv_size > SKV_KEY_BYTES_MAX)
        rc = shard->lmdb->cursor_get(cursor, &key, &stored, next);
    if (rc == MDB_NOTFOUND)
        return SKV_NOT_FOUND;
    return rc == 0 ? read_record(shard, slice_of(&key), &stored, out, err) : fail(shard, rc, "scan", err);
}

skv_code skv_shard_seek(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out, skv_error *err)
{
    return move_cursor(shard, (MDB_cursor *)cursor, key, key.data ? MDB_SET_RANGE : MDB_FIRST, MDB_NEXT, out, err);
}

skv_code skv_shard_seek_before(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out,
                               skv_error *err)
{
    MDB_val at = val_of(key), stored;
    MDB_cursor *inner = (MDB_cursor *)cursor;
    int rc;
    if (!key.data)
        return move_cursor(shard, inner, key, MDB_LAST, MDB_PREV, out, err);
    rc = shard->lmdb->cursor_get(inner, &at, &stored, MDB_SET_RANGE);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return fail(shard, rc, "scan", err);
    return move_cursor(shard, inner, (skv_slice){NULL, 0}, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV, MDB_PREV, out, err);
}

skv_code skv_shard_next(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err)
{
    return move_cursor(shard, (MDB_cursor *)cursor, (skv_slice){NULL, 0}, MDB_NEXT, MDB_NEXT, out, err);
}

skv_code skv_shard_previous(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err)
{
    return move_cursor(shard, (MDB_cursor *)cursor, (skv_slice){NULL, 0}, MDB_PREV, MDB_PREV, out, err);
}

skv_code skv_shard_prove(skv_shard *shard, skv_shard_txn *txn, uint64_t digest, uint64_t count, skv_error *err)
{
    shard_meta meta;
    skv_code code = read_meta(shard, (MDB_txn *)txn, &meta, err);
    if (code != SKV_OK || (meta.digest == digest && meta.count == count))
        return code;
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0,
                       "%llu records were found where %llu belong, or an old one in the place of a new one",
                       (unsigned long long)count, (unsigned long long)meta.count);
}

/* -- applying ------------------------------------------------------------------------------------------------------- */

skv_code skv_shard_apply_begin(skv_shard *shard, skv_error *err)
{
    int rc = shard->lmdb->txn_begin(shard->env, NULL, 0, &shard->writing);
    if (rc == 0)
        rc = shard->lmdb->dbi_open(shard->writing, NULL, 0, &shard->dbi);
    if (rc == 0)
        rc = shard->lmdb->cursor_open(shard->writing, shard->dbi, &shard->cursor);
    if (rc != 0) {
        skv_shard_apply_abort(shard);
        return fail(shard, rc, "begin a flush", err);
    }
    shard->pending = shard->meta;
    shard->appending = true;
    return SKV_OK;
}

/* The digest loses the record that is about to be replaced or deleted. */
static skv_code forget_old(skv_shard *shard, skv_slice key, const MDB_val *stored, skv_error *err)
{
    skv_record old;
    if (!skv_stored_decode(key, slice_of(stored), &old))
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "a stored record of %zu bytes is malformed",
                           stored->mv_size);
    shard->pending.digest -= skv_record_digest(&old);
    shard->pending.count--;
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
    MDB_val key = val_of(record->key), stored;
    int rc = place_record(shard, &key, bytes, MDB_NOOVERWRITE, &stored);
    if (rc == MDB_KEYEXIST) {
        skv_code code = forget_old(shard, record->key, &stored, err);
        if (code != SKV_OK)
            return code;
        rc = place_record(shard, &key, bytes, 0, &stored);
    }
    if (rc != 0)
        return fail(shard, rc, "write", err);
    memcpy(stored.mv_data, head, head_bytes);
    if (record->value.bytes)
        memcpy((uint8_t *)stored.mv_data + head_bytes, record->value.data, record->value.bytes);
    shard->pending.digest += skv_record_digest(record);
    shard->pending.count++;
    return SKV_OK;
}

static skv_code apply_delete(skv_shard *shard, const skv_record *record, skv_error *err)
{
    MDB_val key = val_of(record->key), stored;
    skv_code code;
    int rc = shard->lmdb->cursor_get(shard->cursor, &key, &stored, MDB_SET);
    if (rc == MDB_NOTFOUND)
        return SKV_OK;
    if (rc != 0)
        return fail(shard, rc, "find what to delete", err);
    code = forget_old(shard, record->key, &stored, err);
    if (code != SKV_OK)
        return code;
    rc = shard->lmdb->cursor_del(shard->cursor, 0);
    return rc == 0 ? SKV_OK : fail(shard, rc, "delete", err);
}

skv_code skv_shard_apply(skv_shard *shard, const skv_record *record, skv_error *err)
{
    return skv_record_deletes(record) ? apply_delete(shard, record, err) : apply_put(shard, record, err);
}

skv_code skv_shard_apply_commit(skv_shard *shard, uint64_t applied_seqno, skv_error *err)
{
    uint8_t stored[SKV_SHARD_META_BYTES];
    MDB_val key = {sizeof meta_key, (void *)(uintptr_t)meta_key}, data = {sizeof stored, stored};
    int rc;
    shard->pending.applied_seqno = applied_seqno;
    encode_meta(shard, &shard->pending, stored);
    rc = shard->lmdb->cursor_put(shard->cursor, &key, &data, 0);
    if (rc != 0) {
        skv_shard_apply_abort(shard);
        return fail(shard, rc, "write the shard's own record", err);
    }
    shard->lmdb->cursor_close(shard->cursor);
    rc = shard->lmdb->txn_commit(shard->writing);
    shard->writing = NULL;
    shard->cursor = NULL;
    if (rc != 0)
        return fail(shard, rc, "commit", err);
    shard->meta = shard->pending;
    publish(shard);
    return SKV_OK;
}

void skv_shard_apply_abort(skv_shard *shard)
{
    if (shard->cursor)
        shard->lmdb->cursor_close(shard->cursor);
    if (shard->writing)
        shard->lmdb->txn_abort(shard->writing);
    shard->cursor = NULL;
    shard->writing = NULL;
}

skv_code skv_shard_grow(skv_shard *shard, skv_error *err)
{
    MDB_envinfo info;
    uint64_t end = skv_now_ns() + GROW_WAIT_NS;
    int rc = shard->lmdb->env_info(shard->env, &info);
    bool alone;
    skv_lock(&shard->lock);
    shard->growing = true;
    while (shard->open_txns && skv_now_ns() < end) {
        unsigned seen = skv_event_read(&shard->quiet);
        skv_unlock(&shard->lock);
        skv_event_wait(&shard->quiet, seen, 10 * SKV_NS_PER_MS);
        skv_lock(&shard->lock);
    }
    alone = !shard->open_txns;
    while (alone && shard->pooled)
        shard->lmdb->txn_abort(shard->pool[--shard->pooled]);
    if (alone && rc == 0)
        rc = shard->lmdb->env_set_mapsize(shard->env, 2 * info.me_mapsize);
    shard->growing = false;
    skv_unlock(&shard->lock);
    skv_event_notify(&shard->quiet);
    if (!alone)
        return skv_fail(err, SKV_BUSY, "the map of %s cannot grow while a snapshot or scan is open", shard->name);
    return rc == 0 ? SKV_OK : fail(shard, rc, "grow the map", err);
}

skv_code skv_shard_reserve(skv_shard *shard, uint64_t bytes, skv_error *err)
{
    MDB_envinfo info;
    int rc = shard->lmdb->env_info(shard->env, &info);
    if (rc != 0)
        return fail(shard, rc, "read the size", err);
    return skv_os_reserve(shard->fd, shard->name, (info.me_last_pgno + 1) * SKV_PAGE_BYTES + bytes, err);
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

uint64_t skv_shard_applied(const skv_shard *shard)
{
    return atomic_load(&shard->applied_seqno);
}

void skv_shard_measure(skv_shard *shard, uint64_t *records, uint64_t *file_bytes, uint64_t *leaf_pages)
{
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    skv_shard_txn *txn;
    (void)shard->lmdb->env_info(shard->env, &info);
    if (skv_shard_read_begin(shard, &txn, NULL) == SKV_OK) {
        (void)shard->lmdb->stat((MDB_txn *)txn, shard->dbi, &stat);
        skv_shard_read_end(shard, txn);
    }
    *records = atomic_load(&shard->records);
    *file_bytes = (info.me_last_pgno + 1) * SKV_PAGE_BYTES;
    *leaf_pages = stat.ms_leaf_pages;
}

const char *skv_shard_name(const skv_shard *shard)
{
    return shard->name;
}
