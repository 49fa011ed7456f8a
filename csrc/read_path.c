/* L3 path. Reading. */
#include "read_path.h"

#include "hash.h"
#include "memory.h"

#define RESOLVE_AT_ONCE 256
#define RESOLVE_ROUNDS 4

static skv_code verify(const skv_record *record, skv_error *err)
{
    if (skv_record_verify(record))
        return SKV_OK;
    return skv_fail_at(err, SKV_CORRUPT, "log", 0, record->seqno, "the record with seqno %llu fails its checksum",
                       (unsigned long long)record->seqno);
}

/* A verified record; absent: what it says is that its key is. */
static skv_code use_record(bool absent, const skv_record *record, skv_read_use use, void *context, skv_error *err)
{
    if (absent)
        return SKV_NOT_FOUND;
    return use ? use(context, record, err) : SKV_OK;
}

/* What a shard says of a key, or that it has nothing, is only as good as the shard: see skv_suspect. */
static skv_code trust(const skv_lane *lane, skv_code found, const skv_record *record, skv_error *err)
{
    bool newest = found == SKV_OK && record->seqno >= lane->suspect_below;
    if (!lane->suspect_below || newest || (found != SKV_OK && found != SKV_NOT_FOUND))
        return found;
    return skv_fail_at(err, SKV_CORRUPT, skv_shard_name(lane->shard), 0, found == SKV_OK ? record->seqno : 0,
                       "records of this shard are lost, see the file QUARANTINE: there may have been something newer of this key");
}

static skv_code read_shard(skv_lane *lane, skv_slice key, skv_read_use use, void *context, skv_version *seen,
                           skv_error *err)
{
    skv_shard_txn *txn;
    skv_record record;
    skv_code code = skv_shard_read_begin(lane->shard, &txn, err);
    if (code != SKV_OK)
        return code;
    code = trust(lane, skv_shard_get(lane->shard, txn, key, &record, err), &record, err);
    if (code == SKV_OK) {
        skv_version_judge(lane, &record, seen);
        code = use_record(!seen->version, &record, use, context, err);
    }
    skv_shard_read_end(lane->shard, txn);
    return code;
}

/* A record of the log: pinned by the caller, under the lane's lock, before this. */
static skv_code read_log(bool absent, const skv_record *record, skv_read_use use, void *context, skv_error *err)
{
    skv_code code = verify(record, err);
    return code == SKV_OK ? use_record(absent, record, use, context, err) : code;
}

skv_code skv_read_latest(skv_parts *parts, skv_slice key, skv_read_use use, void *context, uint64_t *wait_seqno,
                         skv_error *err)
{
    skv_key hashed = skv_key_of(key);
    skv_version seen;
    skv_lane *lane = skv_parts_lane(parts, hashed);
    skv_slots *slots = skv_log_slots(parts->log);
    skv_position position;
    skv_record record;
    skv_code code;
    bool found;
    skv_lock(&lane->lock);
    found = skv_lane_find(lane, hashed, &position, &record);
    if (found)
        skv_slots_pin(slots, position);
    skv_unlock(&lane->lock);
    /* A transaction that begins after the look into the index is at least as new as what the index had let go. */
    if (!found)
        return read_shard(lane, key, use, context, &seen, err);
    seen = skv_version_of(lane, parts->log, &record);
    *wait_seqno = seen.wait_seqno > *wait_seqno ? seen.wait_seqno : *wait_seqno;
    code = read_log(!seen.version, &record, use, context, err);
    skv_slots_unpin(slots, position);
    return code;
}

skv_code skv_read_version(skv_parts *parts, skv_slice key, skv_read_use use, void *context, skv_version *out,
                          skv_error *err)
{
    skv_key hashed = skv_key_of(key);
    skv_lane *lane = skv_parts_lane(parts, hashed);
    skv_slots *slots = skv_log_slots(parts->log);
    skv_position position;
    skv_record record;
    skv_code code;
    bool found;
    skv_lock(&lane->lock);
    found = skv_lane_find(lane, hashed, &position, &record);
    *out = (skv_version){.generation = lane->generation, .below = !found};
    if (found)
        skv_slots_pin(slots, position);
    skv_unlock(&lane->lock);
    if (!found)
        return read_shard(lane, key, use, context, out, err);
    *out = skv_version_of(lane, parts->log, &record);
    code = read_log(!out->version, &record, use, context, err);
    skv_slots_unpin(slots, position);
    return code;
}

skv_code skv_read_snapshot(skv_snapshot *snapshot, skv_slice key, skv_read_use use, void *context, skv_error *err)
{
    skv_key hashed = skv_key_of(key);
    uint32_t number = skv_ring_route(snapshot->parts->ring, hashed.hash);
    skv_lane *lane = &snapshot->parts->lanes[number];
    skv_lane_view *view = &snapshot->views[number];
    skv_record record;
    skv_code code;
    for (int i = 0; i < 2; i++) {
        skv_position position;
        bool found;
        if (!view->generations[i])
            continue;
        skv_lock(&lane->lock);
        found = skv_index_find(view->generations[i], hashed, snapshot->seqno, &position, &record);
        skv_unlock(&lane->lock);
        if (!found)
            continue;
        code = verify(&record, err); /* the snapshot pins the log: the bytes stay */
        return code == SKV_OK ? use_record(skv_snapshot_gone(snapshot, &record), &record, use, context, err) : code;
    }
    code = trust(lane, skv_shard_get(lane->shard, view->txn, key, &record, err), &record, err);
    return code == SKV_OK ? use_record(skv_snapshot_gone(snapshot, &record), &record, use, context, err) : code;
}

