/* L3 path. Flushing. */
#include "flush_path.h"

#include "keep_path.h"
#include "memory.h"

/* Pages a unit may make dirty: LMDB holds them in memory until the commit, and one sync carries them. */
#define UNIT_PAGES 16384
#define OWN_PAGES 16 /* for a commit of the shard's own record alone */
#define UNIT_BYTES ((uint64_t)64 << 20)
/* A shard is packed anew when nearly every page would be written anyway, and the merge is no more work than the searches of so
 * many inserts. Values with pages of their own would be written again with it; so small a shard is not worth it. */
#define REPACK_PER_PAGE 2
#define REPACK_PART 8
#define REPACK_PAGES_MIN 8
#define RESOLVE_AT_ONCE 256
#define LONG_LOG_BUDGETS 3
#define DELETES_PER_KEY 2 /* to flush a key takes as long as to step over so many deletes */

/* -- choosing ------------------------------------------------------------------------------------------------------- */

typedef struct {
    skv_lane *largest, *oldest, *asked, *crossed; /* readers spent more on its deletes than a flush takes */
    uint64_t largest_bytes, oldest_seqno;
} candidates;

static candidates look_at_lanes(skv_parts *parts)
{
    candidates found = {.oldest_seqno = UINT64_MAX};
    uint64_t target = atomic_load(&parts->flush_target);
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        skv_lane *lane = &parts->lanes[i];
        skv_index_size size = skv_lane_measure(lane);
        if (!size.first_seqno)
            continue;
        if (size.bytes > found.largest_bytes) {
            found.largest_bytes = size.bytes;
            found.largest = lane;
        }
        if (size.first_seqno < found.oldest_seqno) {
            found.oldest_seqno = size.first_seqno;
            found.oldest = lane;
        }
        if (size.first_seqno <= target)
            found.asked = lane;
        if (size.deletes_met >= SKV_LANE_DELETES_MET + DELETES_PER_KEY * size.keys)
            found.crossed = lane;
    }
    return found;
}

static bool log_is_long(skv_parts *parts)
{
    uint64_t bytes, segments;
    bool pinned;
    skv_log_extent(parts->log, &bytes, &segments);
    skv_log_lock(parts->log);
    pinned = parts->snapshots != NULL; /* then no flush makes it shorter */
    skv_log_unlock(parts->log);
    return !pinned && (segments > SKV_SLOTS_MAX / 2 || bytes > LONG_LOG_BUDGETS * atomic_load(&parts->pressure.budget_bytes));
}

static skv_lane *choose(skv_parts *parts)
{
    unsigned long long target = atomic_load(&parts->flush_target);
    candidates found = look_at_lanes(parts);
    if (found.asked)
        return found.asked;
    if (target) /* nothing up to it is left; a target raised meanwhile stays */
        (void)atomic_compare_exchange_strong(&parts->flush_target, &target, 0);
    if (found.oldest && log_is_long(parts))
        return found.oldest;
    return skv_pressure_wants_flush(&parts->pressure) ? found.largest : found.crossed;
}

/* -- one lane ------------------------------------------------------------------------------------------------------- */

/* Close the active generation and give the lane a new one, unless a sealed one is still waiting. */
static skv_code seal(skv_parts *parts, skv_lane *lane, skv_error *err)
{
    skv_index *fresh = skv_index_create(skv_log_slots(parts->log));
    if (!fresh)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_log_lock(parts->log);
    skv_lock(&lane->lock);
    if (!lane->sealed) {
        lane->sealed = lane->active;
        lane->active = fresh;
        lane->sealed_seqno = skv_log_last(parts->log);
        lane->base_records = skv_shard_public_records(lane->shard);
        lane->applying = false;
        if (lane->sweep.part) /* a sweep is in the midst of it: what it has not seen, and what it has, lies in the shard then */
            skv_index_expect(lane->sealed, 0);
        lane->sweep.part = 0;
        fresh = NULL;
    }
    skv_unlock(&lane->lock);
    skv_log_unlock(parts->log);
    skv_index_release(fresh);
    return SKV_OK;
}

/* A shard must never be ahead of the log: after a crash the log has to explain everything in it. */
static skv_code wait_until_durable(skv_parts *parts, uint64_t seqno, skv_error *err)
{
    skv_code code;
    do
        code = skv_log_wait(parts->log, seqno, SKV_SLICE_NS, err);
    while (code == SKV_AGAIN);
    return code;
}

static skv_code sort_sealed(skv_parts *parts, skv_lane *lane, skv_run **out, skv_error *err)
{
    uint64_t keys;
    skv_lock(&lane->lock);
    keys = skv_index_measure(lane->sealed).keys;
    *out = skv_run_create((uint32_t)keys);
    if (*out)
        skv_index_copy(lane->sealed, (*out)->positions);
    skv_unlock(&lane->lock);
    if (*out && skv_run_sort(*out, skv_log_slots(parts->log)) == SKV_OK)
        return SKV_OK;
    skv_run_release(*out);
    return skv_fail(err, SKV_NO_MEMORY, "out of memory: cannot sort %llu records for a flush", (unsigned long long)keys);
}

