/* shardkv: the single contract between the C data plane and its callers.
 *
 * Result law: a call returns a code (0 good, negative otherwise) or a non-negative count. The code is the decision; the
 * skv_error inside the caller's workspace is the explanation. Pointers are borrowed for the call unless marked otherwise:
 * owned (free it with the named function), kept (held until the named moment), out (filled by the call).
 * Threads: every call may be made from any thread at any time, unless its line says otherwise.
 * shardkv_dirs.h goes on with what concerns whole directories: copies, checks, peers.
 * The region between the two cffi marks is cut out and given to cffi's cdef; keep it plain declarations.
 */
#ifndef SHARDKV_H
#define SHARDKV_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* Limits, checked before anything is written. */
#define SKV_KEY_BYTES_MAX 500
#define SKV_VALUE_BYTES_MAX 33554432
#define SKV_BATCH_BYTES_MAX 33554432
#define SKV_SHARDS_MAX 256
#define SKV_WEIGHT_MAX 64
/* Keys that begin with so many bytes 0xff, the end of the key order, are kept for namespaces, leases and the like. A call
 * that names one is INVALID, and no scan or count meets one, unless its workspace has the flag SKV_IO_RESERVED. */
#define SKV_RESERVED_BYTES 4
#define SKV_TTL_MS_MAX 3153600000000 /* a hundred years */

/* Codes. One Python exception each; the first four are answers, not errors. */
#define SKV_OK 0
#define SKV_NOT_FOUND -1        /* the key is absent */
#define SKV_AGAIN -2            /* the slice of waiting is over; the write is appended, ask again with skv_wait */
#define SKV_BUSY -3             /* the slice of waiting is over; nothing was appended, call again */
#define SKV_CLOSED -4
#define SKV_FORKED -5
#define SKV_LOCKED -6
#define SKV_READ_ONLY -7
#define SKV_KEY_TOO_LONG -8
#define SKV_VALUE_TOO_LARGE -9
#define SKV_CONFLICT -10
#define SKV_FULL -11
#define SKV_CORRUPT -12
#define SKV_POISONED -13
#define SKV_FORMAT -14
#define SKV_IO -15
#define SKV_NO_MEMORY -16
#define SKV_INVALID -17
#define SKV_WRONG_TYPE -18
#define SKV_LOCK_TIMEOUT -19
#define SKV_OVERLOADED -20
#define SKV_ACK -21
#define SKV_FENCED -22
#define SKV_LOG_GONE -23        /* the log does not reach back that far any more */

/* What a write waits for: each level includes those before. A store without peers has reached all when it is on disk. */
#define SKV_ACK_MEMORY 1
#define SKV_ACK_DISK 2
#define SKV_ACK_LATER 3  /* as DISK, but the caller waits by itself, with skv_wait */
#define SKV_ACK_QUORUM 4 /* on the disks of more than half of the store and its peers, the store's own among them */
#define SKV_ACK_ALL 5    /* on all of them */

/* How skv_incr reads and writes a number. */
#define SKV_NUMBER_TEXT 0 /* decimal digits */
#define SKV_NUMBER_MSGPACK 1

/* Scan flags. */
#define SKV_SCAN_REVERSE 1
#define SKV_SCAN_KEYS_ONLY 2
#define SKV_SCAN_ONLY 4 /* of skv_scan_first: more than rows_max rows are not wanted */

/* As `since` of a feed: whatever becomes durable from now on. */
#define SKV_FEED_FROM_NOW 0xffffffffffffffff

#define SKV_HISTOGRAM_BUCKETS 32

typedef int32_t skv_code;

/* Why a call failed: filled only with a negative code. seqno 0: no record is concerned. */
typedef struct {
    skv_code code;
    int32_t sys_errno;
    uint64_t offset;
    uint64_t seqno;
    char file[128];
    char text[384];
} skv_error;

/* Flags of a workspace, set by the caller. */
#define SKV_IO_RESERVED 1 /* its calls may read, write and scan reserved keys, too; counts leave them out all the same */
#define SKV_IO_NO_WAIT 2  /* its calls never wait, for callers that run an event loop */

