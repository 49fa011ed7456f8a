/* L2 part (log family). The write-ahead log: append, sync, wait, retire. FORMAT.md 4-7.
 *
 * One lock orders all appends. Whoever needs durability first leads: it closes the open frame, writes and syncs everything
 * appended so far without the lock, then wakes exactly those whose record is durable, all at once, and one of the next group,
 * who leads it. A failed write or sync poisons: nothing is retried, the outcome of what was under way is unknown. */
#ifndef SKV_LOG_H
#define SKV_LOG_H

#include "clock.h"
#include "mark.h"
#include "notify.h"
#include "segment.h"
#include "sync.h"

typedef struct skv_log skv_log;

typedef struct {
    uint64_t segment_bytes_min; /* first segment; later ones grow under load */
    uint64_t segment_bytes_max;
} skv_log_sizes;

/* -- life cycle (log_pool.c) -- */

/* dir: the store's directory, kept, as is the clock. Nothing is read or written yet. owned: skv_log_free. */
skv_code skv_log_create(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_log_sizes sizes, skv_clock *clock,
                        skv_log **out, skv_error *err);
void skv_log_free(skv_log *log);
/* Tell these of what becomes durable, of room, of a failure; kept. Before the first sync; NULL: nobody. */
void skv_log_attach(skv_log *log, skv_notifiers *notifiers);
/* In a forked child: close the descriptors. */
void skv_log_forget(skv_log *log);
/* A new store: the directory's first side file. */
skv_code skv_log_found(skv_log *log, skv_error *err);
/* Activate a fresh segment in which first_seqno is the next record, with room for room_bytes of records in one frame.
 * Everything before first_seqno is durable; what older segments hold from it on is replaced once the new one is synced. */
skv_code skv_log_start(skv_log *log, uint64_t first_seqno, uint64_t room_bytes, skv_error *err);
/* Instead, behind a log that was scanned, and closed in good order: append to its last segment again. */
skv_code skv_log_go_on(skv_log *log, skv_error *err);
/* One round of the log loop (err is needed): keep a spare ready, reuse or remove what is retired, write the side file. */
skv_code skv_log_tend(skv_log *log, skv_error *err);
/* Wait until there is something to tend since the read, at most timeout_ns. Who looks whether to stop does so in between. */
unsigned skv_log_tend_read(skv_log *log);
void skv_log_tend_wait(skv_log *log, unsigned seen, uint64_t timeout_ns);
/* Records before bound are durable in their shards and nobody reads them: give their segments back. applied_sum: of the
 * shards, for the side file to remember. */
void skv_log_retire(skv_log *log, uint64_t bound_seqno, uint64_t applied_sum);
/* How many bytes of files that nobody needs any more to keep for readers of the log: whole segments, the newest ones. */
void skv_log_retain(skv_log *log, uint64_t bytes);
/* Retain what is still there from this record on, whatever the budget; UINT64_MAX: nothing is held. Between lock
 * and unlock. */
void skv_log_hold(skv_log *log, uint64_t seqno);
/* Last side file and as few files as possible; for a log without appenders. */
skv_code skv_log_finish(skv_log *log, skv_error *err);

/* -- append (log.c): between lock and unlock -- */

void skv_log_lock(skv_log *log);
void skv_log_unlock(skv_log *log);
/* Make room for `bytes` of records in one frame. BUSY: no segment is ready, wait for skv_log_room_wait. FULL: none can be
 * made. POISONED. Nothing is changed on failure but a request for a segment. */
skv_code skv_log_reserve(skv_log *log, size_t bytes, skv_error *err);
/* Append one record within the reserved room; sets its seqno. */
skv_position skv_log_append(skv_log *log, skv_record *record);
/* Somebody other than a waiter shall sync what was appended. */
void skv_log_want_sync(skv_log *log);
/* Newest appended seqno; newest that a disk-level writer waits for. */
uint64_t skv_log_last(const skv_log *log);
uint64_t skv_log_last_disk(const skv_log *log);
void skv_log_note_disk(skv_log *log);

/* -- sync (log_sync.c) -- */

/* Read before skv_log_reserve said BUSY, then wait: at most timeout_ns. */
unsigned skv_log_room_read(skv_log *log);
void skv_log_room_wait(skv_log *log, unsigned seen, uint64_t timeout_ns);
uint64_t skv_log_durable(const skv_log *log);
/* What has to be durable before anybody is shown this record: its seqno; 0: it is, or its writer does not care. */
static inline uint64_t skv_log_must_wait(const skv_log *log, const skv_record *record)
{
    return !(record->flags & SKV_RECORD_MEMORY_ACK) && record->seqno > skv_log_durable(log) ? record->seqno : 0;
}
/* Sync the segment that skv_log_start made, records or not. Before the first append by others. */
skv_code skv_log_sync_start(skv_log *log, skv_error *err);
/* Wait until seqno is durable, leading when nobody does. AGAIN after timeout_ns or a signal. POISONED: unknown.
 * timeout_ns 0 never leads: the sync loop is asked to. */
skv_code skv_log_wait(skv_log *log, uint64_t seqno, uint64_t timeout_ns, skv_error *err);
/* Wait until everything that is appended is durable, however long that takes and whatever signals come. */
skv_code skv_log_wait_all(skv_log *log, skv_error *err);
/* See to it that seqno is synced, without following anybody: lead when nobody does, else have the sync loop do it. OK: it is
 * durable; AGAIN: it will be; POISONED. */
skv_code skv_log_push(skv_log *log, uint64_t seqno, skv_error *err);
/* One round of the sync loop: sync if somebody asked for it, else wait for that since the read, at most timeout_ns. */
unsigned skv_log_sync_read(skv_log *log);
void skv_log_sync_round(skv_log *log, unsigned seen, uint64_t timeout_ns);
/* Wake the sync loop and the log loop (to let them see that the store stops). */
void skv_log_wake_loops(skv_log *log);
/* OK or POISONED with the first failure. */
skv_code skv_log_health(skv_log *log, skv_error *err);

/* -- looking -- */

skv_slots *skv_log_slots(skv_log *log);
void skv_log_stats_read(skv_log *log, skv_stats *out);
/* Bytes of live segments, and how many these are. */
void skv_log_extent(skv_log *log, uint64_t *bytes, uint64_t *segments);

#endif