/* Somebody counts keys: learn which of the sealed ones are in the shard already, before the first unit goes in. Where damage
 * keeps that from being known, who counts waits for the end of the flush. */
static skv_code begin_applying(skv_lane *lane, skv_error *err)
{
    skv_lane_below below = {.lane = lane, .err = err};
    uint64_t left = 1;
    skv_code code = skv_shard_read_begin(lane->shard, &below.txn, err);
    while (code == SKV_OK && left) {
        skv_lock(&lane->lock);
        if (lane->counted && !lane->applying)
            code = skv_index_resolve(lane->sealed, RESOLVE_AT_ONCE, (skv_index_below){skv_lane_is_below, &below}, &left);
        else
            left = 0;
        if (code == SKV_CORRUPT) {
            code = SKV_OK;
            left = 0;
        }
        if (code == SKV_OK && !left)
            lane->applying = true;
        skv_unlock(&lane->lock);
    }
    if (below.txn)
        skv_shard_read_end(lane->shard, below.txn);
    return code;
}

typedef struct {
    uint32_t records; /* that may go into one unit: as many as make UNIT_PAGES dirty, judged by how densely they fall */
    uint64_t pages;   /* that a unit is likely to take; what it needs beyond, LMDB allocates as it goes */
    bool repack;      /* the run is one unit, and so large a part of the shard that all of it is packed anew */
} unit_plan;

static unit_plan plan_units(skv_lane *lane, uint32_t count)
{
    uint64_t per_page, bytes, pages;
    skv_shard_size size;
    unit_plan plan;
    (void)skv_shard_measure(lane->shard, &size, NULL);
    skv_lock(&lane->lock);
    bytes = skv_index_measure(lane->sealed).bytes;
    skv_unlock(&lane->lock);
    per_page = size.leaf_pages && count > size.leaf_pages ? count / size.leaf_pages : 1;
    plan.records = size.leaf_pages && UNIT_PAGES * per_page < count ? (uint32_t)(UNIT_PAGES * per_page) : count;
    pages = OWN_PAGES + bytes * 3 / 2 / SKV_PAGE_BYTES + (count < size.leaf_pages ? count : size.leaf_pages);
    plan.pages = pages < UNIT_PAGES ? pages : UNIT_PAGES;
    plan.repack = size.leaf_pages >= REPACK_PAGES_MIN && !size.overflow_pages && pages < UNIT_PAGES &&
                  count >= REPACK_PER_PAGE * size.leaf_pages && REPACK_PART * (uint64_t)count >= size.records;
    return plan;
}

/* Apply records from *at on until the unit is full. */
static skv_code apply_unit(skv_parts *parts, skv_shard *shard, const skv_run *run, unit_plan plan, uint32_t *at,
                           skv_error *err)
{
    uint64_t bytes = 0;
    skv_code code = skv_shard_reserve(shard, *at < run->count ? plan.pages : OWN_PAGES, err);
    if (code == SKV_OK)
        code = plan.repack && *at < run->count ? skv_shard_repack_begin(shard, err) : skv_shard_apply_begin(shard, err);
    for (uint32_t done = 0; code == SKV_OK && *at < run->count && done < plan.records && bytes < UNIT_BYTES; done++, ++*at) {
        skv_record record;
        skv_slots_read(skv_log_slots(parts->log), run->positions[*at], &record);
        bytes += skv_record_bytes(&record);
        code = skv_record_verify(&record)
                   ? skv_shard_apply(shard, &record, err)
                   : skv_fail_at(err, SKV_CORRUPT, "log", 0, record.seqno,
                                 "the record with seqno %llu fails its checksum on its way to %s",
                                 (unsigned long long)record.seqno, skv_shard_name(shard));
    }
    if (code != SKV_OK)
        skv_shard_apply_abort(shard);
    return code;
}

/* Rest as long as was worked, while there is room: what a flush writes competes with the log's syncs. */
static void pace(skv_parts *parts, const atomic_bool *stop, uint64_t spent_ns)
{
    unsigned seen = skv_event_read(&parts->pressure.wanted);
    if (skv_pressure_level(&parts->pressure) < 60 && !atomic_load(stop) && !atomic_load(&parts->flush_target))
        skv_event_wait(&parts->pressure.wanted, seen, spent_ns < SKV_NS_PER_S ? spent_ns : SKV_NS_PER_S);
}

