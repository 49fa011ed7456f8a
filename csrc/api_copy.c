/* L4 house. The contract's copying half: another directory becomes a store of its own, with what this one holds. */
#include "copy_path.h"
#include "flush_path.h"
#include "memory.h"
#include "still.h"
#include "store.h"

struct skv_copy {
    skv_store *store; /* borrowed; NULL: the original is not open */
    skv_still *still; /* owned: then it is here */
    skv_log *log;     /* of the original */
    skv_log_sizes sizes;
    long process;     /* in a forked child there is nothing to tidy */
    char *path;       /* owned */
    int dir, lock_fd;
    bool made, pinned, finished;
    uint32_t pin, next_shard;
    skv_slice lineage; /* borrowed while the copy is opened */
    uint64_t first_seqno;
    uint64_t passed_bytes, shard_bytes; /* of the original: shards that are copied, and all of them */
    skv_manifest manifest;              /* of the copy */
    skv_copy_target to;
    skv_copy_stream stream;
};

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

/* A directory of its own, held, with nothing in it but the word that it is no store. */
static skv_code make_home(skv_copy *copy, skv_error *err)
{
    skv_code code;
    copy->made = !skv_os_exists(SKV_OS_HERE, copy->path);
    code = skv_os_make_dir(SKV_OS_HERE, copy->path, err);
    if (code == SKV_OK)
        code = skv_os_open_dir(copy->path, &copy->dir, err);
    if (code != SKV_OK)
        return code;
    if (skv_manifest_exists(copy->dir))
        return skv_fail(err, SKV_INVALID, "%s holds a store already; a copy needs a directory of its own", copy->path);
    if (!skv_os_exists(copy->dir, SKV_COPY_NAME))
        code = skv_home_refuse(copy->dir, copy->path, err);
    if (code == SKV_OK)
        code = skv_home_lock(copy->dir, copy->path, &copy->lock_fd, err);
    if (code == SKV_OK)
        code = skv_home_found(copy->dir, copy->path, SKV_COPY_NAME, copy->manifest.shards, err);
    return code;
}

static skv_code set_out(skv_copy *copy, const skv_manifest *from, skv_error *err)
{
    skv_code code;
    copy->manifest = *from;
    copy->manifest.generation = 1;
    copy->manifest.lineage_bytes = (uint32_t)copy->lineage.bytes;
    if (copy->lineage.bytes)
        memcpy(copy->manifest.lineage, copy->lineage.data, copy->lineage.bytes);
    code = skv_os_random(copy->manifest.store_id, SKV_STORE_ID_BYTES, err);
    if (code == SKV_OK)
        code = make_home(copy, err);
    copy->to.path = copy->path;
    copy->to.dir = copy->dir;
    memcpy(copy->to.from_id, from->store_id, SKV_STORE_ID_BYTES);
    memcpy(copy->to.store_id, copy->manifest.store_id, SKV_STORE_ID_BYTES);
    return code;
}

static skv_copy *make_copy(const char *path, skv_error *err)
{
    skv_copy *copy = skv_alloc(sizeof *copy);
    if (copy)
        copy->path = skv_alloc(strlen(path) + 1);
    if (!copy || !copy->path) {
        skv_release(copy);
        (void)skv_fail(err, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    memcpy(copy->path, path, strlen(path));
    copy->process = skv_os_process_id();
    copy->dir = copy->lock_fd = -1;
    return copy;
}

static skv_code start(skv_copy *copy, skv_store *store, skv_error *err)
{
    skv_manifest from;
    skv_code code;
    skv_lock(&store->settings_lock);
    from = store->manifest;
    skv_unlock(&store->settings_lock);
    code = set_out(copy, &from, err);
    if (code == SKV_OK)
        code = skv_flush_pin(&store->parts, &copy->pin, &copy->first_seqno, err);
    copy->pinned = code == SKV_OK;
    copy->log = store->parts.log;
    copy->to.lmdb = store->lmdb;
    copy->to.map_bytes = store->in_force.map_bytes;
    copy->sizes = (skv_log_sizes){store->in_force.segment_bytes_min, store->in_force.segment_bytes_max};
    for (uint32_t i = 0; i < copy->manifest.shards; i++) {
        uint64_t records, bytes, leaf_pages;
        skv_shard_measure(store->parts.lanes[i].shard, &records, &bytes, &leaf_pages);
        copy->shard_bytes += bytes;
    }
    return code;
}

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
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, applied, "a shard has applied seqno %llu, but the log ends at %llu",
                           (unsigned long long)applied, (unsigned long long)range.cut);
    return SKV_OK;
}

