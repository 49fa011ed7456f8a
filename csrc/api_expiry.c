/* L4 house. The contract's clock, and the removal of what has expired. */
#include "store.h"
#include "sweep_path.h"

uint64_t skv_clock_ms(skv_store *store)
{
    return skv_clock_now(&store->parts.clock);
}

skv_code skv_clock_set_shift(skv_store *store, int64_t shift_ms, skv_io *io)
{
    if (shift_ms > SKV_TTL_MS_MAX || shift_ms < -SKV_TTL_MS_MAX)
        return skv_fail(&io->error, SKV_INVALID, "a shift of %lld ms; at most %lld", (long long)shift_ms,
                        (long long)SKV_TTL_MS_MAX);
    skv_clock_shift(&store->parts.clock, shift_ms);
    return SKV_OK;
}

static skv_code check_place(const skv_store *store, uint32_t shard, size_t after_bytes, skv_error *err)
{
    if (shard >= store->parts.lane_count)
        return skv_fail(err, SKV_INVALID, "shard %u: the store has %u", shard, store->parts.lane_count);
    if (after_bytes > SKV_KEY_BYTES_MAX)
        return skv_fail(err, SKV_KEY_TOO_LONG, "a place of %zu bytes; at most %d", after_bytes, SKV_KEY_BYTES_MAX);
    return SKV_OK;
}

static skv_code remove_some(skv_store *store, uint32_t shard, skv_slice after, uint64_t *removed, skv_io *io)
{
    skv_lane *lane = &store->parts.lanes[shard];
    skv_sweep_place at = {.key_bytes = after.bytes};
    skv_code code = skv_io_room(io, sizeof at.key);
    if (code != SKV_OK || !skv_shard_expiring(lane->shard))
        return code;
    if (after.bytes)
        memcpy(at.key, after.data, after.bytes);
    code = skv_sweep_shard(&store->parts, lane, &at, io);
    *removed = at.tally.removed;
    skv_io_append(io, at.key, at.key_bytes);
    return code == SKV_NOT_FOUND || (code == SKV_BUSY && *removed) ? SKV_OK : code;
}

int64_t skv_remove_expired(skv_store *store, uint32_t shard, const char *after, size_t after_bytes, skv_io *io)
{
    uint64_t removed = 0;
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    io->bytes = 0;
    code = check_place(store, shard, after_bytes, &io->error);
    if (code == SKV_OK)
        code = remove_some(store, shard, skv_slice_at(after, after_bytes), &removed, io);
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)removed : code;
}
