/* L3 path. Writing. */
#include "write_path.h"

#include "hash.h"
#include "memory.h"

#define PREFETCH_AHEAD 8

skv_code skv_write_check(skv_slice key, size_t value_bytes, skv_io *io)
{
    if (key.bytes == 0)
        return skv_fail(&io->error, SKV_INVALID, "the key is empty; a key has 1..%d bytes", SKV_KEY_BYTES_MAX);
    if (key.bytes > SKV_KEY_BYTES_MAX)
        return skv_fail(&io->error, SKV_KEY_TOO_LONG, "the key has %zu bytes; at most %d", key.bytes, SKV_KEY_BYTES_MAX);
    if (skv_key_reserved(key) && !(io->flags & SKV_IO_RESERVED))
        return skv_fail(&io->error, SKV_INVALID,
                        "the key begins with %d bytes 0xff, which are reserved: use store.namespace() for typed keys",
                        SKV_RESERVED_BYTES);
    if (value_bytes > SKV_VALUE_BYTES_MAX)
        return skv_fail(&io->error, SKV_VALUE_TOO_LARGE, "the value has %zu bytes; at most %d", value_bytes,
                        SKV_VALUE_BYTES_MAX);
    return SKV_OK;
}

skv_code skv_write_check_ttl(uint64_t ttl_ms, skv_error *err)
{
    if (ttl_ms <= SKV_TTL_MS_MAX)
        return SKV_OK;
    return skv_fail(err, SKV_INVALID, "the ttl is %llu ms; at most %llu", (unsigned long long)ttl_ms,
                    (unsigned long long)SKV_TTL_MS_MAX);
}

/* When the record expires: the only place where a ttl becomes a time. One look at the clock serves a whole batch. */
static void set_expiry(skv_clock *clock, uint64_t *now_ms, skv_write_op *op)
{
    if (op->ttl_ms && !*now_ms)
        *now_ms = skv_clock_now(clock);
    if (op->ttl_ms)
        op->record.expires_ms = *now_ms + op->ttl_ms;
    if (op->record.expires_ms)
        op->record.flags |= SKV_RECORD_EXPIRES;
}

/* Hash, route and size all ops; outside every lock. */
static size_t prepare(skv_parts *parts, const skv_write *write)
{
    size_t bytes = 0;
    uint64_t now_ms = 0;
    for (uint32_t i = 0; i < write->count; i++) {
        skv_write_op *op = &write->ops[i];
        op->key_hash = skv_key_of(op->record.key).hash;
        skv_ring_prefetch(parts->ring, op->key_hash);
    }
    for (uint32_t i = 0; i < write->count; i++) {
        skv_write_op *op = &write->ops[i];
        if (write->ack == SKV_ACK_MEMORY)
            op->record.flags |= SKV_RECORD_MEMORY_ACK;
        set_expiry(&parts->clock, &now_ms, op);
        op->lane = skv_parts_lane(parts, (skv_key){op->record.key, op->key_hash});
        bytes += skv_record_bytes(&op->record);
    }
    if (write->conditions)
        skv_conditions_route(parts, write->conditions);
    return bytes;
}

/* The ops of a batch, grouped by lane, each group in the order of the batch. */
typedef struct {
    uint32_t *order;  /* owned */
    uint32_t *starts; /* of each lane's group in `order`; one more than lanes */
} lane_groups;

static bool group_by_lane(const skv_parts *parts, const skv_write *write, lane_groups *out)
{
    uint32_t lanes = parts->lane_count, sum = 0;
    out->order = skv_alloc(((size_t)write->count + lanes + 1) * sizeof out->order[0]);
    if (!out->order)
        return false;
    out->starts = out->order + write->count;
    for (uint32_t i = 0; i < write->count; i++)
        out->starts[write->ops[i].lane - parts->lanes]++;
    for (uint32_t lane = 0; lane <= lanes; lane++) {
        uint32_t here = out->starts[lane];
        out->starts[lane] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < write->count; i++)
        out->order[out->starts[write->ops[i].lane - parts->lanes]++] = i;
    for (uint32_t lane = lanes; lane > 0; lane--) /* the fill moved every start to the next one's */
        out->starts[lane] = out->starts[lane - 1];
    out->starts[0] = 0;
    return true;
}

/* Under the log's lock, which keeps the active generations in place. Reserves for ops order[from..to) of one lane;
 * on failure for none of them. */
static skv_code reserve_lane(skv_lane *lane, const skv_write *write, const uint32_t *order, uint32_t count,
                             const skv_cut *cuts)
{
    skv_code code = SKV_OK;
    uint32_t done = 0;
    skv_lock(&lane->lock);
    for (; done < count && code == SKV_OK; done++)
        code = skv_index_reserve(lane->active, write->ops[order[done]].key_hash, cuts);
    if (code != SKV_OK)
        for (done--; done-- > 0;)
            skv_index_unreserve(lane->active, write->ops[order[done]].key_hash, cuts);
    skv_unlock(&lane->lock);
    return code;
}

