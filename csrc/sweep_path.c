/* L3 path. Sweeping. */
#include "sweep_path.h"

/* Records that one round may look at in a shard: a millisecond or two. */
#define VISITS_MOST 2048
/* Percent of the budget: beyond, a flush is near, which needs the same disk and the same thread. */
#define LEVEL_MOST 45

/* -- one record ----------------------------------------------------------------------------------------------------- */

/* Delete the key unless it has been written since; seen: where the record was found. Nobody has to wait for this delete: the
 * key is absent without it, too. */
static skv_code remove_record(skv_parts *parts, const skv_record *record, const skv_version *seen, uint64_t *removed,
                              skv_io *io)
{
    skv_write_op op = {.record = {.key = record->key, .value = {record->key.data, 0}, .flags = SKV_RECORD_DELETE}};
    skv_condition unchanged = {.key = record->key, .least = record->seqno, .most = record->seqno, .seen = *seen,
                               .expired_too = true};
    skv_conditions conditions = {.items = &unchanged, .count = 1};
    skv_write write = {.ops = &op, .count = 1, .ack = SKV_ACK_MEMORY, .conditions = &conditions, .upkeep = true};
    skv_code code;
    unchanged.seen.version = record->seqno;
    code = skv_write_append(parts, &write, io);
    if (code == SKV_OK) {
        ++*removed;
        atomic_fetch_add(&parts->expired_removed, 1);
    }
    return code == SKV_CONFLICT ? SKV_OK : code;
}

/* Remove the record if it has expired, else remember when it will. */
static skv_code visit(skv_parts *parts, const skv_record *record, const skv_version *seen, skv_sweep_tally *tally,
                      skv_io *io)
{
    if (!skv_record_expires(record))
        return SKV_OK;
    if (!skv_clock_passed(&parts->clock, record->expires_ms)) {
        tally->next_ms = record->expires_ms < tally->next_ms ? record->expires_ms : tally->next_ms;
        return SKV_OK;
    }
    if (!skv_record_verify(record)) /* then its expiry proves nothing: it stays, and whoever reads it is told */
        return SKV_OK;
    return remove_record(parts, record, seen, &tally->removed, io);
}

/* -- a shard -------------------------------------------------------------------------------------------------------- */

static skv_code seek_behind(skv_shard *shard, skv_shard_cursor *cursor, const skv_sweep_place *at, skv_record *out,
                            skv_io *io)
{
    skv_slice last = {at->key_bytes ? at->key : NULL, at->key_bytes};
    skv_code code = skv_shard_seek(shard, cursor, last, out, &io->error);
    if (code == SKV_OK && at->key_bytes && skv_key_compare(out->key, last) == 0)
        code = skv_shard_next(shard, cursor, out, &io->error);
    return code;
}

/* The key stays in memory for as long as the transaction does. */
static skv_code visit_some(skv_parts *parts, skv_shard *shard, skv_shard_cursor *cursor, const skv_version *seen,
                           skv_sweep_place *at, skv_io *io)
{
    skv_record record;
    skv_slice last = {NULL, 0};
    skv_code code = seek_behind(shard, cursor, at, &record, io);
    for (uint32_t visits = 0; code == SKV_OK && visits < VISITS_MOST; visits++) {
        code = visit(parts, &record, seen, &at->tally, io);
        if (code != SKV_OK)
            break;
        last = record.key;
        code = skv_shard_next(shard, cursor, &record, &io->error);
    }
    if (code == SKV_NOT_FOUND)
        at->key_bytes = 0;
    else if (last.data)
        memcpy(at->key, last.data, at->key_bytes = last.bytes);
    return code;
}

