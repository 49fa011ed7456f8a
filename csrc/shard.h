/* L2 part. One shard: one LMDB environment, the only place that knows LMDB. FORMAT.md 8.
 *
 * Readers take transactions from a pool and give them back; one thread at a time applies a flush. A commit is durable,
 * data and meta page, when it returns: flushes are so large that the second sync costs nothing that can be measured, and
 * what a shard says it has applied is never taken back. */
#ifndef SKV_SHARD_H
#define SKV_SHARD_H

#include <stdbool.h>

#include "record.h"

typedef struct skv_shard skv_shard;
typedef struct skv_shard_txn skv_shard_txn;
typedef struct skv_shard_cursor skv_shard_cursor;

typedef struct {
    const skv_lmdb *lmdb; /* kept */
    const char *path;     /* of the environment's directory, borrowed */
    uint32_t number;
    uint64_t map_bytes;
    bool guest; /* another process may have it open: it is only read, in transactions that this one respects */
    bool still; /* nobody has it open: it is only read, and not even a lock file is made */
    uint8_t store_id[SKV_STORE_ID_BYTES];
} skv_shard_place;

/* Open an environment; a new one (`create`) gets its first, synced commit. owned: skv_shard_free.
 * CORRUPT: not this store's shard, or its count is wrong. */
skv_code skv_shard_open(const skv_shard_place *place, bool create, skv_shard **out, skv_error *err);
void skv_shard_free(skv_shard *shard);

/* -- reading -- */

/* So many read transactions may stay open; as many slots as short ones need are kept free beside them. */
#define SKV_SHARD_READERS_LONG 4096

/* A read transaction: the shard as it is now. owned: skv_shard_read_end. IO, NO_MEMORY, FULL (no reader slot). */
skv_code skv_shard_read_begin(skv_shard *shard, skv_shard_txn **out, skv_error *err);
void skv_shard_read_end(skv_shard *shard, skv_shard_txn *txn);
/* The record of a key, verified; borrowed until the transaction ends. OK, NOT_FOUND, IO. CORRUPT: the record is damaged; or
 * there is none, but one of those that should stand around it is, and it may have been the key's. */
skv_code skv_shard_get(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_record *out, skv_error *err);
/* Is there one? Likewise, but what is found is not verified. */
skv_code skv_shard_has(skv_shard *shard, skv_shard_txn *txn, skv_slice key, skv_error *err);
/* Of a set of records: the sum of their digests, and how many there are. */
typedef struct {
    uint64_t digest;
    uint64_t count;
} skv_shard_sum;
/* Of all records, as the shard itself says. */
skv_code skv_shard_sum_of(skv_shard *shard, skv_shard_txn *txn, skv_shard_sum *out, skv_error *err);
/* Number of keys that are not reserved. */
skv_code skv_shard_count(skv_shard *shard, skv_shard_txn *txn, uint64_t *out, skv_error *err);

/* Cursors do not verify what they pass: whoever uses a record does.
 * owned: skv_shard_cursor_close, before its transaction ends. */
skv_code skv_shard_cursor_open(skv_shard *shard, skv_shard_txn *txn, skv_shard_cursor **out, skv_error *err);
void skv_shard_cursor_close(skv_shard *shard, skv_shard_txn *txn, skv_shard_cursor *cursor);
/* First key at or after `key`; last key before it. NULL data: from the very end of that side. OK, NOT_FOUND, CORRUPT. */
skv_code skv_shard_seek(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out, skv_error *err);
skv_code skv_shard_seek_before(skv_shard *shard, skv_shard_cursor *cursor, skv_slice key, skv_record *out,
                               skv_error *err);
skv_code skv_shard_next(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err);
skv_code skv_shard_previous(skv_shard *shard, skv_shard_cursor *cursor, skv_record *out, skv_error *err);
typedef enum { SKV_SHARD_ALL, SKV_SHARD_PUBLIC } skv_shard_range; /* PUBLIC: without the reserved keys */
/* Are the records that were found in the range those that the shard says are there, in this transaction? */
skv_code skv_shard_prove(skv_shard *shard, skv_shard_txn *txn, skv_shard_range range, skv_shard_sum found,
                         skv_error *err);

/* -- applying a flush: one thread at a time -- */

skv_code skv_shard_apply_begin(skv_shard *shard, skv_error *err);
/* The same, and every page is packed anew: for a flush that would touch nearly all of them. What is applied must come in
 * key order. A third fewer pages are written than by inserting, which leaves pages two thirds full. */
skv_code skv_shard_repack_begin(skv_shard *shard, skv_error *err);
/* In key order, so that pages are touched once. BUSY: the map is full, abort and grow. FULL, IO, CORRUPT. */
skv_code skv_shard_apply(skv_shard *shard, const skv_record *record, skv_error *err);
/* The same, unless the shard holds a record of this key that is as new. */
skv_code skv_shard_apply_newer(skv_shard *shard, const skv_record *record, skv_error *err);
/* Digest and count as the open transaction leaves them. */
skv_shard_sum skv_shard_applied_sum(const skv_shard *shard);
/* Durable on OK; applied_seqno is what the shard now holds of the log. On failure nothing was changed. */
skv_code skv_shard_apply_commit(skv_shard *shard, uint64_t applied_seqno, skv_error *err);
void skv_shard_apply_abort(skv_shard *shard);
/* Let go of the pages that readers of other processes held when they were killed. */
void skv_shard_forget_guests(skv_shard *shard);
/* Enlarge the map. BUSY: a transaction is open (a snapshot), try again later. */
skv_code skv_shard_grow(skv_shard *shard, skv_error *err);
/* Make durable what a killed process may have left in the page cache: its last meta page. */
skv_code skv_shard_sync(skv_shard *shard, skv_error *err);
/* Allocate disk space for so many pages, as far as none are free, so that a full disk is met before a commit, not in it. */
skv_code skv_shard_reserve(skv_shard *shard, uint64_t pages, skv_error *err);

/* -- copying and checking -- */

/* Which commit a transaction shows: equal numbers, equal content. */
uint64_t skv_shard_txn_state(const skv_shard *shard, const skv_shard_txn *txn);
/* The shard of another store from now on, which has applied what is said. Durable on OK. */
skv_code skv_shard_give(skv_shard *shard, const uint8_t store_id[SKV_STORE_ID_BYTES], uint64_t applied_seqno,
                        skv_error *err);
/* Visit every record, in order, unverified, and prove that none is missing. What visit answers but OK ends it. */
typedef skv_code (*skv_shard_visit)(void *context, const skv_record *record, skv_error *err);
skv_code skv_shard_walk(skv_shard *shard, skv_shard_visit visit, void *context, skv_error *err);

/* -- looking -- */

uint64_t skv_shard_applied(const skv_shard *shard);
/* Nothing that was ever put in or taken out is newer: a flush that was cut short has put in more than is applied. While nobody
 * flushes. */
uint64_t skv_shard_newest(const skv_shard *shard);
/* Committed keys that are not reserved; committed records with an expiry. */
uint64_t skv_shard_public_records(const skv_shard *shard);
uint64_t skv_shard_expiring(const skv_shard *shard);
typedef struct {
    uint64_t records; /* committed */
    uint64_t file_bytes;
    uint64_t leaf_pages, overflow_pages;
} skv_shard_size;
/* Where it fails, one page and its records. */
skv_code skv_shard_measure(skv_shard *shard, skv_shard_size *out, skv_error *err);
uint32_t skv_shard_number(const skv_shard *shard);
const char *skv_shard_name(const skv_shard *shard);

#endif
