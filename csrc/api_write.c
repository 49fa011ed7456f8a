/* L4 house. The contract's writing half: check the arguments, call one path, return its code. */
#include "hash.h"
#include "io.h"
#include "memory.h"
#include "msgpack.h"
#include "read_path.h"
#include "store.h"

static skv_slice slice_of(const char *data, size_t bytes)
{
    return (skv_slice){(const uint8_t *)data, bytes};
}

static skv_code enter_to_write(skv_store *store, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK || !store->readonly)
        return code;
    skv_store_leave(store);
    return skv_fail(&io->error, SKV_READ_ONLY, "the store %s was opened read-only", store->path);
}

static skv_code append_put(skv_store *store, skv_slice key, skv_slice value, int ack, uint64_t ttl_ms, skv_io *io)
{
    skv_write_op op = {.record = {.key = key, .value = value}, .ttl_ms = ttl_ms};
    skv_write write = {.ops = &op, .count = 1, .ack = ack};
    skv_code code = skv_write_check(key, value.bytes, io);
    if (code == SKV_OK)
        code = skv_write_check_ttl(ttl_ms, &io->error);
    if (code == SKV_OK)
        code = skv_write_append(&store->parts, &write, NULL, &io->error);
    io->seqno = write.seqno;
    return code;
}

int64_t skv_put(skv_store *store, const char *key, size_t key_bytes, const char *value, size_t value_bytes, int ack,
                uint64_t ttl_ms, skv_io *io)
{
    skv_code code = enter_to_write(store, io);
    if (code != SKV_OK)
        return code;
    code = append_put(store, slice_of(key, key_bytes), slice_of(value, value_bytes), ack, ttl_ms, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, &io->error);
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)io->seqno : code;
}

/* -- deletes -------------------------------------------------------------------------------------------------------- */

static skv_code keep_value(void *context, const skv_record *record, skv_error *err)
{
    skv_io *io = context;
    skv_code code;
    (void)err;
    io->bytes = 0;
    code = skv_io_room(io, record->value.bytes);
    if (code == SKV_OK)
        skv_io_append(io, record->value.data, record->value.bytes);
    return code;
}

/* Read the version, delete on condition that it still holds; begin again when somebody was quicker. */
static skv_code delete_present(skv_store *store, skv_slice key, skv_read_use use, int ack, skv_io *io)
{
    skv_code code = skv_write_check(key, 0, io);
    while (code == SKV_OK) {
        skv_write_op op = {.record = {.key = key, .value = key, .flags = SKV_RECORD_DELETE}};
        skv_write write = {.ops = &op, .count = 1, .ack = ack};
        skv_version version;
        code = skv_read_version(&store->parts, key, use, io, &version, &io->error);
        /* That the key is there, or not, is an answer like that of a read; our own sync covers it when there is one. */
        if (version.wait_seqno && (code == SKV_NOT_FOUND || (code == SKV_OK && ack != SKV_ACK_DISK))) {
            skv_code waited = skv_log_wait(store->parts.log, version.wait_seqno, SKV_SLICE_NS, &io->error);
            if (waited != SKV_OK)
                return waited == SKV_AGAIN ? SKV_BUSY : waited;
        }
        if (code != SKV_OK)
            return code;
        op.record.value.bytes = 0;
        code = skv_write_append(&store->parts, &write, &version, &io->error);
        io->seqno = write.seqno;
        if (code != SKV_CONFLICT)
            return code;
        code = SKV_OK;
    }
    return code;
}

static skv_code delete_and_wait(skv_store *store, skv_slice key, skv_read_use use, int ack, skv_io *io)
{
    skv_code code = enter_to_write(store, io);
    if (code != SKV_OK)
        return code;
    code = delete_present(store, key, use, ack, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, &io->error);
    skv_store_leave(store);
    return code;
}

skv_code skv_delete(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io)
{
    return delete_and_wait(store, slice_of(key, key_bytes), NULL, ack, io);
}

skv_code skv_pop(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io)
{
    return delete_and_wait(store, slice_of(key, key_bytes), keep_value, ack, io);
}