static skv_code start_still(skv_copy *copy, uint64_t until, skv_error *err)
{
    skv_still *still = copy->still;
    uint64_t applied = 0, sum = 0, records, bytes, leaf_pages;
    skv_code code = skv_still_read_log(still, err);
    copy->log = still->log;
    copy->sizes = (skv_log_sizes){SKV_SEGMENT_BYTES_MIN, SKV_SEGMENT_BYTES_MAX};
    copy->to.lmdb = still->lmdb;
    copy->to.map_bytes = SKV_MAP_BYTES_DEFAULT;
    for (uint32_t i = 0; i < still->manifest.shards && code == SKV_OK; i++) {
        skv_shard *shard;
        code = skv_still_open_shard(still, i, &shard, err);
        if (code != SKV_OK)
            return code;
        skv_shard_measure(shard, &records, &bytes, &leaf_pages);
        copy->shard_bytes += bytes;
        sum += skv_shard_applied(shard);
        applied = skv_shard_applied(shard) > applied ? skv_shard_applied(shard) : applied;
        skv_shard_free(shard);
    }
    if (code == SKV_OK && sum < still->tail.applied_sum)
        code = skv_fail_at(err, SKV_CORRUPT, "shards", 0, 0, "a shard is older than the log remembers: it was replaced");
    if (code == SKV_OK)
        code = choose_cut(copy, until, applied, err);
    return code == SKV_OK ? set_out(copy, &still->manifest, err) : code;
}

skv_copy *skv_restore_open(const skv_lmdb *lmdb, const char *from, const char *path, uint64_t until, skv_io *io)
{
    skv_copy *copy = make_copy(path, &io->error);
    skv_code code;
    if (!copy)
        return NULL;
    code = skv_still_open(lmdb, from, &copy->still, &io->error);
    if (code == SKV_OK)
        code = start_still(copy, until, &io->error);
    if (code == SKV_OK)
        return copy;
    skv_copy_free(copy);
    return NULL;
}

skv_copy *skv_copy_open(skv_store *store, const char *path, const char *lineage, size_t lineage_bytes, skv_io *io)
{
    skv_copy *copy;
    skv_code code = SKV_OK;
    if (lineage_bytes > SKV_LINEAGE_BYTES_MAX)
        code = skv_fail(&io->error, SKV_INVALID, "the lineage has %zu bytes; at most %d", lineage_bytes, SKV_LINEAGE_BYTES_MAX);
    if (code == SKV_OK)
        code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return NULL;
    copy = make_copy(path, &io->error);
    if (copy) {
        copy->lineage = (skv_slice){(const uint8_t *)lineage, lineage_bytes};
        copy->store = store;
        code = start(copy, store, &io->error);
    }
    skv_store_leave(store);
    if (code != SKV_OK) {
        skv_copy_free(copy);
        return NULL;
    }
    return copy;
}

/* What was not finished is worth nothing: take it away. What cannot be taken away still says that it is no store. */
static void tidy(skv_copy *copy)
{
    if (copy->finished || copy->lock_fd < 0 || copy->process != skv_os_process_id() ||
        !skv_os_exists(copy->dir, SKV_COPY_NAME))
        return;
    if (skv_manifest_remove(copy->dir, NULL) == SKV_OK && skv_home_clear(copy->dir, NULL) == SKV_OK)
        (void)skv_os_remove(copy->dir, SKV_COPY_NAME, NULL);
    if (copy->made && !skv_os_exists(copy->dir, SKV_COPY_NAME)) {
        (void)skv_os_remove(copy->dir, SKV_LOCK_NAME, NULL);
        (void)skv_os_remove_dir(SKV_OS_HERE, copy->path, NULL);
    }
}

