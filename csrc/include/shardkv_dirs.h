/* shardkv: the contract's second half, whole directories: copies, checks, peers. The laws of shardkv.h hold here, too. */
#ifndef SKV_DIRS_H
#define SKV_DIRS_H

#include "shardkv.h"

/* cffi: begin */

typedef struct skv_copy skv_copy;
typedef struct skv_check skv_check;
typedef struct skv_mend skv_mend;
typedef struct skv_scrub skv_scrub;
typedef struct skv_ship skv_ship;

/* -- copying -------------------------------------------------------------------------------------------------------- */

/* seqno: of the newest record in the copy, 0 while it is not known. bytes: written. done of total: of the original.
 * increment: what was there ended at `since` and grows. kept_shards: of an earlier attempt. */
typedef struct {
    uint64_t seqno, bytes, done, total, since;
    uint32_t increment, kept_shards;
} skv_copy_progress;
/* Begin to copy the store, as it goes on, into a directory that is new, empty, or holds an unfinished copy: one of this very
 * store is gone on with. The copy gets this lineage, or none. owned: skv_copy_free, before its store. NULL: io->error says why:
 * INVALID (there is a store), FORMAT (there is something else), LOCKED, FULL, IO, CLOSED. */
skv_copy *skv_copy_open(skv_store *store, const char *path, const char *lineage, size_t lineage_bytes, skv_io *io);
/* The same for a backup: one of this very store that is there already grows by what was written since, at its end, whole frames
 * at a time. INVALID also: there is a store that is no backup of this one; LOG_GONE: the log does not reach back to its end. */
skv_copy *skv_backup_open(skv_store *store, const char *path, skv_io *io);
/* The same of a store that nobody has open, to which nothing is written. */
skv_copy *skv_backup_open_still(const skv_lmdb *lmdb, const char *from, const char *path, skv_io *io);
/* A copy of a store that nobody has open, with what it held after `until`, or after the last whole frame before that: a frame
 * may be a batch. INVALID also: the shards have more, or the log ends before. */
skv_copy *skv_restore_open(const skv_lmdb *lmdb, const char *from, const char *path, uint64_t until, skv_io *io);
/* The next piece, of about `bytes` (0: some MiB). AGAIN: there is more. OK: the copy is a store, durable, with everything up to
 * out->seqno. One thread at a time. FULL, IO, CORRUPT (the original), CLOSED. */
skv_code skv_copy_next(skv_copy *copy, uint64_t bytes, skv_copy_progress *out, skv_io *io);
/* What an unfinished copy of an open store has by then stays, to be gone on with, once it is a whole shard and unless the original
 * is damaged; else it is removed. An increment stays as far as it came. */
void skv_copy_free(skv_copy *copy);

/* -- checking ------------------------------------------------------------------------------------------------------- */

/* Check a store that nobody has open, and write nothing to it. Damaged pages can end the process: have one to spare.
 * owned: skv_check_free. NULL: io->error says why: INVALID (there is no store), LOCKED, IO. */
skv_check *skv_check_open(const skv_lmdb *lmdb, const char *path, skv_io *io);
/* Its parts: the manifest, the log, one for each shard, and how these fit together. */
uint32_t skv_check_parts(const skv_check *check);
/* Check one part: fill at most capacity findings, return how many there are. Any order; CORRUPT etc. are findings, too.
 * NO_MEMORY: not all of it could be read. */
int64_t skv_check_part(skv_check *check, uint32_t part, skv_error *out, uint32_t capacity, skv_io *io);
void skv_check_free(skv_check *check);

/* -- mending -------------------------------------------------------------------------------------------------------- */