/* The place of a write that has to wait for the limits of skv_configure; all zeros: none. The engine's own. */
typedef struct {
    uint64_t epoch, at_ns, writes, bytes;
} skv_turn;

/* A caller's workspace: one call at a time, any thread. data holds the bytes a call returns; it grows as needed.
 * With NO_WAIT, what has to be durable before the caller may use an answer, its write's ack included, is raised into
 * wait_seqno, which the caller clears, as it does wait_ack; BUSY, and AGAIN of count and flush_upto, mean: call again after
 * retry_ns, or, when that is 0, once there may be room (see notifiers). */
typedef struct {
    skv_error error;
    uint64_t seqno, bytes, capacity;
    uint8_t *data;
    uint32_t flags;
    uint64_t version;    /* of the record that was read, or that a condition met; 0: absent */
    uint64_t expires_ms; /* likewise; 0: never */
    int64_t number;      /* what skv_incr made */
    uint64_t wait_seqno;
    uint64_t retry_ns;
    uint64_t room;
    int32_t wait_ack; /* of a write, after AGAIN or with NO_WAIT: the level beyond DISK that is left, see skv_wait_ack; 0: none */
    skv_turn turn; /* kept between BUSY and the next call, which is of the same write, or skv_give_up */
} skv_io;

/* One put of many. */
typedef struct {
    const char *key, *value;
    size_t key_bytes, value_bytes;
} skv_put_item;

/* How an atomic write is made. ttl_ms: how long the record lives, 0: for ever. number: SKV_NUMBER_..., of skv_incr. */
typedef struct {
    int32_t ack, number;
    uint64_t ttl_ms;
} skv_terms;

typedef struct skv_lmdb skv_lmdb;
typedef struct skv_store skv_store;
typedef struct skv_snapshot skv_snapshot;
typedef struct skv_scan skv_scan;
typedef struct skv_feed skv_feed;
typedef struct skv_notifier skv_notifier;
typedef struct skv_helper skv_helper;

/* What can be changed while a store is open, and is stored: see skv_configure. As an argument, SKV_KEEP leaves one as it is. */
#define SKV_KEEP 0xffffffffffffffff
typedef struct {
    uint64_t max_writes_per_s; /* 0: no limit */
    uint64_t max_bytes_per_s;  /* of the log; 0: no limit */
    uint64_t retain_log_bytes;
    uint64_t unflushed_bytes;  /* 0: the default */
} skv_settings;

/* path: the store directory. lmdb: kept until skv_free. helper: for skv_open alone, or NULL: then one thread replays. weights:
 * one per shard, or NULL for equal ones.
 * shards 0 adopts what is stored (8 for a new store). map_bytes: first size of a shard's map, 0 for the default. */
typedef struct {
    const char *path;
    const skv_lmdb *lmdb;
    skv_helper *helper;
    const uint32_t *weights;
    uint32_t shards, create, readonly;
    uint32_t following; /* a peer in the hands of its primary: written to by shipping alone */
    skv_settings settings; /* SKV_KEEP: what is stored, or the default */
    uint64_t segment_bytes_min, segment_bytes_max;
    uint64_t map_bytes;
} skv_options;

typedef struct {
    uint64_t seqno, durable_seqno;
    uint64_t unflushed_bytes, unflushed_records, unflushed_age_ns;
    uint64_t index_bytes;
    uint64_t stall_ns, limited_ns;
    uint64_t log_bytes, log_segments;
    uint64_t retained_bytes, retained_segments, oldest_seqno;
    uint64_t syncs, synced_bytes;
    uint64_t replayed_records, expired_removed, snapshots;
    uint64_t group_sizes[SKV_HISTOGRAM_BUCKETS];
    uint64_t sync_us[SKV_HISTOGRAM_BUCKETS];
} skv_stats;

typedef struct {
    uint64_t records, file_bytes;
    uint64_t unflushed_bytes, unflushed_records;
    uint64_t flushes, flush_ns, flushed_records;
    uint64_t applied_seqno;
} skv_shard_stats;

