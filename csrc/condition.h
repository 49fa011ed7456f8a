/* L3. Conditions of a write: what the version of a key has to be at the append point, and ranges of keys in which nothing may
 * have been written. The evidence is gathered beforehand, outside every lock, by reading the keys and walking the log; under
 * the log's lock it is enough to know whether it still holds. */
#ifndef SKV_CONDITION_H
#define SKV_CONDITION_H

#include "log_walk.h"
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
    skv_version seen;     /* the newest that is known; below: it still counts */
    bool expired_too;     /* a record counts by its version though it has expired */
    uint64_t key_hash;    /* filled in by the write */
    skv_lane *lane;       /* likewise */
} skv_condition;

/* Keys from start up to stop, which is not one of them; NULL data: open. */
typedef struct {
    skv_slice start, stop; /* borrowed */
} skv_range;

/* The conditions of one write. Ranges: no record of a key inside was appended behind `walked`, which its owner keeps in the
 * log; they are in order and do not meet. */
typedef struct {
    skv_condition *items; /* borrowed */
    uint32_t count;
    uint32_t range_count;
    skv_range *ranges; /* borrowed */
    skv_log_place walked;
    unsigned walks;
    uint64_t expires_ms; /* that of the key that expires first among those inside the ranges; 0: none does */
    uint32_t broken;     /* out with CONFLICT: which does not hold; ranges count on behind the items, then the expiry */
    skv_version met;     /* out likewise: what was found instead */
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
/* Look for a record inside the ranges, as far as the log goes now; outside every lock. OK, CONFLICT. */
skv_code skv_conditions_walk(const skv_parts *parts, skv_conditions *conditions);
/* Do all of them hold now? Under the log's lock: nothing is appended meanwhile. OK; CONFLICT: `broken` does not, but `met`;
 * AGAIN: a flush made old what was seen of some keys, or much was appended: look again. */
skv_code skv_conditions_check(skv_parts *parts, skv_conditions *conditions);

#endif
