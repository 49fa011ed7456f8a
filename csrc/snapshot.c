/* L3 path. Snapshots. */
#include "snapshot.h"

#include "memory.h"

/* Under the log's lock. */
static void link_snapshot(skv_parts *parts, skv_snapshot *snapshot)
{
    snapshot->next = parts->snapshots;
    if (snapshot->next)
        snapshot->next->previous = snapshot;
    parts->snapshots = snapshot;
    parts->snapshot_count++;
    snapshot->cut = (skv_cut){parts->cuts, snapshot->seqno};
    parts->cuts = &snapshot->cut;
}

static void unlink_snapshot(skv_parts *parts, skv_snapshot *snapshot)
{
    if (snapshot->next)
        snapshot->next->previous = snapshot->previous;
    if (snapshot->previous) {
        snapshot->previous->next = snapshot->next;
        snapshot->previous->cut.older = snapshot->cut.older;
    } else {
        parts->snapshots = snapshot->next;
        parts->cuts = snapshot->cut.older;
    }
    parts->snapshot_count--;
}

/* Under the log's lock: no append, no seal in between. AGAIN: a flush ended since the views began. */
static skv_code take_views(skv_parts *parts, skv_snapshot *snapshot, skv_error *err)
{
    if (parts->snapshot_count >= SKV_SHARD_READERS_LONG)
        return skv_fail(err, SKV_FULL, "%d snapshots, scans and transactions are open; close some", SKV_SHARD_READERS_LONG);
    snapshot->seqno = skv_log_last(parts->log);
    snapshot->place = skv_log_end(parts->log);
    snapshot->now_ms = skv_clock_now(&parts->clock);
    snapshot->wait_seqno = skv_log_last_disk(parts->log);
    snapshot->pin_seqno = snapshot->seqno + 1;
    snapshot->needs = parts->needs;
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        skv_lane_view *view = &snapshot->views[i];
        if (skv_lane_view_take(&parts->lanes[i], view) != SKV_OK)
            return SKV_AGAIN;
        if (view->first_seqno < snapshot->pin_seqno)
            snapshot->pin_seqno = view->first_seqno;
    }
    link_snapshot(parts, snapshot);
    return SKV_OK;
}

static void release_views(skv_snapshot *snapshot)
{
    skv_lanes_release(snapshot->parts->lanes, snapshot->parts->lane_count, snapshot->views);
}

static skv_code try_to_take(skv_parts *parts, skv_snapshot *snapshot, skv_error *err)
{
    skv_code code = skv_lanes_begin(parts->lanes, parts->lane_count, snapshot->views, err);
    if (code == SKV_OK) {
        skv_log_lock(parts->log);
        code = take_views(parts, snapshot, err);
        skv_log_unlock(parts->log);
    }
    if (code != SKV_OK)
        release_views(snapshot);
    return code;
}

skv_code skv_snapshot_take(skv_parts *parts, skv_snapshot **out, skv_error *err)
{
    skv_code code;
    skv_snapshot *snapshot = skv_alloc(sizeof *snapshot + parts->lane_count * sizeof snapshot->views[0]);
    *out = NULL;
    if (!snapshot)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    snapshot->parts = parts;
    atomic_init(&snapshot->references, 2);
    skv_mutex_create(&snapshot->lock);
    snapshot->created_ns = skv_now_ns();
    do
        code = try_to_take(parts, snapshot, err);
    while (code == SKV_AGAIN);
    if (code != SKV_OK) {
        skv_mutex_free(&snapshot->lock);
        skv_release(snapshot);
        return code;
    }
    *out = snapshot;
    return SKV_OK;
}

bool skv_snapshot_end(skv_snapshot *snapshot)
{
    bool ended, held;
    skv_lock(&snapshot->lock);
    ended = snapshot->dead;
    snapshot->dead = true;
    while (!ended && snapshot->scans)
        snapshot->detach(snapshot->scans);
    if (!ended)
        release_views(snapshot);
    skv_unlock(&snapshot->lock);
    if (ended)
        return false;
    skv_log_lock(snapshot->parts->log);
    unlink_snapshot(snapshot->parts, snapshot);
    held = snapshot->needs != snapshot->parts->needs;
    skv_log_unlock(snapshot->parts->log);
    skv_snapshot_release(snapshot);
    return held;
}

void skv_snapshot_release(skv_snapshot *snapshot)
{
    if (atomic_fetch_sub(&snapshot->references, 1) != 1)
        return;
    skv_mutex_free(&snapshot->lock);
    skv_release(snapshot);
}
