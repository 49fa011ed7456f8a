/* L3 path. Writing: admit, append to the log, enter into the indexes, wait for the ack. */
#ifndef SKV_WRITE_PATH_H
#define SKV_WRITE_PATH_H

#include "condition.h"
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
    skv_conditions *conditions; /* borrowed; NULL: none */
    bool upkeep;         /* the engine's own: the limits of configure are for its users */
    uint64_t seqno;      /* out: of the last record */
    uint64_t wait_seqno; /* out: what the answer of a conditional write rests on; 0: it is durable */
} skv_write;

/* May the caller of this workspace use the key, and is the value short enough? INVALID, KEY_TOO_LONG, VALUE_TOO_LARGE. */
skv_code skv_write_check(skv_slice key, size_t value_bytes, skv_io *io);
/* At most SKV_TTL_MS_MAX. INVALID. */
skv_code skv_write_check_ttl(uint64_t ttl_ms, skv_error *err);
/* Append, if all conditions hold at that moment. BUSY, FULL, POISONED, NO_MEMORY; CONFLICT and AGAIN without a text, as
 * skv_conditions_check: atomic_path.h looks at the keys. */
skv_code skv_write_append(skv_parts *parts, skv_write *write, skv_io *io);
/* What an answer rests on has to be durable before it is given: wait a slice for it. A workspace that does not wait notes
 * it in io->wait_seqno, for its caller to see to, and goes on. OK, AGAIN, POISONED. */
skv_code skv_answer_wait(skv_parts *parts, uint64_t seqno, skv_io *io);
/* The same for the ack of a write. ACK: so many peers are down that its level cannot be reached. AGAIN, and with a workspace
 * that does not wait always: io->wait_ack is the level beyond DISK that is left. */
skv_code skv_write_wait(skv_parts *parts, uint64_t seqno, int ack, skv_io *io);

#endif