/* -- counting ------------------------------------------------------------------------------------------------------- */

/* What lies under the active generation. Once a flush has put part of a sealed generation into the shard, only what was
 * learnt of it before can be counted; what was not is *left. Under the lane's lock. */
static skv_code count_base(skv_lane *lane, skv_lane_below *below, uint64_t most, uint64_t *keys, uint64_t *left,
                           skv_error *err)
{
    skv_code code;
    if (!lane->sealed)
        return skv_shard_count(lane->shard, below->txn, keys, err);
    code = skv_index_resolve(lane->sealed, lane->applying ? 0 : most, (skv_index_below){skv_lane_is_below, below}, left);
    *keys = lane->base_records + (uint64_t)skv_index_delta(lane->sealed);
    return code;
}

/* Keys of one lane, resolving at most `most` entries. Under the lane's lock: the sum is of one moment. */
static skv_code count_lane(skv_lane *lane, skv_shard_txn *txn, uint64_t most, uint64_t *keys, uint64_t *left,
                           skv_error *err)
{
    skv_lane_below below = {.lane = lane, .txn = txn, .err = err};
    uint64_t base_left = 0;
    skv_code code = count_base(lane, &below, most, keys, &base_left, err);
    lane->counted = true;
    below.under = lane->sealed;
    if (code == SKV_OK)
        code = skv_index_resolve(lane->active, most, (skv_index_below){skv_lane_is_below, &below}, left);
    *keys += (uint64_t)skv_index_delta(lane->active);
    *left += base_left;
    return code;
}

typedef struct {
    skv_lane_view *views; /* begun */
    uint64_t keys;
    uint64_t left; /* that are not known to be below or not */
} census;

/* AGAIN: a flush ended since the views began. */
static skv_code count_all(skv_parts *parts, uint64_t most, census *out, skv_error *err)
{
    skv_code code = SKV_OK;
    out->keys = out->left = 0;
    for (uint32_t i = 0; i < parts->lane_count && code == SKV_OK; i++) {
        skv_lane *lane = &parts->lanes[i];
        uint64_t here = 0, here_left = 0;
        skv_lock(&lane->lock);
        code = skv_lane_view_holds(lane, &out->views[i])
                   ? count_lane(lane, out->views[i].txn, most, &here, &here_left, err)
                   : SKV_AGAIN;
        skv_unlock(&lane->lock);
        out->keys += here;
        out->left += here_left;
    }
    return code;
}

static skv_code count_some(skv_parts *parts, census *out, skv_error *err)
{
    skv_code code;
    do {
        code = skv_lanes_begin(parts->lanes, parts->lane_count, out->views, err);
        if (code == SKV_OK)
            code = count_all(parts, RESOLVE_AT_ONCE, out, err);
        skv_lanes_release(parts->lanes, parts->lane_count, out->views);
    } while (code == SKV_AGAIN);
    return code;
}

static skv_code count_rest(skv_parts *parts, census *out, uint64_t *wait_seqno, skv_error *err)
{
    skv_code code;
    do {
        code = skv_lanes_begin(parts->lanes, parts->lane_count, out->views, err);
        skv_log_lock(parts->log);
        if (code == SKV_OK)
            code = count_all(parts, UINT64_MAX, out, err);
        *wait_seqno = skv_log_last_disk(parts->log);
        skv_log_unlock(parts->log);
        skv_lanes_release(parts->lanes, parts->lane_count, out->views);
    } while (code == SKV_AGAIN);
    return code;
}

/* Resolve in short steps while others write; then the rest at once, under the lock. */
static skv_code count(skv_parts *parts, census *out, uint64_t *wait_seqno, skv_error *err)
{
    skv_code code = SKV_OK;
    uint64_t before = UINT64_MAX;
    out->left = UINT64_MAX;
    for (int stalled = 0; code == SKV_OK && out->left > RESOLVE_AT_ONCE && stalled < RESOLVE_ROUNDS; before = out->left) {
        code = count_some(parts, out, err);
        stalled += out->left >= before;
    }
    return code == SKV_OK ? count_rest(parts, out, wait_seqno, err) : code;
}

skv_code skv_read_count(skv_parts *parts, uint64_t slice_ns, uint64_t *out, uint64_t *wait_seqno, skv_error *err)
{
    unsigned seen = skv_event_read(&parts->flushed);
    census found = {.views = skv_alloc(parts->lane_count * sizeof found.views[0])};
    skv_code code = found.views ? count(parts, &found, wait_seqno, err) : skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_release(found.views);
    *out = found.keys;
    if (code != SKV_OK || !found.left)
        return code;
    /* A flush is in the middle of a generation that nobody had counted: the end of that flush tells. */
    code = skv_pressure_failure(&parts->pressure, "cannot count the keys, a flush fails", err);
    if (code != SKV_OK)
        return code;
    if (slice_ns)
        skv_event_wait(&parts->flushed, seen, slice_ns);
    return SKV_AGAIN;
}
