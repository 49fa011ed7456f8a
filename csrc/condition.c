/* L3. Conditions. */
#include "condition.h"

#include "hash.h"

void skv_version_judge(const skv_lane *lane, const skv_record *newest, skv_version *out)
{
    bool gone = skv_lane_gone(lane, newest);
    out->version = gone ? 0 : newest->seqno;
    out->expires_ms = gone ? 0 : newest->expires_ms;
}

skv_version skv_version_of(const skv_lane *lane, const skv_log *log, const skv_record *newest)
{
    bool waited_for = !(newest->flags & SKV_RECORD_MEMORY_ACK) && newest->seqno > skv_log_durable(log);
    skv_version seen = {.wait_seqno = waited_for ? newest->seqno : 0};
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
    if (!known)
        return SKV_AGAIN;
    age(condition);
    return skv_condition_holds(condition) ? SKV_OK : SKV_CONFLICT;
}

skv_code skv_conditions_check(const skv_parts *parts, skv_conditions *conditions)
{
    skv_code all = SKV_OK;
    for (uint32_t i = 0; i < conditions->count; i++) {
        skv_code code = check(parts, &conditions->items[i]);
        if (code == SKV_CONFLICT) {
            conditions->broken = i;
            return code;
        }
        all = code == SKV_OK ? all : code;
    }
    return all;
}
