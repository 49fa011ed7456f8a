/* L2 part. A shard over LMDB. */
#include "shard_state.h"

#include <errno.h>
#include <stdio.h>

#include "hash.h"
#include "memory.h"
#include "os.h"

#define READERS_MAX (SKV_SHARD_READERS_LONG + 1024)
#define GROW_WAIT_NS SKV_NS_PER_S
#define GATE_NS (16 * SKV_NS_PER_MS)
#define DATA_DBI 1 /* the main database: lmdb.h gives it this handle */
#define FREE_LISTS 0 /* handle of the pages that commits have freed: txn id to a count and so many page numbers */

const uint8_t skv_shard_meta_key[SKV_SHARD_META_KEY_BYTES]; /* zeros: longer than any key of a user */

skv_code skv_shard_fail(skv_shard *shard, int rc, const char *doing, skv_error *err)
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

void skv_shard_encode_meta(const skv_shard *shard, const skv_shard_meta *meta, uint8_t out[SKV_SHARD_META_BYTES])
{
    memcpy(out + SKV_SHARD_META_STORE_ID, shard->store_id, SKV_STORE_ID_BYTES);
    skv_store32(out + SKV_SHARD_META_NUMBER, shard->number);
    skv_store32(out + SKV_SHARD_META_VERSION, SKV_FORMAT_VERSION);
    skv_store64(out + SKV_SHARD_META_APPLIED_SEQNO, meta->applied_seqno);
    skv_store64(out + SKV_SHARD_META_DIGEST, meta->all.digest);
    skv_store64(out + SKV_SHARD_META_COUNT, meta->all.count);
    skv_store64(out + SKV_SHARD_META_RESERVED_DIGEST, meta->reserved.digest);
    skv_store64(out + SKV_SHARD_META_RESERVED_COUNT, meta->reserved.count);
    skv_store64(out + SKV_SHARD_META_EXPIRING_COUNT, meta->expiring);
    skv_store64(out + SKV_SHARD_META_NEWEST_SEQNO, meta->newest_seqno);
    skv_store64(out + SKV_SHARD_META_CHECKSUM,
                skv_hash64(out + SKV_SHARD_META_STORE_ID, SKV_SHARD_META_BYTES - SKV_SHARD_META_STORE_ID, 0));
}

static skv_code decode_meta(const skv_shard *shard, skv_slice stored, skv_shard_meta *out, skv_error *err)
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
    out->all = (skv_shard_sum){skv_load64(at + SKV_SHARD_META_DIGEST), skv_load64(at + SKV_SHARD_META_COUNT)};
    out->reserved = (skv_shard_sum){skv_load64(at + SKV_SHARD_META_RESERVED_DIGEST),
                                    skv_load64(at + SKV_SHARD_META_RESERVED_COUNT)};
    out->expiring = skv_load64(at + SKV_SHARD_META_EXPIRING_COUNT);
    out->newest_seqno = skv_load64(at + SKV_SHARD_META_NEWEST_SEQNO);
    return SKV_OK;
}

skv_code skv_shard_read_meta(skv_shard *shard, MDB_txn *txn, skv_shard_meta *out, skv_error *err)
{
    MDB_val key = {sizeof skv_shard_meta_key, (void *)(uintptr_t)skv_shard_meta_key}, stored;
    MDB_stat stat;
    skv_code code;
    int rc = shard->lmdb->get(txn, shard->dbi, &key, &stored);
    if (rc == MDB_NOTFOUND)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard's own record is missing");
    if (rc != 0)
        return skv_shard_fail(shard, rc, "read the shard's own record", err);
    code = decode_meta(shard, skv_slice_of(&stored), out, err);
    if (code != SKV_OK)
        return code;
    rc = shard->lmdb->stat(txn, shard->dbi, &stat);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "count", err);
    if (stat.ms_entries != out->all.count + 1)
        return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the shard holds %llu records, its own record says %llu",
                           (unsigned long long)stat.ms_entries - 1, (unsigned long long)out->all.count);
    return SKV_OK;
}

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

/* LMDB maps as much as the file's meta page asks for. When that much cannot be had, but what we asked for can, the meta
 * page is to blame. */
static skv_code fail_to_open(skv_shard *shard, const skv_shard_place *place, int rc, skv_error *err)
{
    uint8_t *room = rc == ENOMEM ? skv_os_map_memory((size_t)place->map_bytes, 0) : NULL;
    if (!room)
        return skv_shard_fail(shard, rc, "open the environment", err);
    skv_os_unmap(room, (size_t)place->map_bytes);
    return skv_fail_at(err, SKV_CORRUPT, shard->name, 0, 0, "the environment asks for an impossible map size");
}