typedef struct {
    uint64_t seqno;
    uint64_t age_ns;
} skv_snapshot_stats;

/* -- the engine underneath ------------------------------------------------------------------------------------------ */

/* Resolve the LMDB functions inside the shared object at module_path. owned: skv_lmdb_free. FORMAT, NO_MEMORY. */
skv_code skv_lmdb_load(const char *module_path, skv_lmdb **out, skv_error *err);
void skv_lmdb_free(skv_lmdb *lmdb);
/* The resolved version as 10000 * major + 100 * minor + patch. */
int skv_lmdb_version(const skv_lmdb *lmdb);

/* A helper, and the life of the thread that is lent to it: skv_helper_run returns once it was dismissed, after the skv_open that
 * it was for. owned: skv_helper_free, when run has returned. NULL when memory is out. */
skv_helper *skv_helper_new(void);
void skv_helper_run(skv_helper *helper);
void skv_helper_dismiss(skv_helper *helper);
void skv_helper_free(skv_helper *helper);

/* Workspace. owned: skv_io_free. NULL when memory is out. */
skv_io *skv_io_new(uint64_t capacity);
void skv_io_free(skv_io *io);

/* -- life cycle ----------------------------------------------------------------------------------------------------- */

/* Open or create the store, replay its log, start a fresh segment. Starts no thread: attach the three loops next.
 * owned: skv_free. LOCKED (error.offset = pid of the holder), FORMAT, CORRUPT, INVALID, IO, FULL, NO_MEMORY. */
skv_code skv_open(const skv_options *options, skv_store **out, skv_error *err);
/* Refuse new calls, wake every waiter, wait until the calls under way have left, sync, tell the loops to return. */
skv_code skv_stop(skv_store *store, skv_error *err);
/* After the loops returned: close snapshots, shards, log; release the lock. Idempotent. */
skv_code skv_close(skv_store *store, skv_error *err);
/* Release memory. Accepts NULL; closes first when nobody did. */
void skv_free(skv_store *store);
/* In a forked child, before anything else: mark the store unusable and close its descriptors. Touches no lock. */
void skv_forked(skv_store *store);

/* The three loops; each returns when skv_stop was called. One thread each. */
void skv_run_sync(skv_store *store);
void skv_run_log(skv_store *store);
void skv_run_flush(skv_store *store);

/* -- writing -------------------------------------------------------------------------------------------------------- */

/* Append one put and wait for its ack at most one slice. Returns the seqno, or a negative code; after AGAIN io->seqno.
 * ttl_ms: how long the record lives, by the store's clock; 0: for ever.
 * AGAIN, BUSY, KEY_TOO_LONG, VALUE_TOO_LARGE, INVALID (empty key, ttl), FULL, POISONED, READ_ONLY, CLOSED, FORKED. */
int64_t skv_put(skv_store *store, const char *key, size_t key_bytes, const char *value, size_t value_bytes, int ack,
                uint64_t ttl_ms, skv_io *io);
/* Delete a key that exists; NOT_FOUND appends nothing. The answer is exact under concurrency, and durable as a read is. */
skv_code skv_delete(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io);
/* The same, with the value that was deleted in io->data, io->bytes. */
skv_code skv_pop(skv_store *store, const char *key, size_t key_bytes, int ack, skv_io *io);
/* Append one batch: all or nothing, across shards. blob is msgpack: a map {key: value} of puts, or an array whose
 * items are [key, value] or [key, value, ttl_ms] (put) or key (delete). ttl_ms: of the puts that name none, 0: they
 * live for ever. WRONG_TYPE names the item; error.offset is its index. */
skv_code skv_apply(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io);
/* The same for pairs alone: a key without a value, or a pair with a ttl of its own, is WRONG_TYPE. */
skv_code skv_put_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, uint64_t ttl_ms, skv_io *io);
/* The same for pairs in memory, which live for ever. */
skv_code skv_put_pairs(skv_store *store, const skv_put_item *pairs, uint32_t count, int ack, skv_io *io);
/* Delete each key of a msgpack array that exists; io->bytes is how many did. Each key by itself is atomic.
 * AGAIN: all were looked at, io->seqno is what to wait for. BUSY: io->bytes were deleted before the room ran out; call again
 * with the same keys. The answer rests on io->seqno of each call. */
