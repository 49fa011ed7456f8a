/* L2 part (log family). The log's state, seen by log_*.c only. */
#ifndef SKV_LOG_STATE_H
#define SKV_LOG_STATE_H

#include "log.h"

struct skv_log {
    int dir;
    bool still; /* nobody has it open: it is only read */
    uint8_t store_id[SKV_STORE_ID_BYTES];
    skv_log_sizes sizes;
    skv_clock *clock; /* kept; the side file carries it */
    skv_slots *slots; /* owned */
    skv_notifiers *notifiers;

    skv_mutex lock;
    skv_segment *oldest;   /* live segments, oldest to newest; owned */
    skv_segment *active;   /* the newest */
    skv_segment *unsynced; /* the first that may hold bytes that are not durable */
    size_t frame_at;       /* offset of the open frame in active; 0: none */
    uint32_t frame_count;
    uint64_t next_seqno;
    uint64_t disk_seqno;  /* newest record of a disk-level writer */
    uint64_t async_seqno; /* newest record that the sync loop shall sync */
    atomic_ullong durable_seqno;
    uint64_t previous; /* checksum of the last sealed frame: the syncing thread's */
    bool leading;
    bool finished; /* closed in good order: nothing will be appended */
    uint64_t group;           /* counts commit groups; the one that takes appends now */
    uint64_t closed_seqno;    /* newest seqno of the group before, which may be on its way to the disk */
    unsigned ahead;           /* readers that want to know when a group closes */
    skv_gate gates[2];        /* waiters of group g wait at gate g % 2 */
    unsigned waiting[2];
    skv_code poison_code;
    skv_error poison; /* what everybody is told */
    skv_error failure; /* what happened */

    /* pool: under lock */
    skv_segment *spare;    /* ready for its life; owned */
    skv_segment *free;     /* files to use again; owned */
    skv_segment *retired;  /* waiting until the side file says so; owned */
    skv_segment *kept, *newest_kept; /* retained, oldest to newest: not needed any more; owned */
    skv_segment *unsettled; /* the first of them that still holds memory and a descriptor: the tending thread's to settle */
    skv_segment *lost;      /* files that must be retained segments, but their headers are damaged; owned */
    uint64_t lost_id;       /* the newest of these has this id at most */
    uint64_t kept_id, kept_seqno; /* the retained log begins with this segment and record; 0: nothing is retained */
    uint64_t kept_bytes, kept_segments;
    uint64_t retain_bytes; /* the budget */
    uint64_t held_seqno;   /* retained from this record on, whatever the budget; UINT64_MAX: nothing is held */
    uint64_t want_bytes;   /* a reserve that no spare could serve */
    bool making;           /* a spare is being made */
    bool hurry;            /* nobody rests any more: the store is being closed */
    uint64_t next_bytes;   /* size of the next new segment */
    uint64_t next_number;
    uint64_t rolled_ns;
    uint64_t retire_bound;
    uint64_t applied_sum;
    uint64_t live_bytes, live_segments;
    skv_code pool_code; /* why no spare could be made */
    skv_error pool_error;

    int mark_fd;
    skv_mark mark; /* as written: the tending thread's */
    uint64_t marked_ns; /* when it was written */
    atomic_bool mark_stale;

    skv_event work;  /* for the sync loop */
    skv_event chore; /* for the log loop */
    skv_event advanced; /* for those who watch: more is durable, or never will be */
    skv_event room;  /* for appenders without a segment */

    uint64_t syncs, synced_bytes;
    uint64_t group_sizes[SKV_HISTOGRAM_BUCKETS], sync_us[SKV_HISTOGRAM_BUCKETS];
};

/* Close the open frame: its numbers are written, its checksums come when it is sealed. Under the lock. */
void skv_log_close_frame(skv_log *log);
/* Is the active segment filled so far that the next one should be made? A store that is hardly used makes none. */
static inline bool skv_log_wants_spare(const skv_log *log)
{
    return !log->spare && !log->making && log->active && log->active->end > log->active->header.file_bytes / 8;
}
/* There may be a segment for appenders that found none. */
void skv_log_tell_room(skv_log *log);
/* Remember the first failure; every later write and wait meets it. Under the lock. */
void skv_log_poison(skv_log *log, skv_code code, const skv_error *why);
/* Both slots, so that one damaged slot cannot bring back a beginning whose segments were used again (log_pool.c). */
skv_code skv_log_write_mark_twice(skv_log *log, skv_error *err);
/* Move what is not needed any more to the retained ones, and what is too much of these to `retired`. false: there is nothing
 * to settle. Under the lock. */
bool skv_log_take_retirable(skv_log *log);
/* Write the side file, then give back what was retired, all but keep_files of the files. */
skv_code skv_log_settle(skv_log *log, size_t keep_files, skv_error *err);
/* The second half, for a side file on the disk that says that nothing in them is needed. */
skv_code skv_log_give_back(skv_log *log, size_t keep_files, skv_error *err);
/* The side file and all segment files, in their lists, frames unread (log_find.c). */
skv_code skv_log_find(skv_log *log, skv_error *err);
/* Make `segment`, which has a slot, the active one. Under the lock, or alone. */
void skv_log_activate(skv_log *log, skv_segment *segment, uint64_t id, uint64_t first_seqno);

#endif