static skv_code open_env(skv_shard *shard, const skv_shard_place *place, skv_error *err)
{
    MDB_envinfo info;
    unsigned flags = MDB_NOTLS | (place->still ? MDB_RDONLY | MDB_NOLOCK : 0) | (place->guest ? MDB_RDONLY : 0);
    int dead, rc = shard->lmdb->env_create(&shard->env);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "make an environment", err);
    if (!place->guest) /* which has the map that the file asks for: one that is just large enough is outgrown by the next flush */
        rc = shard->lmdb->env_set_mapsize(shard->env, (size_t)place->map_bytes);
    if (rc == 0)
        rc = shard->lmdb->env_set_maxreaders(shard->env, READERS_MAX);
    if (rc == 0)
        rc = shard->lmdb->env_open(shard->env, place->path, flags, 0600);
    if (rc != 0)
        return fail_to_open(shard, place, rc, err);
    if (shard->lmdb->env_get_fd(shard->env, &shard->fd) == 0)
        skv_os_close_on_exec(shard->fd);
    if (place->still || place->guest)
        return SKV_OK;
    (void)shard->lmdb->reader_check(shard->env, &dead);
    rc = shard->lmdb->env_info(shard->env, &info);
    /* Nearly full already: enlarge while nobody reads. */
    if (rc == 0 && (info.me_last_pgno + 1) * SKV_PAGE_BYTES > info.me_mapsize / 2)
        rc = shard->lmdb->env_set_mapsize(shard->env, 4 * info.me_mapsize);
    return rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "size the map", err);
}

static skv_code open_data(skv_shard *shard, skv_error *err)
{
    MDB_txn *txn;
    skv_code code;
    int rc = skv_shard_begin(shard, &txn);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "begin reading", err);
    shard->newest_txn_id = shard->lmdb->txn_id(txn);
    rc = shard->lmdb->dbi_open(txn, NULL, 0, &shard->dbi);
    code = rc == 0 ? skv_shard_read_meta(shard, txn, &shard->meta, err) : skv_shard_fail(shard, rc, "open the database", err);
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

void skv_shard_publish(skv_shard *shard)
{
    atomic_store(&shard->applied_seqno, shard->meta.applied_seqno);
    atomic_store(&shard->records, shard->meta.all.count);
    atomic_store(&shard->public_records, shard->meta.all.count - shard->meta.reserved.count);
    atomic_store(&shard->expiring, shard->meta.expiring);
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
    shard->gate_ns = GATE_NS;
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
    skv_shard_publish(shard);
    *out = shard;
    return SKV_OK;
}

void skv_shard_free(skv_shard *shard)
{
    if (!shard)
        return;
    skv_shard_apply_abort(shard);
    for (uint32_t i = 0; i < shard->pooled; i++)
        skv_shard_txn_free(shard, shard->pool[i]);
    if (shard->env)
        shard->lmdb->env_close(shard->env);
    skv_mutex_free(&shard->lock);
    skv_release(shard);
}

/* -- space ----------------------------------------------------------------------------------------------------------- */

/* Until nobody is counted, or the time is over. Under the lock. */
static bool wait_for_none(skv_shard *shard, const uint32_t *count, uint64_t end_ns)
{
    while (*count && skv_now_ns() < end_ns) {
        unsigned seen = skv_event_read(&shard->quiet);
        skv_unlock(&shard->lock);
        skv_event_wait(&shard->quiet, seen, 10 * SKV_NS_PER_MS);
        skv_lock(&shard->lock);
    }
    return !*count;
}

/* With nobody let in. Who does not end by then is waited for beside the others, before the next try; for those that take turns
 * the gate stays closed longer from try to try. Under the lock, with the gate closed when nobody is left. */
static bool close_gate(skv_shard *shard)
{
    shard->growing = true;
    if (wait_for_none(shard, &shard->open_txns, skv_now_ns() + shard->gate_ns))
        return true;
    shard->growing = false;
    shard->tries++;
    shard->stayed = shard->open_txns;
    shard->gate_ns = 2 * shard->gate_ns < GROW_WAIT_NS ? 2 * shard->gate_ns : GROW_WAIT_NS;
    skv_event_notify(&shard->quiet);
    return false;
}

/* LMDB lets go of a map before it makes a larger one, and reads where it was when it gets none: so as much as comes to it is
 * mapped beside it first, and let go of. */
static skv_code double_map(skv_shard *shard, size_t bytes, skv_error *err)
{
    const uint8_t *more;
    skv_code code = skv_os_map_file(shard->fd, shard->name, bytes, &more, err);
    int rc;
    if (code != SKV_OK)
        return code;
    skv_os_unmap(more, bytes);
    rc = shard->lmdb->env_set_mapsize(shard->env, 2 * bytes);
    return rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "grow the map", err);
}