skv_code skv_delete_many(skv_store *store, const char *blob, size_t blob_bytes, int ack, skv_io *io);

/* -- atomic writes: like the above, and CONFLICT when a condition does not hold; nothing was appended then ------------- */

/* Put when the key's version is `version`; 0: when the key is absent. Returns the new version. CONFLICT: io->version is
 * what was found, and there is no text. */
int64_t skv_put_if(skv_store *store, const char *key, size_t key_bytes, const char *value, size_t value_bytes,
                   uint64_t version, const skv_terms *terms, skv_io *io);
/* Add delta to the number that the key holds, or to `initial` when it is absent; io->number is the sum. An expiry stays;
 * terms->ttl_ms is that of a new key. INVALID: no such number, or the sum is beyond 64 bits. Returns the new version. */
int64_t skv_incr(skv_store *store, const char *key, size_t key_bytes, int64_t delta, int64_t initial,
                 const skv_terms *terms, skv_io *io);
/* Give a key that exists terms->ttl_ms to live from now on, and with it a new version; its value stays. NOT_FOUND. */
skv_code skv_touch(skv_store *store, const char *key, size_t key_bytes, const skv_terms *terms, skv_io *io);
/* Append a batch when all conditions hold at that moment: all or nothing, across shards. blob is a msgpack array: the batch,
 * as for skv_apply, which may be empty; an array of conditions [key, least, most]: the key's version is in that range, where
 * that of an absent key is 0. With a snapshot also: an array of ranges [start, stop], nil for an open end, in order, in which
 * nothing was written since the snapshot; the expiry in ms of that key inside them which expires first, 0 when none does.
 * CONFLICT: io->version is what was found; error.offset counts the conditions through, keys, ranges, expiry. */
skv_code skv_apply_if(skv_store *store, skv_snapshot *snapshot, const char *blob, size_t blob_bytes,
                      const skv_terms *terms, skv_io *io);

/* Delete what has expired in a part of a shard: the records behind key `after` (NULL: from the first on), a few thousand.
 * Returns how many; io->data, io->bytes: where to go on, nothing at the end of the shard. Records that are in no shard yet
 * are not looked at. BUSY (none was deleted), FULL, POISONED, CORRUPT, READ_ONLY, INVALID (no such shard), CLOSED, FORKED. */
int64_t skv_remove_expired(skv_store *store, uint32_t shard, const char *after, size_t after_bytes, skv_io *io);
/* After BUSY: the write will not be tried again, others need not wait for its turn. */
void skv_give_up(skv_store *store, skv_io *io);
/* Is there a limit of writes or bytes per second? */
int skv_is_limited(const skv_store *store);

/* Wait until seqno is durable, at most slice_ms; 0 only has the loop sync it. OK, AGAIN, POISONED (outcome unknown), CLOSED. */
skv_code skv_wait(skv_store *store, uint64_t seqno, uint32_t slice_ms, skv_io *io);
/* Wait until seqno, which is durable here, has reached the level. OK; AGAIN, io->error says who is missing, and a notifier
 * that is armed for io->room hears when that changes; ACK: it cannot be reached now, too many peers are down; CLOSED. */
skv_code skv_wait_ack(skv_store *store, uint64_t seqno, int ack, uint32_t slice_ms, skv_io *io);
/* Newest appended, newest durable seqno. */
uint64_t skv_last_seqno(skv_store *store);
uint64_t skv_durable_seqno(skv_store *store);
/* Ask for everything up to seqno to be flushed; then wait for it, at most slice_ms. OK, AGAIN, POISONED, CLOSED, FULL. */
skv_code skv_flush_upto(skv_store *store, uint64_t seqno, uint32_t slice_ms, skv_io *io);
/* Ask for it alone, and for earlier failures to be forgotten; flush_upto with slice_ms 0 then looks how far it is. */
skv_code skv_flush_start(skv_store *store, uint64_t seqno, skv_io *io);

