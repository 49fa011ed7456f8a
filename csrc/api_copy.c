/* L4 house. The contract's copying half: another directory becomes a store of its own, with what this one holds. */
#include "copying.h"

#define PIECE_BYTES ((uint64_t)8 << 20)

/* -- an open original ----------------------------------------------------------------------------------------------- */

static skv_manifest manifest_of(skv_store *store)
{
    skv_manifest manifest;
    skv_lock(&store->settings_lock);
    manifest = store->manifest;
    skv_unlock(&store->settings_lock);
    return manifest;
}

/* The store is entered. */
static skv_manifest take_original(skv_copy *copy, skv_store *store)
{
    copy->store = store;
    copy->log = store->parts.log;
    copy->to.lmdb = store->lmdb;
    copy->to.map_bytes = store->in_force.map_bytes;
    copy->sizes = (skv_log_sizes){store->in_force.segment_bytes_min, store->in_force.segment_bytes_max};
    return manifest_of(store);
}

static skv_code measure_shards(skv_copy *copy, skv_error *err)
{
    skv_store *store = copy->store;
    skv_code code = skv_store_enter(store, err);
    if (code != SKV_OK)
        return code;
    for (uint32_t i = 0; i < copy->manifest.shards; i++) {
        skv_shard_size size;
        (void)skv_shard_measure(store->parts.lanes[i].shard, &size, NULL); /* for who looks on */
        copy->shard_bytes += copy->kept[i] ? 0 : size.file_bytes;
    }
    skv_store_leave(store);
    return SKV_OK;
}

static skv_code start(skv_copy *copy, skv_store *store, skv_error *err)
{
    skv_code code = skv_store_enter(store, err);
    skv_manifest from;
    if (code != SKV_OK)
        return code;
    from = take_original(copy, store);
    skv_store_leave(store);
    if (copy->backup && skv_home_dweller(copy->path) == SKV_A_COPY)
        return skv_increment_begin(copy, &from, err);
    code = skv_copying_set_out(copy, &from, err);
    if (code == SKV_OK)
        code = skv_copying_pin(copy, err);
    return code == SKV_OK ? measure_shards(copy, err) : code;
}

/* The copy, NULL when there is none, is freed on failure. */
static skv_copy *open_copy(skv_store *store, skv_copy *copy, skv_io *io)
{
    if (!copy)
        return NULL;
    if (start(copy, store, &io->error) == SKV_OK)
        return copy;
    skv_copying_free(copy);
    return NULL;
}

skv_copy *skv_copy_open(skv_store *store, const char *path, const char *lineage, size_t lineage_bytes, skv_io *io)
{
    skv_copy *copy;
    if (lineage_bytes > SKV_LINEAGE_BYTES_MAX) {
        (void)skv_fail(&io->error, SKV_INVALID, "the lineage has %zu bytes; at most %d", lineage_bytes, SKV_LINEAGE_BYTES_MAX);
        return NULL;
    }
    copy = skv_copying_make(path, &io->error);
    if (copy)
        copy->lineage = (skv_slice){(const uint8_t *)lineage, lineage_bytes};
    return open_copy(store, copy, io);
}

skv_copy *skv_backup_open(skv_store *store, const char *path, skv_io *io)
{
    skv_copy *copy = skv_copying_make(path, &io->error);
    if (copy)
        copy->backup = true;
    return open_copy(store, copy, io);
}

/* -- one that nobody has open --------------------------------------------------------------------------------------- */

/* What the shards hold cannot be taken back, and what the log does not hold cannot be made. */
static skv_code choose_cut(skv_copy *copy, uint64_t until, uint64_t applied, skv_error *err)
{
    const skv_log_found_tail *tail = &copy->still->tail;
    skv_copy_range range = {.first_seqno = tail->first_seqno, .until = until, .applied = applied};
    skv_code code = skv_copy_find_cut(copy->log, &range, err);
    if (code != SKV_OK)
        return code;
    copy->first_seqno = tail->first_seqno;
    copy->stream.upto = range.cut;
    if (until != UINT64_MAX && (until > tail->last_seqno || range.cut < applied))
        return skv_fail(err, SKV_INVALID, "until is %llu: what is in %s can be had as it was after seqno %llu to %llu",
                        (unsigned long long)until, copy->still->path, (unsigned long long)range.least,
                        (unsigned long long)tail->last_seqno);
    if (range.cut < applied)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, applied, "a shard holds seqno %llu, but the log ends at %llu",
                           (unsigned long long)applied, (unsigned long long)range.cut);
    return SKV_OK;
}

/* A copy says what its shards may hold beyond what they have applied: they were copied while the store was flushed. */
static skv_code read_least(const skv_still *still, uint64_t *least, skv_error *err)
{
    skv_origin origin;
    skv_code code = skv_origin_read(still->dir, SKV_ORIGIN_NAME, &origin, err);
    if (code == SKV_OK && memcmp(origin.store_id, still->manifest.store_id, SKV_STORE_ID_BYTES) == 0)
        *least = origin.least_seqno;
    return code == SKV_NOT_FOUND ? SKV_OK : code;
}