void skv_copy_free(skv_copy *copy)
{
    skv_error ignored;
    if (!copy)
        return;
    if (copy->pinned && skv_store_enter(copy->store, &ignored) == SKV_OK) {
        skv_flush_unpin(&copy->store->parts, copy->pin);
        skv_store_leave(copy->store);
    }
    skv_log_cursor_free(copy->stream.cursor);
    skv_log_copy_free(copy->stream.log);
    tidy(copy);
    skv_still_free(copy->still);
    skv_os_close(copy->lock_fd);
    skv_os_close(copy->dir);
    skv_release(copy->path);
    skv_release(copy);
}

/* -- pieces --------------------------------------------------------------------------------------------------------- */

static skv_code copy_next_shard(skv_copy *copy, skv_error *err)
{
    uint64_t records, bytes, leaf_pages;
    skv_shard *from;
    skv_code code = SKV_OK;
    if (copy->store)
        from = copy->store->parts.lanes[copy->next_shard].shard;
    else
        code = skv_still_open_shard(copy->still, copy->next_shard, &from, err);
    if (code != SKV_OK)
        return code;
    code = skv_copy_shard(&copy->to, from, err);
    skv_shard_measure(from, &records, &bytes, &leaf_pages);
    if (!copy->store)
        skv_shard_free(from);
    copy->passed_bytes += bytes;
    copy->next_shard++;
    return code == SKV_OK ? SKV_AGAIN : code;
}

/* All shards are there. What any of them holds was durable before: the log up to what is durable now explains it. */
static skv_code begin_log(skv_copy *copy, skv_error *err)
{
    skv_clock *clock = copy->store ? &copy->store->parts.clock : &copy->still->clock;
    skv_log_copy_terms terms = {
        .dir = copy->dir, .sizes = copy->sizes, .first_seqno = copy->first_seqno, .clock_ms = skv_clock_now(clock)};
    skv_code code;
    memcpy(terms.store_id, copy->manifest.store_id, SKV_STORE_ID_BYTES);
    if (copy->store)
        copy->stream.upto = skv_log_durable(copy->log);
    code = skv_log_copy_create(&terms, &copy->stream.log, err);
    if (code == SKV_OK)
        code = skv_log_cursor_create(copy->log, copy->first_seqno, &copy->stream.cursor, err);
    return code == SKV_OK ? SKV_AGAIN : code;
}

/* The manifest comes last: a copy exists once it is there. */
static skv_code finish(skv_copy *copy, skv_error *err)
{
    skv_code code = skv_log_copy_finish(copy->stream.log, copy->to.applied_sum, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, "shards", err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, "..", err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, ".", err);
    if (code == SKV_OK)
        code = skv_manifest_save(copy->dir, &copy->manifest, err);
    if (code != SKV_OK)
        return code;
    copy->finished = true;
    code = skv_os_remove(copy->dir, SKV_COPY_NAME, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(copy->dir, ".", err);
    skv_os_close(copy->lock_fd); /* it may be opened now, while this still keeps the original's log for it */
    copy->lock_fd = -1;
    return code;
}

static skv_code copy_next(skv_copy *copy, skv_error *err)
{
    skv_code code;
    if (copy->finished)
        return SKV_OK;
    if (copy->next_shard < copy->manifest.shards)
        return copy_next_shard(copy, err);
    if (!copy->stream.log)
        return begin_log(copy, err);
    code = skv_copy_log(&copy->stream, err);
    return code == SKV_OK ? finish(copy, err) : code;
}

skv_code skv_copy_next(skv_copy *copy, skv_copy_progress *out, skv_io *io)
{
    skv_code code = copy->store ? skv_store_enter(copy->store, &io->error) : SKV_OK;
    if (code != SKV_OK)
        return code;
    code = copy_next(copy, &io->error);
    *out = (skv_copy_progress){.seqno = copy->stream.upto,
                               .bytes = copy->to.bytes + copy->stream.bytes,
                               .done = copy->passed_bytes + copy->stream.bytes,
                               .total = copy->shard_bytes};
    if (copy->store)
        out->total += atomic_load(&copy->store->parts.pressure.unflushed_bytes);
    if (out->done > out->total || code == SKV_OK)
        out->total = out->done;
    if (copy->store)
        skv_store_leave(copy->store);
    return code;
}