/* -- notifiers: waiting without a thread, one for each event loop ---------------------------------------------------- */

/* owned: skv_notifier_free, before its store's skv_free. CLOSED, FORKED, IO, NO_MEMORY. */
skv_code skv_notifier_open(skv_store *store, skv_notifier **out, skv_error *err);
void skv_notifier_free(skv_notifier *notifier);
/* A descriptor that polls readable after a signal, until skv_notifier_read. */
int skv_notifier_fd(const skv_notifier *notifier);
/* Ask for one signal when seqno is durable, or nothing more will be. AGAIN: it will come. OK: read at once. FORKED.
 * One thread at a time arms one notifier; a second arming replaces the first. */
skv_code skv_notifier_arm(skv_notifier *notifier, uint64_t seqno, skv_error *err);
/* The same for room; `room` is the io's, after a call that found none. Beside the other. */
skv_code skv_notifier_arm_room(skv_notifier *notifier, uint64_t room, skv_error *err);
/* Take the signal; *durable_seqno: out. OK, or why nothing more will become durable: POISONED, CLOSED, FORKED. */
skv_code skv_notifier_read(skv_notifier *notifier, uint64_t *durable_seqno, skv_error *err);

/* -- reading -------------------------------------------------------------------------------------------------------- */

/* Copy the value of key into io->data and return its length; io->version, io->expires_ms. snapshot NULL: the latest.
 * Negative: NOT_FOUND, CORRUPT, POISONED (the writer's sync failed), CLOSED, FORKED, INVALID, KEY_TOO_LONG, AGAIN: what
 * was found is not durable yet; wait for io->seqno and call again. */
int64_t skv_get(skv_store *store, skv_snapshot *snapshot, const char *key, size_t key_bytes, skv_io *io);
/* OK or NOT_FOUND, else as skv_get; returns no value. */
skv_code skv_contains(skv_store *store, skv_snapshot *snapshot, const char *key, size_t key_bytes, skv_io *io);
/* Keys as a msgpack array in; values (nil where absent) as a msgpack array in io->data out. Returns its length. */
int64_t skv_get_many(skv_store *store, skv_snapshot *snapshot, const char *blob, size_t blob_bytes, skv_io *io);
/* Number of keys, exact at one moment. Reserved ones are not counted. */
int64_t skv_count(skv_store *store, skv_io *io);

/* One cut across all shards. AGAIN: it is there, and io->seqno has to be waited for before it is read.
 * owned: skv_snapshot_free, when no call uses it any more, after its scans and before its store. */
skv_code skv_snapshot_open(skv_store *store, skv_snapshot **out, skv_io *io);
uint64_t skv_snapshot_seqno(const skv_snapshot *snapshot);
/* Let go of the cut; later reads through it, and scans of it, answer CLOSED. Any thread, any time. Idempotent. */
void skv_snapshot_close(skv_snapshot *snapshot);
void skv_snapshot_free(skv_snapshot *snapshot);

/* Ordered scan of [start, stop) over all shards; NULL start or stop: open end. snapshot NULL: of now; else kept until
 * skv_scan_free. owned: skv_scan_free, before its snapshot and store; one thread at a time. io->seqno: what to wait for
 * with skv_wait before the first row, 0 for nothing. NULL: io->error says why. */
skv_scan *skv_scan_open(skv_store *store, skv_snapshot *snapshot, const char *start, size_t start_bytes,
                        const char *stop, size_t stop_bytes, int flags, skv_io *io);
/* Next rows as one flat msgpack array, key, value, key, value ... (or keys alone), in io->data; returns how many rows, 0
 * at the end. */
int64_t skv_scan_next(skv_scan *scan, uint32_t rows_max, uint32_t bytes_max, skv_io *io);
/* Begin a scan and take its first rows, in one call, as skv_scan_open and skv_scan_next would. *rest: the scan, when more rows
 * may follow; owned: skv_scan_free. NULL: these are all, and nothing is held any more. io->seqno: what to wait for with
 * skv_wait before a row is shown, the slice of waiting is over; 0: nothing. Only what was met is waited for when it is all. */