static skv_code start_still(skv_copy *copy, uint64_t until, skv_error *err)
{
    skv_still *still = copy->still;
    skv_still_shards shards;
    uint64_t least = 0;
    skv_code code = skv_still_read_log(still, err);
    copy->log = still->log;
    copy->sizes = (skv_log_sizes){SKV_SEGMENT_BYTES_MIN, SKV_SEGMENT_BYTES_MAX};
    copy->to.lmdb = still->lmdb;
    copy->to.map_bytes = SKV_MAP_BYTES_DEFAULT;
    if (code == SKV_OK && copy->backup && skv_home_dweller(copy->path) == SKV_A_COPY)
        return skv_increment_begin(copy, &still->manifest, err);
    if (code == SKV_OK)
        code = read_least(still, &least, err);
    if (code == SKV_OK)
        code = skv_still_measure(still, &shards, err);
    if (code == SKV_OK)
        code = skv_still_fit(still, &shards, err);
    if (code != SKV_OK)
        return code;
    copy->shard_bytes = shards.file_bytes;
    copy->least_seqno = shards.newest_seqno > least ? shards.newest_seqno : least;
    code = choose_cut(copy, until, copy->least_seqno, err);
    if (code == SKV_OK && copy->backup)
        skv_copying_have(copy, copy->stream.upto);
    return code == SKV_OK ? skv_copying_set_out(copy, &still->manifest, err) : code;
}

static skv_copy *open_still(const skv_lmdb *lmdb, const char *from, skv_copy *copy, uint64_t until, skv_io *io)
{
    skv_code code;
    if (!copy)
        return NULL;
    code = skv_still_open(lmdb, from, &copy->still, &io->error);
    if (code == SKV_OK)
        code = start_still(copy, until, &io->error);
    if (code == SKV_OK)
        return copy;
    skv_copying_free(copy);
    return NULL;
}

skv_copy *skv_restore_open(const skv_lmdb *lmdb, const char *from, const char *path, uint64_t until, skv_io *io)
{
    return open_still(lmdb, from, skv_copying_make(path, &io->error), until, io);
}

skv_copy *skv_backup_open_still(const skv_lmdb *lmdb, const char *from, const char *path, skv_io *io)
{
    skv_copy *copy = skv_copying_make(path, &io->error);
    if (copy)
        copy->backup = true;
    return open_still(lmdb, from, copy, UINT64_MAX, io);
}

/* -- going on ------------------------------------------------------------------------------------------------------- */

/* Of an increment nobody knows the bytes before they are read: as many for each record as there were so far. */
static void measure_increment(const skv_copy *copy, skv_copy_progress *out)
{
    uint64_t all = copy->stream.upto + 1 - copy->first_seqno;
    uint64_t taken = copy->stream.cursor ? skv_log_cursor_next(copy->stream.cursor) - copy->first_seqno : 0;
    out->since = copy->first_seqno - 1;
    out->increment = 1;
    if (taken && taken < all)
        out->total = (uint64_t)((double)out->done / (double)taken * (double)all);
}

static void measure_full(skv_copy *copy, skv_copy_progress *out)
{
    uint64_t under_way = copy->shard.all.bytes;
    if (copy->shard.from) { /* its file may be packed less than its copy */
        skv_shard_size size;
        (void)skv_shard_measure(copy->shard.from, &size, NULL);
        out->done += under_way < size.file_bytes ? under_way : size.file_bytes;
    }
    out->done += copy->passed_bytes;
    out->total = copy->shard_bytes;
    out->kept_shards = copy->kept_shards;
    if (copy->store)
        out->total += atomic_load(&copy->store->parts.pressure.unflushed_bytes);
}

static void measure_progress(skv_copy *copy, skv_copy_progress *out)
{
    if (copy->base) {
        measure_increment(copy, out);
        return;
    }
    if (copy->store && skv_store_enter(copy->store, NULL) != SKV_OK)
        return;
    measure_full(copy, out);
    if (copy->store)
        skv_store_leave(copy->store);
}

skv_code skv_copy_next(skv_copy *copy, uint64_t bytes, skv_copy_progress *out, skv_io *io)
{
    skv_code code = skv_copying_next(copy, bytes ? bytes : PIECE_BYTES, &io->error);
    *out = (skv_copy_progress){
        .seqno = copy->stream.upto, .bytes = copy->to.bytes + copy->stream.bytes, .done = copy->stream.bytes};
    measure_progress(copy, out);
    if (out->done > out->total || code == SKV_OK)
        out->total = out->done;
    return code;
}

void skv_copy_free(skv_copy *copy)
{
    skv_copying_free(copy);
}
