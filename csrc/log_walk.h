/* L2 part (log family). A walk over what was appended since a moment, durable or not, in memory. For one who keeps the log
 * from there on, as a snapshot does. */
#ifndef SKV_LOG_WALK_H
#define SKV_LOG_WALK_H

#include "log.h"

/* A place between two records. All its numbers are the walk's own. */
typedef struct {
    uint64_t seqno;      /* of the record before it */
    uint64_t segment_id; /* the segment that this record was, or is, appended to */
    size_t frame_at;     /* the frame that it stands in; 0: between two */
    size_t offset;
} skv_log_place;

/* false: stop. */
typedef bool (*skv_log_see)(void *context, const skv_record *record);

/* Where the log ends. Under the lock. */
skv_log_place skv_log_end(const skv_log *log);
/* See what was appended since the place up to now, and move it behind the last record that was seen. false: `see` stopped.
 * Takes the lock for a moment, and walks without it; what is appended meanwhile is not seen. One thread for each place. */
bool skv_log_walk(skv_log *log, skv_log_place *place, skv_log_see see, void *context);
/* The same under the lock: to the very end. */
bool skv_log_walk_locked(const skv_log *log, skv_log_place *place, skv_log_see see, void *context);

#endif