static void unreserve_lane(skv_lane *lane, const skv_write *write, const uint32_t *order, uint32_t count,
                           const skv_cut *cuts)
{
    skv_lock(&lane->lock);
    for (uint32_t i = 0; i < count; i++)
        skv_index_unreserve(lane->active, write->ops[order[i]].key_hash, cuts);
    skv_unlock(&lane->lock);
}

/* After this no insert can fail for want of memory. */
static skv_code reserve(skv_parts *parts, const skv_write *write, const lane_groups *groups, skv_error *err)
{
    const uint32_t *starts = groups->starts;
    for (uint32_t lane = 0; lane < parts->lane_count; lane++) {
        skv_code code = reserve_lane(&parts->lanes[lane], write, groups->order + starts[lane],
                                     starts[lane + 1] - starts[lane], parts->cuts);
        if (code == SKV_OK)
            continue;
        while (lane-- > 0)
            unreserve_lane(&parts->lanes[lane], write, groups->order + starts[lane], starts[lane + 1] - starts[lane],
                           parts->cuts);
        return skv_fail(err, code, "out of memory: the index cannot grow");
    }
    return SKV_OK;
}

/* Under the locks of the log and of the lane, after a reservation. */
static void append_reserved(skv_parts *parts, skv_write_op *op)
{
    skv_position position = skv_log_append(parts->log, &op->record);
    skv_index_insert(op->lane->active, op->key_hash, position, &op->record, parts->cuts);
}

/* What an append will touch: a line of the index, and the value's first two. */
static void prefetch_op(const skv_lane *lane, const skv_write_op *op)
{
    const uint8_t *value = op->record.value.data;
    skv_index_prefetch(lane->active, op->key_hash);
    __builtin_prefetch(value);
    __builtin_prefetch(value + op->record.value.bytes / 2);
}

static void append_lane(skv_parts *parts, skv_lane *lane, const skv_write *write, const uint32_t *order, uint32_t count)
{
    skv_lock(&lane->lock);
    for (uint32_t i = 0; i < count; i++) {
        if (i + PREFETCH_AHEAD < count)
            prefetch_op(lane, &write->ops[order[i + PREFETCH_AHEAD]]);
        append_reserved(parts, &write->ops[order[i]]);
    }
    skv_unlock(&lane->lock);
}

/* Lane by lane: keys of different lanes may change places in the log, inside a frame that is whole or absent. */
static skv_code append_batch(skv_parts *parts, const skv_write *write, skv_error *err)
{
    lane_groups groups;
    skv_code code;
    if (!group_by_lane(parts, write, &groups))
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: a batch of %u", write->count);
    code = reserve(parts, write, &groups, err);
    for (uint32_t lane = 0; lane < parts->lane_count && code == SKV_OK; lane++)
        if (groups.starts[lane + 1] > groups.starts[lane])
            append_lane(parts, &parts->lanes[lane], write, groups.order + groups.starts[lane],
                        groups.starts[lane + 1] - groups.starts[lane]);
    skv_release(groups.order);
    return code;
}

/* The common case: one record, one hold of its lane's lock. */
static skv_code append_one(skv_parts *parts, skv_write_op *op, skv_error *err)
{
    skv_code code;
    skv_lock(&op->lane->lock);
    code = skv_index_reserve(op->lane->active, op->key_hash, parts->cuts);
    skv_index_prefetch(op->lane->active, op->key_hash);
    if (code == SKV_OK)
        append_reserved(parts, op);
    skv_unlock(&op->lane->lock);
    return code == SKV_OK ? SKV_OK : skv_fail(err, code, "out of memory: the index cannot grow");
}

/* Under the log's lock. Nothing has happened when it fails. */
static skv_code append_all(skv_parts *parts, skv_write *write, size_t bytes, skv_error *err)
{
    skv_code code;
    write->seqno = skv_log_last(parts->log);
    if (!write->count) /* all that was asked is whether the conditions hold */
        return SKV_OK;
    code = skv_log_reserve(parts->log, bytes, err);
    if (code == SKV_OK)
        code = write->count == 1 ? append_one(parts, write->ops, err) : append_batch(parts, write, err);
    if (code != SKV_OK)
        return code;
    write->seqno = skv_log_last(parts->log);
    if (write->ack != SKV_ACK_MEMORY)
        skv_log_note_disk(parts->log);
    if (write->ack == SKV_ACK_MEMORY || write->ack == SKV_ACK_LATER) /* nobody is about to wait: the sync loop shall do it */
        skv_log_want_sync(parts->log);
    skv_pressure_add(&parts->pressure, bytes);
    return SKV_OK;
}