/* A directory that may be damaged in every part, and the seqno up to which it is known to be of the same history. */
typedef struct {
    const char *path;
    uint64_t upto;
} skv_mend_source;
typedef struct {
    uint64_t seqno; /* of the newest record that will be in it, 0 while it is not known */
    uint32_t shards, done, total;
} skv_mend_progress;
/* Begin to make a sound store in a directory that is new or empty, of what is left of a store, sources[0], and of copies of it.
 * Nothing is written to these; nobody may have them open. owned: skv_mend_free. NULL: io->error says why: INVALID (no store, no
 * copy), LOCKED, FORMAT, CORRUPT (nothing says how keys are laid out), FULL, IO. */
skv_mend *skv_mend_open(const skv_lmdb *lmdb, const skv_mend_source *sources, uint32_t count, const char *path, skv_io *io);
/* The next piece. AGAIN: there is more. OK: the store is there and durable. One thread at a time. FULL, IO, CORRUPT. */
skv_code skv_mend_next(skv_mend *mend, skv_mend_progress *out, skv_io *io);
/* What no copy could prove: fill at most capacity entries, return how many there are. */
int64_t skv_mend_losses(const skv_mend *mend, skv_error *out, uint32_t capacity);
/* For skv_suspect: 0 when all of the shard is proven. */
uint64_t skv_mend_suspect(const skv_mend *mend, uint32_t shard);
void skv_mend_free(skv_mend *mend);
/* From now on reads of a shard that find nothing, or what is older than below_seqno, are CORRUPT: something newer may be lost.
 * Before the store is used; scans and counts are as they were. 0: trust it again. INVALID (no such shard). */
skv_code skv_suspect(skv_store *store, uint32_t shard, uint64_t below_seqno, skv_io *io);

/* -- scrubbing ------------------------------------------------------------------------------------------------------ */

/* What was read of a shard so far: keys and values, all of it when it has ended. applied_seqno: when that began. proven: all was read
 * at one moment, or nothing was flushed meanwhile, and no record is missing. */
typedef struct {
    uint64_t applied_seqno, digest, count, bytes;
    uint32_t ended, proven;
} skv_scrub_sum;
/* Begin to verify the shards of the store in a directory, while another process may have it open; a damaged page can end this
 * process. owned: skv_scrub_free. NULL: io->error says why: INVALID (there is no store), CORRUPT, FORMAT (the manifest), IO. */
skv_scrub *skv_scrub_open(const skv_lmdb *lmdb, const char *path, skv_io *io);
uint32_t skv_scrub_shards(const skv_scrub *scrub);
/* From now on skv_scrub_next reads this shard, from its first record on. */
void skv_scrub_begin(skv_scrub *scrub, uint32_t shard);
/* Verify the next records, of about so many bytes. Fill at most capacity findings, return how many there are. From the first
 * such call on, the shard is held as a snapshot holds it, to its end or the next skv_scrub_rest. One thread at a time. FULL (no reader
 * slot), NO_MEMORY. */
int64_t skv_scrub_next(skv_scrub *scrub, uint64_t bytes, skv_scrub_sum *out, skv_error *found, uint32_t capacity, skv_io *io);
/* Let go of the shard for now. */
void skv_scrub_rest(skv_scrub *scrub);
void skv_scrub_free(skv_scrub *scrub);
/* After a process ended while it scrubbed: what it read is not kept for it any more. CLOSED. */
skv_code skv_forget_guests(skv_store *store, skv_io *io);
/* The snapshot's shards hold every record up to this one, and none that is newer than the snapshot. */
uint64_t skv_snapshot_flushed(const skv_snapshot *snapshot);
/* Sum of the digests, and number, of a shard's records. */
typedef struct {
    uint64_t digest, count;
} skv_shard_total;
/* What the shards of a snapshot say that they hold, but for the records of some keys: a packed list, each once, of any shard. What is
 * in the log alone does not count. Fills an entry for each shard. CORRUPT, WRONG_TYPE, CLOSED. */
skv_code skv_snapshot_totals(skv_store *store, skv_snapshot *snapshot, const char *keys, size_t bytes, skv_shard_total *out,
                             skv_io *io);