skv_code skv_sweep_shard(skv_parts *parts, skv_lane *lane, skv_sweep_place *at, skv_io *io)
{
    skv_version seen = {.below = true};
    skv_shard_cursor *cursor;
    skv_shard_txn *txn;
    skv_code code;
    skv_lock(&lane->lock);
    seen.generation = lane->generation;
    skv_unlock(&lane->lock);
    /* A transaction that begins after this is at least as new as that generation. */
    code = skv_shard_read_begin(lane->shard, &txn, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_shard_cursor_open(lane->shard, txn, &cursor, &io->error);
    if (code == SKV_OK)
        code = visit_some(parts, lane->shard, cursor, &seen, at, io);
    skv_shard_cursor_close(lane->shard, txn, cursor);
    skv_shard_read_end(lane->shard, txn);
    return code == SKV_AGAIN ? SKV_OK : code; /* a flush ended meanwhile: the next round looks anew */
}

/* A round of the pass over a lane's shard; at its end the time of the next pass is known. */
static skv_code go_on_in_shard(skv_parts *parts, skv_lane *lane, skv_io *io)
{
    skv_sweep *sweep = &lane->sweep;
    skv_code code;
    if (!sweep->at.key_bytes)
        sweep->at.tally.next_ms = UINT64_MAX;
    code = skv_sweep_shard(parts, lane, &sweep->at, io);
    if (code == SKV_CORRUPT) /* whoever reads there is told; sweeping ends here until a flush or the next open */
        sweep->at.tally.next_ms = UINT64_MAX;
    if (code != SKV_NOT_FOUND && code != SKV_CORRUPT)
        return code;
    sweep->at.key_bytes = 0;
    sweep->due_ms = sweep->at.tally.next_ms;
    return SKV_OK;
}

/* -- a generation --------------------------------------------------------------------------------------------------- */

static skv_code take_part(skv_lane *lane, skv_run **out)
{
    skv_code code;
    skv_lock(&lane->lock);
    if (lane->sweep.part == 0) { /* what comes from now on is noted by the index */
        lane->sweep.part_tally.next_ms = UINT64_MAX;
        skv_index_expect(lane->active, UINT64_MAX);
    }
    code = skv_index_copy_part(lane->active, lane->sweep.part, out);
    skv_unlock(&lane->lock);
    return code;
}

static void end_part(skv_lane *lane)
{
    lane->sweep.part = (lane->sweep.part + 1) % SKV_INDEX_PARTS;
    if (lane->sweep.part != 0)
        return;
    skv_lock(&lane->lock);
    if (lane->sweep.part_tally.next_ms < skv_index_soonest(lane->active))
        skv_index_expect(lane->active, lane->sweep.part_tally.next_ms);
    skv_unlock(&lane->lock);
}

/* One part of the active generation. Only this thread lets generations go: the records stay where they are meanwhile. */
static skv_code go_on_in_index(skv_parts *parts, skv_lane *lane, skv_io *io)
{
    const skv_version seen = {0};
    skv_run *run;
    skv_code code = take_part(lane, &run);
    if (code != SKV_OK)
        return skv_fail(&io->error, code, "out of memory: cannot look for expired records");
    for (uint32_t i = 0; run && i < run->count && code == SKV_OK; i++) {
        skv_record record;
        skv_slots_read(skv_log_slots(parts->log), run->positions[i], &record);
        code = visit(parts, &record, &seen, &lane->sweep.part_tally, io);
    }
    skv_run_release(run);
    if (code == SKV_OK)
        end_part(lane);
    return code;
}

/* -- choosing ------------------------------------------------------------------------------------------------------- */

typedef struct {
    skv_lane *lane; /* NULL: nothing is due */
    uint64_t due_ms;
    skv_code (*go_on)(skv_parts *parts, skv_lane *lane, skv_io *io);
} task;

static uint64_t index_due_ms(skv_lane *lane)
{
    uint64_t due_ms;
    skv_lock(&lane->lock);
    due_ms = lane->sweep.part ? 0 : skv_index_soonest(lane->active);
    skv_unlock(&lane->lock);
    return due_ms;
}

static task choose(skv_parts *parts)
{
    task best = {.due_ms = UINT64_MAX};
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        skv_lane *lane = &parts->lanes[i];
        uint64_t due_ms = index_due_ms(lane);
        if (due_ms < best.due_ms)
            best = (task){lane, due_ms, go_on_in_index};
        if (skv_shard_expiring(lane->shard) && lane->sweep.due_ms < best.due_ms)
            best = (task){lane, lane->sweep.due_ms, go_on_in_shard};
    }
    return best;
}

skv_code skv_sweep_step(skv_parts *parts, skv_io *io)
{
    task next = choose(parts);
    if (!next.lane || skv_pressure_level(&parts->pressure) > LEVEL_MOST ||
        !skv_clock_passed(&parts->clock, next.due_ms))
        return SKV_NOT_FOUND;
    return next.go_on(parts, next.lane, io);
}