static skv_code refuse_full(skv_parts *parts, skv_error *err)
{
    skv_code code = skv_pressure_failure(&parts->pressure, "the budget of unflushed bytes is used up and flushing fails", err);
    if (code != SKV_OK)
        return code;
    return skv_fail(err, SKV_BUSY, "the budget of unflushed bytes is used up, flushing is too slow");
}

/* The limits of configure: first of all, so that who waits for them takes no part of what a flush manages. */
static skv_code take_turn(skv_parts *parts, const skv_write *write, size_t bytes, skv_io *io)
{
    uint64_t wait_ns;
    if (write->upkeep || (!skv_admission_limited(&parts->admission) && !io->turn.epoch))
        return SKV_OK;
    wait_ns = skv_admission_wait(&parts->admission, &io->turn, (skv_demand){write->count, bytes},
                                 skv_io_no_wait(io) ? 0 : SKV_SLICE_NS);
    if (!wait_ns)
        return SKV_OK;
    io->retry_ns = wait_ns;
    return skv_fail(&io->error, SKV_BUSY, "the limit of writes or bytes per second is used up, the turn comes in %.3f s",
                    (double)wait_ns / 1e9);
}

/* The room that was there before anybody looked: what appears meanwhile is not missed. */
static skv_code admit(skv_parts *parts, const skv_write *write, size_t bytes, skv_io *io)
{
    skv_code code = take_turn(parts, write, bytes, io);
    if (code != SKV_OK)
        return code;
    io->room = skv_notify_room_read(&parts->notifiers);
    code = skv_io_no_wait(io) ? skv_pressure_try(&parts->pressure, bytes, &io->retry_ns)
                              : skv_pressure_admit(&parts->pressure, bytes, SKV_SLICE_NS);
    if (code != SKV_OK && skv_io_no_wait(io) && io->retry_ns)
        return skv_fail(&io->error, code, "most of the budget of unflushed bytes is used up, writers are slowed down");
    return code == SKV_OK ? SKV_OK : refuse_full(parts, &io->error);
}

skv_code skv_write_append(skv_parts *parts, skv_write *write, skv_io *io)
{
    size_t bytes = prepare(parts, write);
    uint64_t end = 0, now;
    skv_code code = admit(parts, write, bytes, io);
    io->wait_ack = 0;
    while (code == SKV_OK) {
        unsigned seen = skv_log_room_read(parts->log);
        skv_log_lock(parts->log);
        if (write->conditions)
            code = skv_conditions_check(parts, write->conditions);
        if (code == SKV_OK)
            code = append_all(parts, write, bytes, &io->error);
        skv_log_unlock(parts->log);
        if (code == SKV_OK)
            skv_admission_spend(&io->turn);
        io->seqno = write->seqno;
        if (code != SKV_BUSY)
            return code;
        now = skv_now_ns();
        end = end ? end : now + SKV_SLICE_NS;
        if (now >= end || skv_io_no_wait(io))
            return code;
        skv_log_room_wait(parts->log, seen, end - now);
        code = SKV_OK;
    }
    return code;
}

skv_code skv_answer_wait(skv_parts *parts, uint64_t seqno, skv_io *io)
{
    skv_code code = skv_log_wait(parts->log, seqno, skv_io_no_wait(io) ? 0 : SKV_SLICE_NS, &io->error);
    if (code != SKV_AGAIN || !skv_io_no_wait(io))
        return code;
    io->wait_seqno = seqno > io->wait_seqno ? seqno : io->wait_seqno;
    return SKV_OK;
}

/* The store's own sync and the peers' in one wait: who waits for both is woken once. */
static skv_code wait_for_all(skv_parts *parts, uint64_t seqno, int ack, skv_io *io)
{
    skv_code code = skv_log_push(parts->log, seqno, &io->error);
    if (code != SKV_OK && code != SKV_AGAIN)
        return code;
    skv_acks_local(&parts->acks, skv_log_durable(parts->log));
    return skv_acks_wait(&parts->acks, ack, seqno, SKV_SLICE_NS, &io->error);
}

skv_code skv_write_wait(skv_parts *parts, uint64_t seqno, int ack, skv_io *io)
{
    skv_code code;
    io->wait_ack = 0;
    if (ack == SKV_ACK_MEMORY || ack == SKV_ACK_LATER)
        return SKV_OK;
    if (ack == SKV_ACK_DISK || skv_io_no_wait(io) || skv_acks_reached(&parts->acks, ack) == UINT64_MAX)
        code = skv_answer_wait(parts, seqno, io);
    else
        code = wait_for_all(parts, seqno, ack, io);
    if (ack >= SKV_ACK_QUORUM && (code == SKV_AGAIN || skv_io_no_wait(io)))
        io->wait_ack = ack;
    return code;
}