/* -- batches -------------------------------------------------------------------------------------------------------- */

static skv_code refuse_item(skv_io *io, uint32_t item, const char *what)
{
    return skv_fail_at(&io->error, SKV_WRONG_TYPE, "", item, 0, "item %u: %s", item, what);
}

static skv_code take_bytes(skv_unpack *in, skv_slice *out, uint32_t item, const char *what, skv_io *io)
{
    if (skv_unpack_bin(in, out))
        return SKV_OK;
    if (skv_unpack_kind(in) == SKV_MP_STR)
        return refuse_item(io, item, "a str where bytes belong; use store.namespace() for typed keys and values");
    return refuse_item(io, item, what);
}

static skv_code take_pair(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    skv_code code = take_bytes(in, &op->record.key, item, "the key is not bytes", io);
    return code == SKV_OK ? take_bytes(in, &op->record.value, item, "the value is not bytes", io) : code;
}

/* A pair that is an array of two. */
static skv_code take_put(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    uint32_t pair;
    if (skv_unpack_kind(in) == SKV_MP_STR)
        return take_bytes(in, &op->record.key, item, "", io);
    if (!skv_unpack_array(in, &pair) || pair != 2)
        return refuse_item(io, item, "not a pair of key and value");
    return take_pair(in, op, item, io);
}

/* A pair, or a pair and its own ttl. */
static skv_code take_put_with_ttl(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    uint32_t fields;
    skv_code code;
    if (!skv_unpack_array(in, &fields) || fields < 2 || fields > 3)
        return refuse_item(io, item, "neither a pair of key and value nor one with a ttl");
    code = take_pair(in, op, item, io);
    if (code == SKV_OK && fields == 3 && !skv_unpack_uint(in, &op->ttl_ms))
        return refuse_item(io, item, "the ttl is not a number of milliseconds");
    return code;
}

/* A pair to put, with its own ttl or without, or a key to delete. */
static skv_code take_put_or_delete(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    if (skv_unpack_kind(in) == SKV_MP_ARRAY)
        return take_put_with_ttl(in, op, item, io);
    op->record.flags = SKV_RECORD_DELETE;
    op->ttl_ms = 0;
    return take_bytes(in, &op->record.key, item, "neither a key nor a (key, value) pair of bytes", io);
}

typedef skv_code (*take_item)(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io);

/* Check all, then append them as one batch. */
static skv_code append_ops(skv_store *store, skv_write_op *ops, uint32_t count, int ack, skv_io *io)
{
    skv_write write = {.ops = ops, .count = count, .ack = ack};
    uint64_t bytes = 0;
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++) {
        skv_record *record = &ops[i].record;
        code = skv_write_check(record->key, record->value.bytes, io);
        if (code == SKV_OK)
            code = skv_write_check_ttl(ops[i].ttl_ms, &io->error);
        if (!record->value.data)
            record->value.data = record->key.data; /* empty, but never a null pointer */
        bytes += record->key.bytes + record->value.bytes;
    }
    if (code != SKV_OK)
        return code;
    if (bytes > SKV_BATCH_BYTES_MAX)
        return skv_fail(&io->error, SKV_VALUE_TOO_LARGE, "the batch has %llu bytes of keys and values; at most %d",
                        (unsigned long long)bytes, SKV_BATCH_BYTES_MAX);
    code = skv_write_append(&store->parts, &write, NULL, &io->error);
    io->seqno = write.seqno;
    return code;
}

/* Every op has the ttl of those that name none. */
static skv_code take_ops(skv_unpack *in, skv_write_op *ops, uint32_t count, take_item take, skv_io *io)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++)
        code = take(in, &ops[i], i, io);
    return code;
}

