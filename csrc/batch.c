/* L3. Batches. */
#include "batch.h"

#include "memory.h"

typedef skv_code (*take_item)(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io);

skv_code skv_batch_refuse(skv_io *io, uint32_t item, const char *what)
{
    return skv_fail_at(&io->error, SKV_WRONG_TYPE, "", item, 0, "item %u: %s", item, what);
}

skv_code skv_batch_take_bytes(skv_unpack *in, skv_slice *out, uint32_t item, const char *what, skv_io *io)
{
    if (skv_unpack_bin(in, out))
        return SKV_OK;
    if (skv_unpack_kind(in) == SKV_MP_STR)
        return skv_batch_refuse(io, item, "a str where bytes belong; use store.namespace() for typed keys and values");
    return skv_batch_refuse(io, item, what);
}

static skv_code take_pair(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    skv_code code = skv_batch_take_bytes(in, &op->record.key, item, "the key is not bytes", io);
    return code == SKV_OK ? skv_batch_take_bytes(in, &op->record.value, item, "the value is not bytes", io) : code;
}

/* A pair that is an array of two. */
static skv_code take_put(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    uint32_t pair;
    if (skv_unpack_kind(in) == SKV_MP_STR)
        return skv_batch_take_bytes(in, &op->record.key, item, "", io);
    if (!skv_unpack_array(in, &pair) || pair != 2)
        return skv_batch_refuse(io, item, "not a pair of key and value");
    return take_pair(in, op, item, io);
}

/* A pair, or a pair and its own ttl. */
static skv_code take_put_with_ttl(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    uint32_t fields;
    skv_code code;
    if (!skv_unpack_array(in, &fields) || fields < 2 || fields > 3)
        return skv_batch_refuse(io, item, "neither a pair of key and value nor one with a ttl");
    code = take_pair(in, op, item, io);
    if (code == SKV_OK && fields == 3 && !skv_unpack_uint(in, &op->ttl_ms))
        return skv_batch_refuse(io, item, "the ttl is not a number of milliseconds");
    return code;
}

/* A pair to put, with its own ttl or without, or a key to delete. */
static skv_code take_put_or_delete(skv_unpack *in, skv_write_op *op, uint32_t item, skv_io *io)
{
    if (skv_unpack_kind(in) == SKV_MP_ARRAY)
        return take_put_with_ttl(in, op, item, io);
    op->record.flags = SKV_RECORD_DELETE;
    op->ttl_ms = 0;
    return skv_batch_take_bytes(in, &op->record.key, item, "neither a key nor a (key, value) pair of bytes", io);
}

static skv_code take_ops(skv_unpack *in, skv_write_op *ops, uint32_t count, take_item take, skv_io *io)
{
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++)
        code = take(in, &ops[i], i, io);
    return code;
}

skv_code skv_batch_take(skv_unpack *in, bool deletes, uint64_t ttl_ms, skv_write *out, skv_io *io)
{
    uint32_t count;
    bool map = skv_unpack_map(in, &count);
    if (!map && !skv_unpack_array(in, &count))
        return skv_batch_refuse(io, 0, "a batch is a map or an array");
    if (count > (size_t)(in->end - in->at)) /* an item takes at least one byte: a length alone never allocates */
        return skv_batch_refuse(io, 0, "the batch ends too early");
    if (!count)
        return SKV_OK;
    out->ops = skv_alloc(count * sizeof out->ops[0]);
    if (!out->ops)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: a batch of %u", count);
    out->count = count;
    for (uint32_t i = 0; i < count; i++)
        out->ops[i].ttl_ms = ttl_ms;
    return take_ops(in, out->ops, count, map ? take_pair : deletes ? take_put_or_delete : take_put, io);
}

skv_code skv_batch_check(skv_write *write, skv_io *io)
{
    uint64_t bytes = 0;
    skv_code code = SKV_OK;
    for (uint32_t i = 0; i < write->count && code == SKV_OK; i++) {
        skv_record *record = &write->ops[i].record;
        code = skv_write_check(record->key, record->value.bytes, io);
        if (code == SKV_OK)
            code = skv_write_check_ttl(write->ops[i].ttl_ms, &io->error);
        if (!record->value.data)
            record->value.data = record->key.data; /* empty, but never a null pointer */
        bytes += record->key.bytes + record->value.bytes;
    }
    if (code == SKV_OK && bytes > SKV_BATCH_BYTES_MAX)
        return skv_fail(&io->error, SKV_VALUE_TOO_LARGE, "the batch has %llu bytes of keys and values; at most %d",
                        (unsigned long long)bytes, SKV_BATCH_BYTES_MAX);
    return code;
}
