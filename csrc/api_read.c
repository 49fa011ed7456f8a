/* L4 house. The contract's reading half. */
#include "flush_path.h"
#include "hash.h"
#include "io.h"
#include "memory.h"
#include "msgpack.h"
#include "read_path.h"
#include "store.h"

static skv_code closed(skv_error *err)
{
    return skv_fail(err, SKV_CLOSED, "the snapshot is closed");
}

/* -- one key -------------------------------------------------------------------------------------------------------- */

static skv_code copy_value(void *context, const skv_record *record, skv_error *err)
{
    skv_io *io = context;
    skv_code code = skv_io_room(io, record->value.bytes);
    (void)err;
    io->version = record->seqno;
    io->expires_ms = record->expires_ms;
    if (code == SKV_OK)
        skv_io_append(io, record->value.data, record->value.bytes);
    return code;
}

static skv_code copy_bin(void *context, const skv_record *record, skv_error *err)
{
    (void)err;
    return skv_io_append_bin(context, record->value);
}

/* Read from the snapshot, or the latest; wait_seqno as skv_read_latest. */
static skv_code find(skv_store *store, skv_snapshot *snapshot, skv_slice key, skv_read_use use, uint64_t *wait_seqno,
                     skv_io *io)
{
    skv_code code = skv_write_check(key, 0, io);
    if (code != SKV_OK)
        return code;
    if (!snapshot)
        return skv_read_latest(&store->parts, key, use, io, wait_seqno, &io->error);
    skv_lock(&snapshot->lock);
    code = snapshot->dead ? closed(&io->error) : skv_read_snapshot(snapshot, key, use, io, &io->error);
    skv_unlock(&snapshot->lock);
    return code;
}

/* For a call that waits for a flush: what to arm for, read before it looks. */
static void note_room(skv_store *store, skv_io *io)
{
    io->seqno = io->retry_ns = 0;
    io->room = skv_notify_room_read(&store->parts.notifiers);
}

/* P3: what a power cut could still take back is not shown. AGAIN: io->seqno is what to wait for. */
static skv_code wait_for(skv_store *store, uint64_t wait_seqno, skv_io *io)
{
    if (!wait_seqno)
        return SKV_OK;
    io->seqno = wait_seqno;
    return skv_answer_wait(&store->parts, wait_seqno, io);
}

int64_t skv_get(skv_store *store, skv_snapshot *snapshot, const char *key, size_t key_bytes, skv_io *io)
{
    uint64_t wait_seqno = 0;
    skv_code code = skv_store_enter(store, &io->error), waited;
    if (code != SKV_OK)
        return code;
    io->bytes = 0;
    code = find(store, snapshot, skv_slice_at(key, key_bytes), copy_value, &wait_seqno, io);
    waited = code == SKV_OK || code == SKV_NOT_FOUND ? wait_for(store, wait_seqno, io) : SKV_OK;
    code = waited == SKV_OK ? code : waited; /* that a key is absent may be taken back too */
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)io->bytes : code;
}

skv_code skv_contains(skv_store *store, skv_snapshot *snapshot, const char *key, size_t key_bytes, skv_io *io)
{
    uint64_t wait_seqno = 0;
    skv_code code = skv_store_enter(store, &io->error), waited;
    if (code != SKV_OK)
        return code;
    code = find(store, snapshot, skv_slice_at(key, key_bytes), NULL, &wait_seqno, io);
    waited = code == SKV_OK || code == SKV_NOT_FOUND ? wait_for(store, wait_seqno, io) : SKV_OK;
    skv_store_leave(store);
    return waited == SKV_OK ? code : waited;
}

/* -- many keys ------------------------------------------------------------------------------------------------------ */

static skv_code take_key(skv_unpack *in, skv_slice *out, uint32_t item, skv_io *io)
{
    if (skv_unpack_bin(in, out))
        return SKV_OK;
    return skv_fail_at(&io->error, SKV_WRONG_TYPE, "", item, 0, "item %u: the key is not bytes%s", item,
                       skv_unpack_kind(in) == SKV_MP_STR ? " but str; use store.namespace() for typed keys" : "");
}

static skv_code find_keys(skv_store *store, skv_snapshot *snapshot, skv_unpack *in, uint32_t count, skv_io *io)
{
    uint64_t wait_seqno = 0;
    skv_code code = skv_io_room(io, SKV_MP_HEAD_MAX + count);
    io->bytes = 5;
    for (uint32_t i = 0; i < count && code == SKV_OK; i++) {
        skv_slice key;
        code = take_key(in, &key, i, io);
        if (code == SKV_OK)
            code = find(store, snapshot, key, copy_bin, &wait_seqno, io);
        if (code == SKV_NOT_FOUND && (code = skv_io_room(io, 1)) == SKV_OK)
            io->data[io->bytes++] = SKV_MP_NIL_BYTE;
    }
    if (code != SKV_OK)
        return code;
    (void)skv_pack_array5(io->data, count);
    return wait_for(store, wait_seqno, io);
}

int64_t skv_get_many(skv_store *store, skv_snapshot *snapshot, const char *blob, size_t blob_bytes, skv_io *io)
{
    skv_unpack in = skv_unpack_of(blob, blob_bytes);
    uint32_t count = 0;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    io->bytes = 0;
    if (!skv_unpack_array(&in, &count) || count > blob_bytes)
        code = skv_fail(&io->error, SKV_WRONG_TYPE, "the keys are not an array");
    else
        code = find_keys(store, snapshot, &in, count, io);
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)io->bytes : code;
}

int64_t skv_count(skv_store *store, skv_io *io)
{
    uint64_t keys = 0, wait_seqno = 0;
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    note_room(store, io); /* AGAIN of the count itself: a flush has to end first */
    code = skv_read_count(&store->parts, skv_io_no_wait(io) ? 0 : SKV_SLICE_NS, &keys, &wait_seqno, &io->error);
    if (code == SKV_OK)
        code = wait_for(store, wait_seqno, io);
    skv_store_leave(store);
    return code == SKV_OK ? (int64_t)keys : code;
}

/* -- flushes -------------------------------------------------------------------------------------------------------- */

skv_code skv_flush_upto(skv_store *store, uint64_t seqno, uint32_t slice_ms, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    note_room(store, io);
    code = skv_flush_upto_seqno(&store->parts, seqno, skv_io_no_wait(io) ? 0 : slice_ms * SKV_NS_PER_MS, &io->error);
    skv_store_leave(store);
    return code;
}

skv_code skv_flush_start(skv_store *store, uint64_t seqno, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    skv_flush_ask(&store->parts, seqno);
    skv_store_leave(store);
    return SKV_OK;
}
