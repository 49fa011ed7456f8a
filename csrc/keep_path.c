/* L3 path. What the log keeps. */
#include "keep_path.h"

#include "log_read.h"
#include "snapshot.h"

#define PEER_BUDGETS 4 /* budgets of unflushed bytes that the log may grow to for peers that are behind */

uint64_t skv_keep_first_unflushed(skv_parts *parts)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < parts->lane_count; i++) {
        uint64_t here;
        skv_lock(&parts->lanes[i].lock);
        here = skv_lane_first_seqno(&parts->lanes[i]);
        skv_unlock(&parts->lanes[i].lock);
        first = here < first ? here : first;
    }
    return first;
}

/* The first record that is in no shard yet; the next one to be appended when all are. Under the log's lock. */
static uint64_t first_needed(skv_parts *parts)
{
    uint64_t next = skv_log_last(parts->log) + 1, first = skv_keep_first_unflushed(parts);
    return first < next ? first : next;
}

/* For peers the log is kept while it is not too long: one that is far behind gets a copy. */
static bool keeps_for_peers(skv_parts *parts)
{
    uint64_t bytes, segments, most = PEER_BUDGETS * atomic_load(&parts->pressure.budget_bytes);
    skv_log_extent(parts->log, &bytes, &segments);
    return bytes <= most;
}

/* What copies need is retained, not live: however long they take, memory and slots of the log stay free. The first that peers
 * need may still be among it, when a copy has just been handed over to shipping. Returns that one. Under the lock: a peer that asks
 * for the log before a pin is let go of is seen by whoever no longer sees the pin. */
static uint64_t hold_needed(skv_parts *parts, bool for_peers)
{
    uint64_t kept = for_peers ? skv_acks_kept(&parts->acks) : UINT64_MAX, oldest = kept;
    for (uint32_t i = 0; i < SKV_PINS_MAX; i++)
        if (parts->pins[i] && parts->pins[i] < oldest)
            oldest = parts->pins[i];
    skv_log_hold(parts->log, oldest);
    return kept;
}

skv_code skv_keep_pin(skv_parts *parts, uint32_t *pin, uint64_t *seqno, skv_error *err)
{
    bool for_peers = keeps_for_peers(parts);
    uint32_t i = 0;
    skv_log_lock(parts->log);
    while (i < SKV_PINS_MAX && parts->pins[i])
        i++;
    if (i < SKV_PINS_MAX)
        *seqno = parts->pins[i] = first_needed(parts);
    (void)hold_needed(parts, for_peers);
    skv_log_unlock(parts->log);
    *pin = i;
    return i < SKV_PINS_MAX ? SKV_OK : skv_fail(err, SKV_FULL, "%d copies of the store are under way already", SKV_PINS_MAX);
}

static void move_pin(skv_parts *parts, uint32_t pin, uint64_t seqno)
{
    bool for_peers = keeps_for_peers(parts);
    skv_log_lock(parts->log);
    parts->pins[pin] = seqno;
    (void)hold_needed(parts, for_peers);
    skv_log_unlock(parts->log);
}

/* First held, then looked for: in between nothing is dropped. */
bool skv_keep_pin_back(skv_parts *parts, uint32_t pin, uint64_t seqno)
{
    uint64_t before = parts->pins[pin];
    if (before <= seqno)
        return true;
    move_pin(parts, pin, seqno);
    if (skv_log_oldest(parts->log) <= seqno)
        return true;
    move_pin(parts, pin, before);
    return false;
}

void skv_keep_unpin(skv_parts *parts, uint32_t pin)
{
    move_pin(parts, pin, 0);
    skv_keep_retire(parts);
}

/* First counted, then looked at: a snapshot that is met below sees at its end that it may have held something back. */
void skv_keep_retire(skv_parts *parts)
{
    skv_log_lock(parts->log);
    parts->needs++;
    skv_log_unlock(parts->log);
    skv_keep_retire_rest(parts);
}

void skv_keep_retire_rest(skv_parts *parts)
{
    bool for_peers = keeps_for_peers(parts);
    uint64_t bound, kept, applied_sum = 0;
    skv_log_lock(parts->log);
    kept = hold_needed(parts, for_peers);
    bound = first_needed(parts);
    bound = kept < bound ? kept : bound;
    for (uint32_t i = 0; i < parts->lane_count; i++)
        applied_sum += skv_shard_applied(parts->lanes[i].shard);
    for (const skv_snapshot *snapshot = parts->snapshots; snapshot; snapshot = snapshot->next)
        bound = snapshot->pin_seqno < bound ? snapshot->pin_seqno : bound;
    skv_log_unlock(parts->log);
    skv_log_retire(parts->log, bound, applied_sum);
}