static skv_code apply_blob(skv_store *store, skv_slice blob, take_item take, int ack, uint64_t ttl_ms, skv_io *io)
{
    skv_unpack in = {blob.data, blob.data + blob.bytes};
    uint32_t count;
    skv_write_op *ops;
    skv_code code;
    bool map = skv_unpack_map(&in, &count);
    if (!map && !skv_unpack_array(&in, &count))
        return refuse_item(io, 0, "a batch is a map or an array");
    if (count > blob.bytes) /* an item takes at least one byte: a length alone never allocates */
        return refuse_item(io, 0, "the batch ends too early");
    io->seqno = skv_last_seqno(store);
    if (!count)
        return SKV_OK;
    ops = skv_alloc(count * sizeof ops[0]);
    if (!ops)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: a batch of %u", count);
    for (uint32_t i = 0; i < count; i++)
        ops[i].ttl_ms = ttl_ms;
    code = take_ops(&in, ops, count, map ? take_pair : take, io);
    if (code == SKV_OK)
        code = append_ops(store, ops, count, ack, io);
    skv_release(ops);
    return code;
}

static skv_code apply_and_wait(skv_store *store, skv_slice blob, take_item take, int ack, uint64_t ttl_ms, skv_io *io)
{
    skv_code code = enter_to_write(store, io);
    if (code != SKV_OK)
        return code;
    code = apply_blob(store, blob, take, ack, ttl_ms, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, &io->error);
    skv_store_leave(store);
    return code;
}

skv_code skv_apply(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io)
{
    return apply_and_wait(store, slice_of(blob, blob_bytes), take_put_or_delete, ack, ttl_ms, io);
}

skv_code skv_put_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io)
{
    return apply_and_wait(store, slice_of(blob, blob_bytes), take_put, ack, ttl_ms, io);
}

static skv_code put_pairs(skv_store *store, const skv_put_item *pairs, uint32_t count, int ack, skv_io *io)
{
    skv_write_op *ops = skv_alloc(count * sizeof ops[0]);
    skv_code code;
    if (!ops)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: a batch of %u", count);
    for (uint32_t i = 0; i < count; i++) {
        ops[i].record.key = slice_of(pairs[i].key, pairs[i].key_bytes);
        ops[i].record.value = slice_of(pairs[i].value, pairs[i].value_bytes);
    }
    code = append_ops(store, ops, count, ack, io);
    skv_release(ops);
    return code;
}

skv_code skv_put_pairs(skv_store *store, const skv_put_item *pairs, uint32_t count, int ack, skv_io *io)
{
    skv_code code = enter_to_write(store, io);
    if (code != SKV_OK)
        return code;
    code = put_pairs(store, pairs, count, ack, io);
    if (code == SKV_OK)
        code = skv_write_wait(&store->parts, io->seqno, ack, &io->error);
    skv_store_leave(store);
    return code;
}

static skv_code delete_keys(skv_store *store, skv_unpack *in, uint32_t count, int ack, skv_io *io)
{
    uint64_t deleted = 0, newest = 0;
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++) {
        skv_slice key;
        code = take_bytes(in, &key, i, "the key is not bytes", io);
        if (code == SKV_OK)
            code = delete_present(store, key, NULL, ack, io);
        if (code == SKV_OK) {
            deleted++;
            newest = io->seqno;
        }
        code = code == SKV_NOT_FOUND ? SKV_OK : code;
    }
    io->bytes = deleted;
    io->seqno = newest;
    return code == SKV_OK ? skv_write_wait(&store->parts, newest, ack, &io->error) : code;
}

skv_code skv_delete_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, skv_io *io)
{
    skv_unpack in = {(const uint8_t *)blob, (const uint8_t *)blob + blob_bytes};
    uint32_t count;
    skv_code code = enter_to_write(store, io);
    if (code != SKV_OK)
        return code;
    code = skv_unpack_array(&in, &count) ? delete_keys(store, &in, count, ack, io)
                                         : refuse_item(io, 0, "the keys are not an array");
    skv_store_leave(store);
    return code;
}

/* -- waiting -------------------------------------------------------------------------------------------------------- */

skv_code skv_wait(skv_store *store, uint64_t seqno, uint32_t slice_ms, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code == SKV_CLOSED && atomic_load(&store->last_durable) >= seqno)
        return SKV_OK;
    if (code != SKV_OK)
        return code;
    code = skv_log_wait(store->parts.log, seqno, slice_ms * SKV_NS_PER_MS, &io->error);
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