static skv_code apply_run(skv_parts *parts, skv_lane *lane, const skv_run *run, const atomic_bool *stop, skv_error *err)
{
    skv_code code = SKV_OK;
    unit_plan plan = plan_units(lane, run->count);
    uint32_t at = 0;
    bool done = false;
    while (code == SKV_OK && !done) {
        uint64_t began = skv_now_ns();
        uint32_t from = at;
        /* The last commit is one of its own, with no record: LMDB uses a page again two commits after it was freed. */
        bool last = at == run->count;
        code = apply_unit(parts, lane->shard, run, plan, &at, err);
        if (code == SKV_OK)
            code = skv_shard_apply_commit(lane->shard, last ? lane->sealed_seqno : skv_shard_applied(lane->shard), err);
        done = last && code == SKV_OK;
        if (code == SKV_BUSY) { /* the map is full */
            at = from;
            code = skv_shard_grow(lane->shard, err);
        } else if (code == SKV_OK && at < run->count) {
            pace(parts, stop, skv_now_ns() - began);
            if (atomic_load(stop))
                return SKV_CLOSED;
        }
    }
    return code;
}

/* What may expire in the shard from now on; a pass over it may be under way and beyond it already. */
static void expect_expiry(skv_sweep *sweep, uint64_t soonest_ms)
{
    sweep->due_ms = soonest_ms < sweep->due_ms ? soonest_ms : sweep->due_ms;
    sweep->at.tally.next_ms = soonest_ms < sweep->at.tally.next_ms ? soonest_ms : sweep->at.tally.next_ms;
}

static void let_go(skv_parts *parts, skv_lane *lane, uint64_t spent_ns)
{
    skv_index *done;
    skv_index_size size;
    skv_lock(&lane->lock);
    done = lane->sealed;
    size = skv_index_measure(done);
    expect_expiry(&lane->sweep, skv_index_soonest(done));
    lane->sealed = NULL;
    lane->applying = false;
    lane->generation++;
    lane->flushes++;
    lane->flush_ns += spent_ns;
    lane->flushed_records += size.keys;
    skv_unlock(&lane->lock);
    skv_index_release(done);
    skv_pressure_relieve(&parts->pressure, size.bytes, spent_ns);
    skv_keep_retire(parts);
    skv_event_notify(&parts->flushed);
}

static skv_code flush_lane(skv_parts *parts, skv_lane *lane, const atomic_bool *stop, skv_error *err)
{
    uint64_t began = skv_now_ns();
    skv_run *run = NULL;
    skv_code code = seal(parts, lane, err);
    if (code == SKV_OK)
        code = wait_until_durable(parts, lane->sealed_seqno, err);
    if (code == SKV_OK)
        code = sort_sealed(parts, lane, &run, err);
    if (code == SKV_OK)
        code = begin_applying(lane, err);
    if (code == SKV_OK)
        code = apply_run(parts, lane, run, stop, err);
    if (code != SKV_OK) {
        skv_run_release(run);
        return code;
    }
    skv_run_release(run);
    let_go(parts, lane, skv_now_ns() - began);
    pace(parts, stop, skv_now_ns() - began);
    return SKV_OK;
}

/* -- steps ---------------------------------------------------------------------------------------------------------- */

skv_code skv_flush_step(skv_parts *parts, const atomic_bool *stop, skv_error *err)
{
    skv_lane *lane = choose(parts);
    skv_code code = lane ? flush_lane(parts, lane, stop, err) : SKV_NOT_FOUND;
    if (code == SKV_OK || code == SKV_NOT_FOUND || code == SKV_CLOSED)
        return code;
    skv_pressure_fail(&parts->pressure, code == SKV_BUSY ? SKV_FULL : code, err);
    skv_event_notify(&parts->flushed);
    return code;
}

void skv_flush_wait_for_work(skv_parts *parts, unsigned seen, uint64_t timeout_ns)
{
    skv_event_wait(&parts->pressure.wanted, seen, timeout_ns);
}

/* Raise the target; it is cleared when nothing up to it is left. */
static void raise_target(skv_parts *parts, uint64_t seqno)
{
    unsigned long long target = atomic_load(&parts->flush_target);
    while (target < seqno && !atomic_compare_exchange_weak(&parts->flush_target, &target, seqno))
        continue;
    skv_event_notify(&parts->pressure.wanted);
}

void skv_flush_ask(skv_parts *parts, uint64_t seqno)
{
    skv_pressure_forget(&parts->pressure);
    raise_target(parts, seqno);
}

skv_code skv_flush_upto_seqno(skv_parts *parts, uint64_t seqno, uint64_t slice_ns, skv_error *err)
{
    uint64_t end = skv_now_ns() + slice_ns, now;
    skv_code code = skv_log_health(parts->log, err);
    if (slice_ns)
        skv_pressure_forget(&parts->pressure); /* what failed before may succeed now */
    for (;;) {
        unsigned seen = skv_event_read(&parts->flushed);
        if (skv_keep_first_unflushed(parts) > seqno)
            return SKV_OK;
        if (code != SKV_OK)
            return code;
        if ((now = skv_now_ns()) >= end)
            break;
        raise_target(parts, seqno);
        skv_event_wait(&parts->flushed, seen, end - now);
    }
    code = skv_pressure_failure(&parts->pressure, "flushing fails and is tried again", err);
    return code == SKV_OK ? SKV_AGAIN : code;
}
