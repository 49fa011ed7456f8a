/* L4 house. The contract's following half: feeds of what becomes durable, in the order of the log. */
#include "io.h"
#include "log_read.h"
#include "memory.h"
#include "msgpack.h"
#include "store.h"

struct skv_feed {
    skv_store *store;       /* borrowed */
    skv_log_cursor *cursor; /* owned; under the lock */
    skv_mutex lock;
    atomic_bool closed;
    bool reserved;            /* it shows reserved keys */
    atomic_ullong next_seqno; /* where the cursor is, for those who wait beside a call */
    size_t prefix_bytes;
    uint8_t prefix[SKV_KEY_BYTES_MAX];
};

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

static skv_feed *make_feed(skv_store *store, uint64_t next_seqno, skv_slice prefix, skv_error *err)
{
    skv_feed *feed = skv_alloc(sizeof *feed);
    if (!feed || skv_log_cursor_create(store->parts.log, next_seqno, &feed->cursor, err) != SKV_OK) {
        skv_release(feed);
        (void)skv_fail(err, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    feed->store = store;
    skv_mutex_create(&feed->lock);
    atomic_store(&feed->next_seqno, next_seqno);
    feed->prefix_bytes = prefix.bytes;
    if (prefix.bytes)
        memcpy(feed->prefix, prefix.data, prefix.bytes);
    return feed;
}

static skv_code check_prefix(skv_slice prefix, skv_io *io)
{
    if (prefix.bytes > SKV_KEY_BYTES_MAX)
        return skv_fail(&io->error, SKV_KEY_TOO_LONG, "the prefix has %zu bytes; at most %d", prefix.bytes,
                        SKV_KEY_BYTES_MAX);
    if (skv_key_reserved(prefix) && !(io->flags & SKV_IO_RESERVED))
        return skv_fail(&io->error, SKV_INVALID,
                        "the prefix begins with %d bytes 0xff, which are reserved: use store.namespace() for typed keys",
                        SKV_RESERVED_BYTES);
    return SKV_OK;
}

skv_feed *skv_feed_open(skv_store *store, uint64_t since, const char *prefix, size_t prefix_bytes, skv_io *io)
{
    skv_slice slice = skv_slice_at(prefix, prefix_bytes);
    skv_feed *feed = NULL;
    skv_code code = check_prefix(slice, io);
    if (code != SKV_OK || skv_store_enter(store, &io->error) != SKV_OK)
        return NULL;
    if (since == SKV_FEED_FROM_NOW)
        since = skv_log_durable(store->parts.log);
    code = skv_log_reaches(store->parts.log, since, &io->error);
    if (code == SKV_OK)
        feed = make_feed(store, since + 1, slice, &io->error);
    if (feed)
        feed->reserved = (io->flags & SKV_IO_RESERVED) != 0;
    skv_store_leave(store);
    return feed;
}

void skv_feed_close(skv_feed *feed)
{
    skv_error ignored;
    if (atomic_exchange(&feed->closed, true) || skv_store_enter(feed->store, &ignored) != SKV_OK)
        return;
    skv_log_wake_watchers(feed->store->parts.log);
    skv_store_leave(feed->store);
}

void skv_feed_free(skv_feed *feed)
{
    if (!feed)
        return;
    skv_log_cursor_free(feed->cursor);
    skv_mutex_free(&feed->lock);
    skv_release(feed);
}

static skv_code enter_feed(skv_feed *feed, skv_error *err)
{
    if (atomic_load(&feed->closed))
        return skv_fail(err, SKV_CLOSED, "the feed is closed");
    return skv_store_enter(feed->store, err);
}

/* -- changes -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const skv_feed *feed;
    skv_io *io;
    uint32_t count;
} taking;

static bool wanted(const skv_feed *feed, skv_slice key)
{
    if (skv_key_reserved(key) && !feed->reserved)
        return false;
    return key.bytes >= feed->prefix_bytes && memcmp(key.data, feed->prefix, feed->prefix_bytes) == 0;
}

static skv_code take_change(void *context, const skv_record *record, skv_error *err)
{
    taking *at = context;
    skv_io *io = at->io;
    uint64_t before = io->bytes;
    skv_code code;
    (void)err;
    if (!wanted(at->feed, record->key))
        return SKV_OK;
    code = skv_io_room(io, 3 * SKV_MP_HEAD_MAX);
    if (code != SKV_OK)
        return code;
    io->bytes += skv_pack_uint(io->data + io->bytes, record->seqno);
    code = skv_io_append_bin(io, record->key);
    if (code == SKV_OK && !skv_record_deletes(record))
        code = skv_io_append_bin(io, record->value);
    if (code == SKV_OK)
        code = skv_io_room(io, 2 * SKV_MP_HEAD_MAX);
    if (code != SKV_OK) {
        io->bytes = before; /* the record is read again by the next call */
        return code;
    }
    if (skv_record_deletes(record))
        io->data[io->bytes++] = SKV_MP_NIL_BYTE;
    io->bytes += skv_pack_uint(io->data + io->bytes, record->expires_ms);
    at->count++;
    return SKV_OK;
}

static int64_t read_changes(skv_feed *feed, uint32_t bytes_max, skv_io *io)
{
    taking at = {.feed = feed, .io = io};
    skv_code code;
    io->bytes = 0;
    code = skv_io_room(io, SKV_MP_HEAD_MAX);
    if (code != SKV_OK)
        return code;
    io->bytes = skv_pack_array5(io->data, 0);
    code = skv_log_read(feed->cursor, bytes_max, take_change, &at, &io->error);
    io->seqno = skv_log_cursor_next(feed->cursor) - 1;
    atomic_store(&feed->next_seqno, io->seqno + 1);
    if (code != SKV_OK && !at.count) /* what failed after some were read fails the next call */
        return code;
    (void)skv_pack_array5(io->data, 4 * at.count);
    return at.count;
}

int64_t skv_feed_next(skv_feed *feed, uint32_t bytes_max, skv_io *io)
{
    int64_t count;
    skv_code code = enter_feed(feed, &io->error);
    if (code != SKV_OK)
        return code;
    skv_lock(&feed->lock);
    count = read_changes(feed, bytes_max, io);
    skv_unlock(&feed->lock);
    skv_store_leave(feed->store);
    return count;
}

skv_code skv_feed_wait(skv_feed *feed, uint32_t slice_ms, skv_io *io)
{
    skv_code code = enter_feed(feed, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_log_watch(feed->store->parts.log, atomic_load(&feed->next_seqno), slice_ms * SKV_NS_PER_MS, &io->error);
    skv_store_leave(feed->store);
    return code;
}
