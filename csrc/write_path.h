/* L3 path. Writing: admit, append to the log, enter into the indexes, wait for the ack. */
#ifndef SKV_WRITE_PATH_H
#define SKV_WRITE_PATH_H

#include "io.h"
#include "parts.h"

/* How long a call waits before it lets its caller look for signals. */
#define SKV_SLICE_NS (100 * SKV_NS_PER_MS)

/* One put or delete of a batch. The caller fills key, value, flags and, for a record that expires, either how long it
 * shall live or the record's expires_ms; the path the rest. */
typedef struct {
    skv_record record;
    uint64_t ttl_ms; /* from now on; 0: expires_ms counts */
    uint64_t key_hash;
    skv_lane *lane;
} skv_write_op;

/* One frame's worth of ops: all or nothing. */
typedef struct {
    skv_write_op *ops; /* borrowed */
    uint32_t count;
    int ack;
    uint64_t seqno; /* out: of the last record */
} skv_write;

/* What a conditional write expects of its key: the version that skv_read_version found. */
typedef struct {
    uint64_t version;    /* 0: absent */
    uint64_t generation; /* of the lane, when the shard was read */
    uint64_t wait_seqno; /* what the answer rests on must be durable before it is given; 0: it is */
    bool below;          /* the answer came from the shard, not from the log */
} skv_version;

/* May the caller of this workspace use the key, and is the value short enough? INVALID, KEY_TOO_LONG, VALUE_TOO_LARGE. */
skv_code skv_write_check(skv_slice key, size_t value_bytes, skv_io *io);
/* At most SKV_TTL_MS_MAX. INVALID. */
skv_code skv_write_check_ttl(uint64_t ttl_ms, skv_error *err);
/* Append. expected: NULL, or what the key of the first op must still be (CONFLICT: it is not; read again).
 * BUSY, FULL, POISONED, NO_MEMORY. */
skv_code skv_write_append(skv_parts *parts, skv_write *write, const skv_version *expected, skv_error *err);
/* Wait one slice for the ack of seqno. OK, AGAIN, POISONED. */
skv_code skv_write_wait(skv_parts *parts, uint64_t seqno, int ack, skv_error *err);

#endif
