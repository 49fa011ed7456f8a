/* L2 part (log family). The cursor's state, and the steps that readers of records and of frames share: log_*.c only. */
#ifndef SKV_LOG_CURSOR_H
#define SKV_LOG_CURSOR_H

#include "log_read.h"
#include "log_state.h"

struct skv_log_cursor {
    skv_log *log;
    uint64_t next_seqno; /* wanted */
    uint64_t segment_id; /* where it stands; 0: to be looked for */
    uint64_t offset;     /* of the frame header or record that it stands at */
    uint64_t at_seqno;   /* of that record, or of the frame's first */
    uint64_t body_end;   /* of the frame that it is inside; 0: it stands at a header */
    skv_frame frame;     /* that it is inside */
    uint64_t frame_last; /* newest record of that frame */
    uint64_t previous;   /* checksum of the last frame that it entered */
    int fd;              /* of the retained segment file_id; -1: none */
    uint64_t file_id;
    uint8_t *window; /* owned */
    size_t window_capacity, window_bytes;
    uint64_t window_at;
};

/* One segment, held in place for one call. */
typedef struct {
    skv_segment *segment;
    uint64_t end;  /* of its frames: a retained file may be cut behind them at any time */
    uint64_t upto; /* the newest record in it that may be shown */
    uint64_t durable; /* of the log */
    bool endless;  /* what follows it is missing: it ends at the first frame that does not hold */
    bool retained;
} skv_log_stand;

/* The segment of the next record, neither unmapped nor used again until it is left. ahead: also for a record that is on its
 * way to the disk. AGAIN: there is none. GONE, CORRUPT. */
skv_code skv_log_stand_take(skv_log_cursor *cursor, bool ahead, skv_log_stand *out, skv_error *err);
void skv_log_stand_leave(skv_log_cursor *cursor, const skv_log_stand *at);
/* The bytes where the cursor is, at least `bytes` of them: in memory while the segment is live, else through the window. */
skv_code skv_log_stand_look(skv_log_cursor *cursor, const skv_log_stand *at, size_t bytes, skv_slice *out, skv_error *err);
/* What stands there is not what was written. */
skv_code skv_log_stand_fail(const skv_log_cursor *cursor, const skv_log_stand *at, skv_error *err);

#endif