typedef struct {
    skv_snapshot *snapshot; /* NULL: of now */
    const char *start, *stop;
    size_t start_bytes, stop_bytes;
    int flags;
    uint32_t rows_max, bytes_max;
} skv_scan_terms;
int64_t skv_scan_first(skv_store *store, const skv_scan_terms *terms, skv_scan **rest, skv_io *io);
/* Of the rows that were handed over, the expiry of the one that expires first; 0: none does. */
uint64_t skv_scan_expires(const skv_scan *scan);
void skv_scan_free(skv_scan *scan);

/* -- time ----------------------------------------------------------------------------------------------------------- */

/* The store's clock, in Unix milliseconds: the machine's, except that it never goes back, not over a reopening either. */
uint64_t skv_clock_ms(skv_store *store);
/* For tests: from now on the machine's clock is taken to be shift_ms away from what it says, at most SKV_TTL_MS_MAX. */
skv_code skv_clock_set_shift(skv_store *store, int64_t shift_ms, skv_io *io);

/* -- following ------------------------------------------------------------------------------------------------------ */

/* Follow the log from the record after since on: what is durable, in its order, of keys that begin with the prefix; reserved
 * ones when this call's workspace has the flag. owned: skv_feed_free, before its store. NULL: io->error says why:
 * LOG_GONE (error.seqno: the since to go on with), INVALID (newer than the newest record, prefix), KEY_TOO_LONG, CLOSED. */
skv_feed *skv_feed_open(skv_store *store, uint64_t since, const char *prefix, size_t prefix_bytes, skv_io *io);
/* The next changes, of about bytes_max bytes of the log, as one flat msgpack array in io->data: seqno, key, value or nil,
 * expires_ms or 0, and so on. Returns how many, and in io->seqno how far the feed is; 0: none for this prefix, call again.
 * Never waits. AGAIN: all that is durable was shown. LOG_GONE, CORRUPT, CLOSED. Calls of several threads take turns. */
int64_t skv_feed_next(skv_feed *feed, uint32_t bytes_max, skv_io *io);
/* Wait until there is more, at most slice_ms, without leading a sync. OK, AGAIN (also when woken early), POISONED, CLOSED. */
skv_code skv_feed_wait(skv_feed *feed, uint32_t slice_ms, skv_io *io);
/* Let go: who waits is woken, and every later call answers CLOSED. Any thread, any time. Idempotent. */
void skv_feed_close(skv_feed *feed);
void skv_feed_free(skv_feed *feed);

/* -- settings ------------------------------------------------------------------------------------------------------- */

/* Change settings, from now on and for later opens: they are stored before they take effect. On failure nothing has changed
 * here; the next open may find the new ones. INVALID, READ_ONLY, FULL, IO, CLOSED, FORKED. */
skv_code skv_configure(skv_store *store, const skv_settings *settings, skv_io *io);
/* Those in force. */
void skv_settings_read(skv_store *store, skv_settings *out);

/* -- looking -------------------------------------------------------------------------------------------------------- */

int64_t skv_shard_of(skv_store *store, const char *key, size_t key_bytes, skv_io *io);
uint32_t skv_shards(const skv_store *store);
/* The options in force: what was stored or asked for, or the defaults. out->weights is kept by the store until skv_free. */
void skv_options_read(skv_store *store, skv_options *out);
skv_code skv_stats_read(skv_store *store, skv_stats *out, skv_io *io);
skv_code skv_shard_stats_read(skv_store *store, uint32_t shard, skv_shard_stats *out, skv_io *io);
/* Fill at most capacity entries, oldest first; returns how many. */
int64_t skv_snapshot_stats_read(skv_store *store, skv_snapshot_stats *out, uint32_t capacity, skv_io *io);
/* XXH64, and the shard that a ring of these equal or given weights picks: what tests and tools hold against others. */
uint64_t skv_hash(const char *data, size_t bytes, uint64_t seed);
skv_code skv_ring_pick(const uint32_t *weights, uint32_t shards, const uint64_t *hashes, uint32_t count,
                       uint16_t *out, skv_error *err);

/* cffi: end */

#endif
