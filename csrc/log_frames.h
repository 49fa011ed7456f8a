/* L2 part (log family). Whole frames: read from one log, appended to another, their records as they are. */
#ifndef SKV_LOG_FRAMES_H
#define SKV_LOG_FRAMES_H

#include "log_read.h"

/* Records that are whole or absent together. */
typedef struct {
    skv_slice body; /* borrowed */
    uint64_t first_seqno;
} skv_log_frame;

typedef skv_code (*skv_log_take_frame)(void *context, const skv_log_frame *frame, skv_error *err);

/* Take the frame with the cursor's next record, from that record on; its records are not verified yet. ahead: also one whose
 * sync is under way. AGAIN, GONE, CORRUPT as skv_log_read. A cursor reads either frames or records. */
skv_code skv_log_read_frame(skv_log_cursor *cursor, bool ahead, skv_log_take_frame take, void *context, skv_error *err);
/* Tell those who watch when a group closes, too: how many read ahead. */
void skv_log_count_ahead(skv_log *log, int change);
/* Read before a frame was not there, then wait for one, at most timeout_ns. */
unsigned skv_log_ahead_read(skv_log *log);
void skv_log_ahead_wait(skv_log *log, unsigned seen, uint64_t timeout_ns);
/* Whether somebody removed the segment that is being written: what is synced is lost all the same. */
bool skv_log_is_unlinked(skv_log *log);

/* Make room for a frame of `bytes`, as skv_log_reserve; then append it: its records are the next ones. Returns the place of
 * the first. Under the lock. */
skv_code skv_log_reserve_frame(skv_log *log, size_t bytes, skv_error *err);
skv_position skv_log_append_frame(skv_log *log, skv_slice body, uint32_t count);

#endif
