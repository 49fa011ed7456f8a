/* L2 part. Lanes. */
#include "lane.h"

skv_code skv_lane_create(skv_lane *lane, skv_shard *shard, skv_clock *clock, const skv_slots *slots, skv_error *err)
{
    skv_mutex_create(&lane->lock);
    skv_mutex_create(&lane->order_lock);
    lane->shard = shard;
    lane->clock = clock;
    lane->active = skv_index_create(slots);
    return lane->active ? SKV_OK : skv_fail(err, SKV_NO_MEMORY, "out of memory");
}

void skv_lane_free(skv_lane *lane)
{
    if (!lane->shard)
        return;
    skv_index_release(lane->sealed);
    skv_index_release(lane->active);
    skv_shard_free(lane->shard);
    lane->shard = NULL;
    lane->active = lane->sealed = NULL;
    skv_mutex_free(&lane->order_lock);
    skv_mutex_free(&lane->lock);
}

skv_code skv_lanes_begin(skv_lane *lanes, uint32_t count, skv_lane_view *views, skv_error *err)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++) {
        skv_lock(&lanes[i].lock);
        views[i].generation = lanes[i].generation;
        skv_unlock(&lanes[i].lock);
        code = skv_shard_read_begin(lanes[i].shard, &views[i].txn, err);
    }
    return code;
}

void skv_lanes_release(skv_lane *lanes, uint32_t count, skv_lane_view *views)
{
    for (uint32_t i = 0; i < count && views[i].txn; i++) {
        skv_shard_read_end(lanes[i].shard, views[i].txn);
        skv_index_release(views[i].generations[0]);
        skv_index_release(views[i].generations[1]);
        views[i] = (skv_lane_view){0};
    }
}

skv_code skv_lane_view_take(skv_lane *lane, skv_lane_view *view)
{
    bool holds;
    skv_lock(&lane->lock);
    holds = skv_lane_view_holds(lane, view);
    if (holds) {
        view->first_seqno = skv_lane_first_seqno(lane);
        view->generations[0] = lane->active;
        view->generations[1] = lane->sealed;
        skv_index_keep(lane->active);
        if (lane->sealed)
            skv_index_keep(lane->sealed);
    }
    skv_unlock(&lane->lock);
    return holds ? SKV_OK : SKV_AGAIN;
}

uint64_t skv_lane_first_seqno(const skv_lane *lane)
{
    uint64_t first = lane->sealed ? skv_index_first_seqno(lane->sealed) : 0;
    if (!first)
        first = skv_index_first_seqno(lane->active);
    return first ? first : UINT64_MAX;
}

uint64_t skv_lane_newest_below(skv_lane *lane)
{
    uint64_t sealed, applied;
    skv_lock(&lane->lock);
    sealed = lane->sealed ? lane->sealed_seqno : 0;
    applied = skv_shard_applied(lane->shard);
    skv_unlock(&lane->lock);
    return sealed > applied ? sealed : applied;
}

skv_index_size skv_lane_measure(skv_lane *lane)
{
    skv_index_size size, sealed = {0};
    skv_lock(&lane->lock);
    size = skv_index_measure(lane->active);
    if (lane->sealed)
        sealed = skv_index_measure(lane->sealed);
    skv_unlock(&lane->lock);
    size.keys += sealed.keys;
    size.bytes += sealed.bytes;
    size.heap_bytes += sealed.heap_bytes;
    if (sealed.first_seqno) {
        size.first_seqno = sealed.first_seqno;
        size.first_ns = sealed.first_ns;
    }
    return size;
}

bool skv_lane_find(const skv_lane *lane, skv_key key, skv_position *position, skv_record *out)
{
    return skv_index_find(lane->active, key, UINT64_MAX, position, out) ||
           (lane->sealed && skv_index_find(lane->sealed, key, UINT64_MAX, position, out));
}

/* Sort what is in no run yet. AGAIN: inserts dropped the order meanwhile. Under the order lock. */
static skv_code sort_new(skv_lane *lane, skv_index *generation, const skv_slots *slots)
{
    skv_run *run;
    skv_code code;
    bool added;
    skv_lock(&lane->lock);
    code = skv_index_take_unsorted(generation, &run);
    skv_unlock(&lane->lock);
    if (code != SKV_OK || !run)
        return code;
    code = skv_run_sort(run, slots);
    skv_lock(&lane->lock);
    if (code != SKV_OK) {
        skv_run_release(run);
        run = NULL;
    }
    added = skv_index_add_run(generation, run);
    skv_unlock(&lane->lock);
    return code == SKV_OK && !added ? SKV_AGAIN : code;
}

/* Under the order lock. Out of memory is no failure here: the runs stay as they are. */
static void merge_small(skv_lane *lane, skv_index *generation, const skv_slots *slots)
{
    skv_run *pair[2], *merged;
    bool mergeable;
    do {
        skv_lock(&lane->lock);
        mergeable = skv_index_mergeable(generation, pair);
        skv_unlock(&lane->lock);
        if (!mergeable)
            return;
        merged = skv_run_merge(pair[0], pair[1], slots);
        if (!merged) {
            skv_run_release(pair[0]);
            skv_run_release(pair[1]);
            return;
        }
        skv_lock(&lane->lock);
        skv_index_replace_runs(generation, pair, merged);
        skv_unlock(&lane->lock);
    } while (mergeable);
}

skv_code skv_lane_order(skv_lane *lane, skv_index *generation, const skv_slots *slots,
                        skv_run *out[SKV_INDEX_RUNS_MAX], uint32_t *count, skv_error *err)
{
    skv_code code;
    bool ready;
    *count = 0;
    skv_lock(&lane->lock);
    ready = skv_index_in_order(generation);
    if (ready)
        *count = skv_index_runs(generation, out);
    skv_unlock(&lane->lock);
    if (ready)
        return SKV_OK;
    skv_lock(&lane->order_lock);
    do {
        code = sort_new(lane, generation, slots);
        if (code != SKV_OK)
            continue;
        merge_small(lane, generation, slots);
        skv_lock(&lane->lock);
        if (skv_index_has_order(generation))
            *count = skv_index_runs(generation, out);
        else /* inserts dropped it during the merge */
            code = SKV_AGAIN;
        skv_unlock(&lane->lock);
    } while (code == SKV_AGAIN);
    skv_unlock(&lane->order_lock);
    return code == SKV_OK ? SKV_OK : skv_fail(err, code, "out of memory: cannot sort the unflushed records");
}

bool skv_lane_is_below(void *context, skv_key key, skv_code *code)
{
    skv_lane_below *below = context;
    skv_position position;
    skv_record record;
    if (below->under && skv_index_find(below->under, key, UINT64_MAX, &position, &record))
        return !skv_record_deletes(&record);
    *code = skv_shard_has(below->lane->shard, below->txn, key.bytes, below->err);
    if (*code == SKV_NOT_FOUND) {
        *code = SKV_OK;
        return false;
    }
    return *code == SKV_OK;
}
