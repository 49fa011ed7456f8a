/* L4 house. The contract's writing half: check the arguments, call one path, return its code. */
#include "atomic_path.h"
#include "batch.h"
#include "io.h"
#include "memory.h"
#include "store.h"

static skv_code append_put(skv_store *store, skv_slice key, skv_slice value, int ack, uint64_t ttl_ms, skv_io *io)
{
    skv_write_op op = {.record = {.key = key, .value = value}, .ttl_ms = ttl_ms};
    skv_write write = {.ops = &op, .count = 1, .ack = ack};
    skv_code code = skv_write_check(key, value.bytes, io);
    if (code == SKV_OK)
        code = skv_write_check_ttl(ttl_ms, &io->error);
    if (code == SKV_OK)
        code = skv_write_append(&store->parts, &write, io);
    return code;
}

int64_t skv_put(skv_store *store, const char *key, size_t key_bytes, const char *value, size_t value_bytes, int ack,
                uint64_t ttl_ms, skv_io *io)
{
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = append_put(store, skv_slice_at(key, key_bytes), skv_slice_at(value, value_bytes), ack, ttl_ms, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, io);
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)io->seqno : code;
}

/* -- deletes -------------------------------------------------------------------------------------------------------- */

static skv_code delete_found(void *context, const skv_record *found, skv_write_op *op, skv_error *err)
{
    (void)context, (void)err;
    op->record.flags = SKV_RECORD_DELETE;
    return found ? SKV_OK : SKV_NOT_FOUND;
}

static skv_code keep_and_delete(void *context, const skv_record *found, skv_write_op *op, skv_error *err)
{
    skv_io *io = context;
    skv_code code = delete_found(NULL, found, op, err);
    if (code != SKV_OK)
        return code;
    io->bytes = 0;
    code = skv_io_room(io, found->value.bytes);
    if (code == SKV_OK)
        skv_io_append(io, found->value.data, found->value.bytes);
    return code;
}

/* That the key was there, or not, is an answer like that of a read: see skv_atomic_answer. */
static skv_code delete_present(skv_store *store, skv_write *write, skv_change change, skv_io *io)
{
    skv_code code = skv_write_check(write->ops->record.key, 0, io);
    return code == SKV_OK ? skv_atomic_change(&store->parts, write, change, io, io) : code;
}

static skv_code delete_and_wait(skv_store *store, skv_slice key, skv_change change, int ack, skv_io *io)
{
    skv_write_op op = {.record.key = key};
    skv_write write = {.ops = &op, .count = 1, .ack = ack};
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = delete_present(store, &write, change, io);
    code = skv_atomic_answer(&store->parts, &write, code, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, io);
    skv_store_leave(store);
    return code;
}

skv_code skv_delete(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io)
{
    return delete_and_wait(store, skv_slice_at(key, key_bytes), delete_found, ack, io);
}

skv_code skv_pop(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io)
{
    return delete_and_wait(store, skv_slice_at(key, key_bytes), keep_and_delete, ack, io);
}

/* -- batches -------------------------------------------------------------------------------------------------------- */

/* Check all, then append them as one batch. */
static skv_code append_ops(skv_store *store, skv_write *write, skv_io *io)
{
    skv_code code = skv_batch_check(write, io);
    if (code == SKV_OK)
        code = skv_write_append(&store->parts, write, io);
    return code;
}

static skv_code apply_and_wait(skv_store *store, skv_unpack in, bool deletes, int ack, uint64_t ttl_ms, skv_io *io)
{
    skv_write write = {.ack = ack};
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_batch_take(&in, deletes, ttl_ms, &write, io);
    if (code == SKV_OK)
        code = append_ops(store, &write, io);
    skv_release(write.ops);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, write.ack, io);
    skv_store_leave(store);
    return code;
}

skv_code skv_apply(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io)
{
    return apply_and_wait(store, skv_unpack_of(blob, blob_bytes), true, ack, ttl_ms, io);
}

skv_code skv_put_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io)
{
    return apply_and_wait(store, skv_unpack_of(blob, blob_bytes), false, ack, ttl_ms, io);
}

static skv_code put_pairs(skv_store *store, const skv_put_item *pairs, uint32_t count, int ack, skv_io *io)
{
    skv_write write = {.ops = skv_alloc(count * sizeof write.ops[0]), .count = count, .ack = ack};
    skv_code code;
    if (!write.ops)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: a batch of %u", count);
    for (uint32_t i = 0; i < count; i++) {
        write.ops[i].record.key = skv_slice_at(pairs[i].key, pairs[i].key_bytes);
        write.ops[i].record.value = skv_slice_at(pairs[i].value, pairs[i].value_bytes);
    }
    code = append_ops(store, &write, io);
    skv_release(write.ops);
    return code;
}

