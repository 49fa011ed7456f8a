/* L3. Conditions. */
#include "condition.h"

#include "hash.h"

#define WALK_UNDER_LOCK 256
#define WALKS_MAX 8

void skv_version_judge(const skv_lane *lane, const skv_record *newest, skv_version *out)
{
    bool gone = skv_lane_gone(lane, newest);
    out->version = gone ? 0 : newest->seqno;
    out->expires_ms = gone ? 0 : newest->expires_ms;
}

skv_version skv_version_of(const skv_lane *lane, const skv_log *log, const skv_record *newest)
{
    skv_version seen = {.wait_seqno = skv_log_must_wait(log, newest)};
    skv_version_judge(lane, newest, &seen);
    return seen;
}

/* What was seen in the shard may have expired since. */
static void age(skv_condition *condition)
{
    skv_version *seen = &condition->seen;
    if (!condition->expired_too && seen->expires_ms && skv_clock_passed(condition->lane->clock, seen->expires_ms))
        seen->version = seen->expires_ms = 0;
}

static void look_in_log(const skv_parts *parts, skv_condition *condition, const skv_record *newest)
{
    condition->seen = skv_version_of(condition->lane, parts->log, newest);
    if (condition->expired_too && !skv_record_deletes(newest))
        condition->seen.version = newest->seqno;
}

void skv_conditions_route(const skv_parts *parts, skv_conditions *conditions)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        skv_condition *condition = &conditions->items[i];
        skv_key key = skv_key_of(condition->key);
        condition->key_hash = key.hash;
        condition->lane = skv_parts_lane(parts, key);
    }
}

/* -- ranges --------------------------------------------------------------------------------------------------------- */

/* The only range that can hold the key: the last that begins at it or before. */
static bool inside(const skv_conditions *conditions, skv_slice key, uint32_t *number)
{
    uint32_t low = 0, high = conditions->range_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (skv_key_compare(conditions->ranges[middle].start, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *number = low - 1;
    return low > 0 && (!conditions->ranges[low - 1].stop.data || skv_key_compare(key, conditions->ranges[low - 1].stop) < 0);
}

typedef struct {
    const skv_log *log;
    skv_conditions *conditions;
} watch;

/* A delete is told by its seqno too: it is what was found. */
static bool see(void *context, const skv_record *record)
{
    watch *at = context;
    uint32_t number;
    if (!inside(at->conditions, record->key, &number))
        return true;
    at->conditions->broken = at->conditions->count + number;
    at->conditions->met = (skv_version){.version = record->seqno, .wait_seqno = skv_log_must_wait(at->log, record)};
    return false;
}

skv_code skv_conditions_walk(const skv_parts *parts, skv_conditions *conditions)
{
    watch at = {parts->log, conditions};
    if (!conditions->range_count)
        return SKV_OK;
    conditions->walks++;
    return skv_log_walk(parts->log, &conditions->walked, see, &at) ? SKV_OK : SKV_CONFLICT;
}

/* The last few records are walked here. Who writes so fast that they are never few waits a little, but not for ever. */
static skv_code check_ranges(skv_parts *parts, skv_conditions *conditions)
{
    watch at = {parts->log, conditions};
    if (conditions->expires_ms && skv_clock_passed(&parts->clock, conditions->expires_ms)) {
        conditions->broken = conditions->count + conditions->range_count;
        conditions->met = (skv_version){0};
        return SKV_CONFLICT;
    }
    if (!conditions->range_count)
        return SKV_OK;
    if (skv_log_last(parts->log) - conditions->walked.seqno > WALK_UNDER_LOCK && conditions->walks < WALKS_MAX)
        return SKV_AGAIN;
    return skv_log_walk_locked(parts->log, &conditions->walked, see, &at) ? SKV_OK : SKV_CONFLICT;
}

/* -- keys ----------------------------------------------------------------------------------------------------------- */

/* The log's index decides when it holds the key. When it does not, the shard does, and only a flush can have changed that
 * since it was read. */
static skv_code check(const skv_parts *parts, skv_condition *condition)
{
    skv_key key = {condition->key, condition->key_hash};
    skv_lane *lane = condition->lane;
    skv_position position;
    skv_record newest;
    bool known = true;
    skv_lock(&lane->lock);
    if (skv_lane_find(lane, key, &position, &newest))
        look_in_log(parts, condition, &newest);
    else
        known = condition->seen.below && condition->seen.generation == lane->generation;
    skv_unlock(&lane->lock);
    if (!known) {
        condition->seen.below = false;
        return SKV_AGAIN;
    }
    age(condition);
    return skv_condition_holds(condition) ? SKV_OK : SKV_CONFLICT;
}

static skv_code check_keys(const skv_parts *parts, skv_conditions *conditions)
{
    skv_code all = SKV_OK;
    for (uint32_t i = 0; i < conditions->count; i++) {
        skv_code code = check(parts, &conditions->items[i]);
        if (code == SKV_CONFLICT) {
            conditions->broken = i;
            conditions->met = conditions->items[i].seen;
            return code;
        }
        all = code == SKV_OK ? all : code;
    }
    return all;
}

skv_code skv_conditions_check(skv_parts *parts, skv_conditions *conditions)
{
    skv_code keys = check_keys(parts, conditions);
    skv_code ranges = keys == SKV_CONFLICT ? SKV_OK : check_ranges(parts, conditions);
    return ranges == SKV_OK ? keys : ranges;
}
