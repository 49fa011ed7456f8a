/* L3. Conditions of a write: what the version of a key has to be at the append point. The evidence is gathered beforehand,
 * outside every lock, by reading the key; under the log's lock it is enough to know whether it still holds. */
#ifndef SKV_CONDITION_H
#define SKV_CONDITION_H

#include "parts.h"

/* What somebody saw of a key: see skv_read_version. All zeros: nothing yet. */
typedef struct {
    uint64_t version;    /* seqno of its record; 0: absent */
    uint64_t expires_ms; /* of that record; 0: it does not expire */
    uint64_t generation; /* of the lane, when the shard was read */
    uint64_t wait_seqno; /* what an answer that rests on this needs durable; 0: it is */
    bool below;          /* it came from the shard, not from the log */
} skv_version;

typedef struct {
    skv_slice key; /* borrowed */
    uint64_t least, most; /* of versions that will do */
    skv_version seen;     /* the newest that is known */
    bool expired_too;     /* a record counts by its version though it has expired */
    uint64_t key_hash;    /* filled in by the write */
    skv_lane *lane;       /* likewise */
} skv_condition;

/* The conditions of one write. */
typedef struct {
    skv_condition *items; /* borrowed */
    uint32_t count;
    uint32_t broken; /* out with CONFLICT: which one does not hold */
} skv_conditions;

/* What its newest record says of a key now: a version, or 0 when it is a delete or has expired. */
void skv_version_judge(const skv_lane *lane, const skv_record *newest, skv_version *out);
/* The same for a record of the log. */
skv_version skv_version_of(const skv_lane *lane, const skv_log *log, const skv_record *newest);
static inline bool skv_condition_holds(const skv_condition *condition)
{
    return condition->least <= condition->seen.version && condition->seen.version <= condition->most;
}
/* Hash and route the keys; outside every lock. */
void skv_conditions_route(const skv_parts *parts, skv_conditions *conditions);
/* Do all of them hold now? Under the log's lock: nothing is appended meanwhile. OK; CONFLICT: `broken` does not, and its
 * `seen` is true; AGAIN: a flush made old what was seen of some keys, look at them again. */
skv_code skv_conditions_check(const skv_parts *parts, skv_conditions *conditions);

#endif