skv_code skv_put_pairs(skv_store *store, const skv_put_item *pairs, uint32_t count, int ack, skv_io *io)
{
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = put_pairs(store, pairs, count, ack, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, io);
    skv_store_leave(store);
    return code;
}

/* One answer for all: it rests on whatever was seen of any key, also when there is no room for the rest. */
static skv_code delete_keys(skv_store *store, skv_unpack *in, uint32_t count, int ack, skv_io *io)
{
    skv_write_op op;
    skv_write write = {.ops = &op, .count = 1, .ack = ack};
    uint64_t deleted = 0, newest = 0, rests = 0;
    skv_code code = SKV_OK, waited = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++) {
        op = (skv_write_op){0};
        write.wait_seqno = 0;
        code = skv_batch_take_bytes(in, &op.record.key, i, "the key is not bytes", io);
        if (code == SKV_OK)
            code = delete_present(store, &write, delete_found, io);
        if (code == SKV_OK) {
            deleted++;
            newest = io->seqno;
        }
        rests = write.wait_seqno > rests ? write.wait_seqno : rests;
        code = code == SKV_NOT_FOUND ? SKV_OK : code;
    }
    io->bytes = deleted;
    io->seqno = newest > rests ? newest : rests;
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, newest, ack, io);
    if (code == SKV_OK || code == SKV_BUSY)
        waited = skv_answer_wait(&store->parts, rests, io);
    return code == SKV_OK ? waited : code;
}

skv_code skv_delete_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, skv_io *io)
{
    skv_unpack in = skv_unpack_of(blob, blob_bytes);
    uint32_t count;
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_unpack_array(&in, &count) ? delete_keys(store, &in, count, ack, io)
                                         : skv_batch_refuse(io, 0, "the keys are not an array");
    skv_store_leave(store);
    return code;
}

/* -- limits --------------------------------------------------------------------------------------------------------- */

void skv_give_up(skv_store *store, skv_io *io)
{
    skv_error ignored;
    if (skv_store_enter(store, &ignored) != SKV_OK)
        return;
    skv_admission_withdraw(&store->parts.admission, &io->turn);
    skv_store_leave(store);
}

int skv_is_limited(const skv_store *store)
{
    return skv_admission_limited(&store->parts.admission);
}

/* -- waiting -------------------------------------------------------------------------------------------------------- */

/* Who stops the store syncs what was appended before: until that is done nobody waits in vain. */
static skv_code wait_for_stop(skv_store *store, uint64_t seqno, uint64_t slice_ns, skv_error *err)
{
    unsigned seen = skv_event_read(&store->left);
    bool stopped = atomic_load(&store->stopped);
    if (atomic_load(&store->last_durable) >= seqno)
        return SKV_OK;
    if (stopped && store->stop_error.code == SKV_OK)
        return SKV_CLOSED;
    if (stopped) {
        *err = store->stop_error;
        return err->code;
    }
    skv_event_wait(&store->left, seen, slice_ns);
    return SKV_AGAIN;
}

skv_code skv_wait(skv_store *store, uint64_t seqno, uint32_t slice_ms, skv_io *io)
{
    uint64_t slice_ns = skv_io_no_wait(io) ? 0 : slice_ms * SKV_NS_PER_MS;
    skv_code code = skv_store_enter(store, &io->error);
    if (code == SKV_CLOSED)
        return wait_for_stop(store, seqno, slice_ns, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_log_wait(store->parts.log, seqno, slice_ns, &io->error);
    skv_store_leave(store);
    return code;
}

uint64_t skv_last_seqno(skv_store *store)
{
    skv_error ignored;
    uint64_t seqno;
    if (skv_store_enter(store, &ignored) != SKV_OK)
        return atomic_load(&store->last_durable);
    skv_log_lock(store->parts.log);
    seqno = skv_log_last(store->parts.log);
    skv_log_unlock(store->parts.log);
    skv_store_leave(store);
    return seqno;
}

uint64_t skv_durable_seqno(skv_store *store)
{
    skv_error ignored;
    uint64_t seqno;
    if (skv_store_enter(store, &ignored) != SKV_OK)
        return atomic_load(&store->last_durable);
    seqno = skv_log_durable(store->parts.log);
    skv_store_leave(store);
    return seqno;
}