/* -- lineage -------------------------------------------------------------------------------------------------------- */

/* What the manifest keeps of a store's peers and of the epochs in which it was written; the bytes are the caller's
 * (FORMAT.md 3), none when there never was a peer. */
#define SKV_LINEAGE_BYTES_MAX 8192
/* Into io->data; returns the length. */
int64_t skv_lineage_read(skv_store *store, skv_io *io);
/* Durable when this returns. On failure nothing has changed here; the next open may find the new one. INVALID (too long),
 * FULL, IO, CLOSED. */
skv_code skv_lineage_save(skv_store *store, const char *lineage, size_t bytes, skv_io *io);
/* Of a directory, whoever has it open; nothing is written. NOT_FOUND: there is no store. CORRUPT, FORMAT, IO. */
int64_t skv_lineage_look(const char *path, skv_io *io);
/* The newest record of a store that nobody has open, and the first one of its log; nothing is written. INVALID (there is no
 * store), LOCKED, CORRUPT, FORMAT, IO. */
typedef struct {
    uint64_t first_seqno, last_seqno;
} skv_standing;
skv_code skv_standing_look(const skv_lmdb *lmdb, const char *path, skv_standing *out, skv_io *io);

/* -- peers ---------------------------------------------------------------------------------------------------------- */

#define SKV_PEERS_MAX 8

/* How it is with a peer. */
#define SKV_PEER_DOWN 1
#define SKV_PEER_COPYING 2
#define SKV_PEER_BEHIND 3
#define SKV_PEER_CURRENT 4

/* seqno: durable in the peer. shipped_bytes, syncs: since the peer was added. current_ns: when it had everything last, by the
 * monotonic clock; 0: never. */
typedef struct {
    uint64_t seqno, shipped_bytes, syncs, current_ns;
    int32_t state;
} skv_peer_stats;

/* From now on the levels QUORUM and ALL count a peer of this name, BEHIND until more is known, and the log is kept for it, within bounds.
 * Returns its place. FULL, INVALID (the name is too long). */
int64_t skv_peer_add(skv_store *store, const char *name, skv_io *io);
/* It counts no more, whoever may still ship to it. */
void skv_peer_remove(skv_store *store, uint32_t place);
/* Nobody ships to it, or will tell anything of it: its place may be another one's, once it is removed. */
void skv_peer_release(skv_store *store, uint32_t place);
/* DOWN or COPYING, with what is durable in it as far as it is known; the log is not kept for it any more. Shipping tells the other
 * states. */
void skv_peer_set(skv_store *store, uint32_t place, int state, uint64_t seqno);
/* The newest seqno that has reached the level, as far as peers are concerned; the greatest number without peers. */
uint64_t skv_ack_reached(skv_store *store, int ack);
void skv_peer_stats_read(skv_store *store, uint32_t place, skv_peer_stats *out);

/* Ship the log to a peer that was opened as following, from behind its newest record on; the log is kept for it from here
 * on, within bounds. owned: skv_ship_free, before both stores. NULL: io->error says why. */
skv_ship *skv_ship_open(skv_store *store, uint32_t place, skv_store *peer, skv_io *io);
/* Ship until something ends it: LOG_GONE (the peer needs a copy), CORRUPT (this log is damaged), FULL, IO, POISONED (the peer
 * fails), CLOSED (either was stopped). The peer's state stays as it was. One thread at a time; what hangs here is the peer's disk. */
skv_code skv_ship_run(skv_ship *ship, skv_io *io);
/* Let it end with CLOSED. Any thread. */
void skv_ship_stop(skv_ship *ship);
void skv_ship_free(skv_ship *ship);
/* The other way, before anybody writes: take over what a peer has beyond the newest record here. OK: all of it is durable. */
skv_code skv_ship_back(skv_store *store, skv_store *peer, skv_io *io);

/* cffi: end */

#endif