skv_code skv_shard_grow(skv_shard *shard, skv_error *err)
{
    MDB_envinfo info;
    uint64_t end = skv_now_ns() + GROW_WAIT_NS;
    int rc = shard->lmdb->env_info(shard->env, &info);
    skv_code code = rc == 0 ? SKV_OK : skv_shard_fail(shard, rc, "read the size", err);
    bool alone = false;
    skv_lock(&shard->lock);
    while (!alone && wait_for_none(shard, &shard->stayed, end) && skv_now_ns() < end)
        alone = close_gate(shard);
    while (alone && shard->pooled)
        skv_shard_txn_free(shard, shard->pool[--shard->pooled]);
    if (alone && code == SKV_OK)
        code = double_map(shard, info.me_mapsize, err);
    if (alone)
        shard->gate_ns = GATE_NS;
    shard->growing = false;
    skv_unlock(&shard->lock);
    skv_event_notify(&shard->quiet);
    if (!alone)
        return skv_fail(err, SKV_BUSY, "the map of %s cannot grow while a snapshot or scan is open", shard->name);
    return code;
}

void skv_shard_forget_guests(skv_shard *shard)
{
    int dead;
    (void)shard->lmdb->reader_check(shard->env, &dead);
}

skv_code skv_shard_sync(skv_shard *shard, skv_error *err)
{
    return skv_os_sync(shard->fd, shard->name, err);
}

/* Pages that the next write transaction finds free, as LMDB lists them: those of every commit but the newest. */
static skv_code count_free(skv_shard *shard, MDB_txn *txn, uint64_t *pages, skv_error *err)
{
    MDB_cursor *cursor;
    MDB_val id, list;
    int rc = shard->lmdb->cursor_open(txn, FREE_LISTS, &cursor);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "read the lists of free pages", err);
    while ((rc = shard->lmdb->cursor_get(cursor, &id, &list, MDB_NEXT)) == 0)
        if (skv_load64(id.mv_data) < shard->lmdb->txn_id(txn))
            *pages += skv_load64(list.mv_data);
    shard->lmdb->cursor_close(cursor);
    return rc == MDB_NOTFOUND ? SKV_OK : skv_shard_fail(shard, rc, "read the lists of free pages", err);
}

skv_code skv_shard_reserve(skv_shard *shard, uint64_t pages, skv_error *err)
{
    skv_shard_txn *txn;
    MDB_envinfo info;
    uint64_t free = 0;
    skv_code code = skv_shard_read_begin(shard, &txn, err);
    int rc;
    if (code != SKV_OK)
        return code;
    code = count_free(shard, txn->inner, &free, err);
    rc = shard->lmdb->env_info(shard->env, &info);
    skv_shard_read_end(shard, txn);
    if (rc != 0)
        return skv_shard_fail(shard, rc, "read the size", err);
    if (code != SKV_OK || pages <= free)
        return code;
    return skv_os_reserve(shard->fd, shard->name, (info.me_last_pgno + 1 + pages - free) * SKV_PAGE_BYTES, err);
}

/* -- looking -------------------------------------------------------------------------------------------------------- */

uint64_t skv_shard_applied(const skv_shard *shard)
{
    return atomic_load(&shard->applied_seqno);
}

uint64_t skv_shard_newest(const skv_shard *shard)
{
    uint64_t applied = skv_shard_applied(shard);
    return shard->meta.newest_seqno > applied ? shard->meta.newest_seqno : applied;
}

uint64_t skv_shard_public_records(const skv_shard *shard)
{
    return atomic_load(&shard->public_records);
}

uint64_t skv_shard_expiring(const skv_shard *shard)
{
    return atomic_load(&shard->expiring);
}

skv_code skv_shard_measure(skv_shard *shard, skv_shard_size *out, skv_error *err)
{
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    skv_shard_txn *txn;
    skv_code code = skv_shard_read_begin(shard, &txn, err);
    if (code == SKV_OK) { /* while it is open, the map stays where it is */
        (void)shard->lmdb->env_info(shard->env, &info);
        (void)shard->lmdb->stat(txn->inner, shard->dbi, &stat);
        skv_shard_read_end(shard, txn);
    }
    *out = (skv_shard_size){atomic_load(&shard->records), (info.me_last_pgno + 1) * SKV_PAGE_BYTES, stat.ms_leaf_pages,
                            stat.ms_overflow_pages};
    return code;
}

uint32_t skv_shard_number(const skv_shard *shard)
{
    return shard->number;
}

const char *skv_shard_name(const skv_shard *shard)
{
    return shard->name;
}
