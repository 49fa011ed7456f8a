/* L4 house. The contract's looking half. */
#include "hash.h"
#include "memory.h"
#include "snapshot.h"
#include "store.h"
#include "write_path.h"

static void add_lanes(skv_store *store, skv_stats *out)
{
    uint64_t oldest_ns = UINT64_MAX;
    for (uint32_t i = 0; i < store->parts.lane_count; i++) {
        skv_index_size size = skv_lane_measure(&store->parts.lanes[i]);
        out->unflushed_records += size.keys;
        out->index_bytes += size.heap_bytes;
        if (size.first_seqno && size.first_ns < oldest_ns)
            oldest_ns = size.first_ns;
    }
    if (oldest_ns != UINT64_MAX)
        out->unflushed_age_ns = skv_now_ns() - oldest_ns;
}

skv_code skv_stats_read(skv_store *store, skv_stats *out, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    *out = (skv_stats){0};
    skv_log_stats_read(store->parts.log, out);
    add_lanes(store, out);
    out->unflushed_bytes = atomic_load(&store->parts.pressure.unflushed_bytes);
    out->stall_ns = atomic_load(&store->parts.pressure.stall_ns);
    out->limited_ns = atomic_load(&store->parts.admission.stall_ns);
    out->replayed_records = store->replayed_records;
    out->expired_removed = atomic_load(&store->parts.expired_removed);
    skv_log_lock(store->parts.log);
    out->snapshots = store->parts.snapshot_count;
    skv_log_unlock(store->parts.log);
    skv_store_leave(store);
    return SKV_OK;
}

skv_code skv_shard_stats_read(skv_store *store, uint32_t shard, skv_shard_stats *out, skv_io *io)
{
    skv_lane *lane;
    skv_index_size size;
    skv_shard_size shard_size;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    if (shard >= store->parts.lane_count) {
        skv_store_leave(store);
        return skv_fail(&io->error, SKV_INVALID, "shard %u: the store has %u", shard, store->parts.lane_count);
    }
    lane = &store->parts.lanes[shard];
    size = skv_lane_measure(lane);
    *out = (skv_shard_stats){.unflushed_bytes = size.bytes,
                             .unflushed_records = size.keys,
                             .applied_seqno = skv_shard_applied(lane->shard)};
    (void)skv_shard_measure(lane->shard, &shard_size, NULL);
    out->records = shard_size.records;
    out->file_bytes = shard_size.file_bytes;
    skv_lock(&lane->lock);
    out->flushes = lane->flushes;
    out->flush_ns = lane->flush_ns;
    out->flushed_records = lane->flushed_records;
    skv_unlock(&lane->lock);
    skv_store_leave(store);
    return SKV_OK;
}

int64_t skv_snapshot_stats_read(skv_store *store, skv_snapshot_stats *out, uint32_t capacity, skv_io *io)
{
    uint64_t now;
    uint32_t count = 0;
    const skv_snapshot *oldest = NULL;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    skv_log_lock(store->parts.log);
    now = skv_now_ns(); /* none that is met was taken later */
    for (const skv_snapshot *snapshot = store->parts.snapshots; snapshot; snapshot = snapshot->next)
        oldest = snapshot;
    for (; oldest && count < capacity; oldest = oldest->previous)
        out[count++] = (skv_snapshot_stats){oldest->seqno, now - oldest->created_ns};
    skv_log_unlock(store->parts.log);
    skv_store_leave(store);
    return count;
}

int64_t skv_shard_of(skv_store *store, const char *key, size_t key_bytes, skv_io *io)
{
    int64_t shard;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_write_check(skv_slice_at(key, key_bytes), 0, io);
    shard = code;
    if (code == SKV_OK)
        shard = skv_ring_route(store->parts.ring, skv_key_hash(key, key_bytes));
    skv_store_leave(store);
    return shard;
}

uint32_t skv_shards(const skv_store *store)
{
    return store->manifest.shards;
}

void skv_options_read(skv_store *store, skv_options *out)
{
    *out = store->in_force;
    skv_settings_read(store, &out->settings);
    out->path = store->path;
    out->weights = store->manifest.weights;
    out->shards = store->manifest.shards;
}

uint64_t skv_hash(const char *data, size_t bytes, uint64_t seed)
{
    return skv_hash64(data, bytes, seed);
}

skv_code skv_ring_pick(const uint32_t *weights, uint32_t shards, const uint64_t *hashes, uint32_t count,
                       uint16_t *out, skv_error *err)
{
    skv_ring *ring;
    skv_code code = skv_ring_create(weights, shards, &ring, err);
    if (code != SKV_OK)
        return code;
    for (uint32_t i = 0; i < count; i++)
        out[i] = (uint16_t)skv_ring_route(ring, hashes[i]);
    skv_ring_free(ring);
    return SKV_OK;
}
