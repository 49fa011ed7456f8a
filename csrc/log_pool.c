/* L2 part (log family). Life cycle of the log and of its files: the side file, and the next segment,
 * which is ready before it is needed. */
#include "log_state.h"

#include "memory.h"

#define MARK_NAME "log/MARK"
#define MARK_EVERY_NS (50 * SKV_NS_PER_MS)
#define FREE_SEGMENTS_MAX 4

skv_code skv_log_create(int dir, const uint8_t store_id[SKV_STORE_ID_BYTES], skv_log_sizes sizes, skv_clock *clock,
                        skv_log **out, skv_error *err)
{
    skv_log *log = skv_alloc(sizeof *log);
    *out = NULL;
    if (log)
        log->slots = skv_alloc(sizeof *log->slots);
    if (!log || !log->slots) {
        skv_release(log);
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    }
    log->dir = dir;
    log->sizes = sizes;
    log->clock = clock;
    log->next_bytes = sizes.segment_bytes_min;
    log->next_number = 1;
    log->mark_fd = -1;
    log->next_seqno = 1;
    log->held_seqno = UINT64_MAX;
    memcpy(log->store_id, store_id, SKV_STORE_ID_BYTES);
    skv_mutex_create(&log->lock);
    *out = log;
    return SKV_OK;
}

static void free_list(skv_segment *segment)
{
    while (segment) {
        skv_segment *next = segment->next;
        skv_segment_free(segment);
        segment = next;
    }
}

void skv_log_free(skv_log *log)
{
    if (!log)
        return;
    free_list(log->oldest);
    free_list(log->spare);
    free_list(log->free);
    free_list(log->retired);
    free_list(log->kept);
    free_list(log->lost);
    skv_os_close(log->mark_fd);
    skv_mutex_free(&log->lock);
    skv_release(log->slots);
    skv_release(log);
}

static void forget_list(skv_segment *segment)
{
    for (; segment; segment = segment->next)
        skv_os_close(segment->fd);
}

void skv_log_forget(skv_log *log)
{
    forget_list(log->oldest);
    forget_list(log->spare);
    forget_list(log->free);
    forget_list(log->retired);
    forget_list(log->kept);
    forget_list(log->lost);
    skv_os_close(log->mark_fd);
}

/* -- side file ------------------------------------------------------------------------------------------------------ */

static skv_code write_mark(skv_log *log, skv_mark mark, skv_error *err)
{
    skv_code code;
    mark.generation = log->mark.generation + 1;
    code = skv_mark_write(log->mark_fd, log->store_id, &mark, err);
    log->marked_ns = skv_now_ns();
    if (code == SKV_OK) {
        log->mark = mark;
        skv_clock_saved(log->clock, mark.clock_ms);
    } else { /* after a failed sync nobody knows what the side file says: no segment may be given back on its word */
        skv_lock(&log->lock);
        skv_log_poison(log, code, err);
        skv_unlock(&log->lock);
    }
    return code;
}

static skv_mark current_mark(skv_log *log)
{
    skv_mark mark = log->mark;
    skv_lock(&log->lock);
    mark.durable_seqno = skv_log_durable(log);
    mark.first_segment_id = log->oldest->header.id;
    mark.first_seqno = log->oldest->header.first_seqno;
    mark.kept_segment_id = log->kept_id;
    mark.kept_seqno = log->kept_seqno;
    if (log->applied_sum > mark.applied_sum)
        mark.applied_sum = log->applied_sum;
    mark.clock_ms = skv_clock_now(log->clock);
    mark.closed_segment_id = log->finished ? log->active->header.id : 0;
    skv_unlock(&log->lock);
    return mark;
}

skv_code skv_log_write_mark_twice(skv_log *log, skv_error *err)
{
    skv_mark mark = current_mark(log);
    skv_code code = write_mark(log, mark, err);
    return code == SKV_OK ? write_mark(log, mark, err) : code;
}

skv_code skv_log_found(skv_log *log, skv_error *err)
{
    uint8_t zeros[SKV_PAGE_BYTES] = {0};
    skv_mark birth = {.first_segment_id = 1, .first_seqno = 1, .clock_ms = skv_clock_now(log->clock)};
    skv_code code = skv_os_open(log->dir, MARK_NAME, SKV_OPEN_CREATE, &log->mark_fd, err);
    if (code == SKV_OK)
        code = skv_os_write(log->mark_fd, MARK_NAME, zeros, sizeof zeros, 0, err);
    if (code == SKV_OK)
        code = write_mark(log, birth, err);
    if (code == SKV_OK)
        code = write_mark(log, birth, err);
    return code == SKV_OK ? skv_os_sync_dir(log->dir, "log", err) : code;
}

/* -- segments ------------------------------------------------------------------------------------------------------- */

/* Take the first free file of at least `bytes` off the list. Under the lock. */
static skv_segment *take_free(skv_log *log, uint64_t bytes)
{
    skv_segment **link = &log->free;
    while (*link && (*link)->header.file_bytes < bytes)
        link = &(*link)->next;
    skv_segment *segment = *link;
    if (segment)
        *link = segment->next;
    return segment;
}

/* How much longer than it worked the filling of a spare rests. Under the lock. */
static uint64_t rests(const skv_log *log)
{
    if (!log->active || log->want_bytes || log->hurry)
        return 0;
    return log->active->end < log->active->header.file_bytes / 2 ? 3 : 1;
}

/* Zeros compete with the log's own syncs, but an appender who finds no segment waits for them. */
static void rest(void *context, uint64_t spent_ns)
{
    skv_log *log = context;
    uint64_t began = skv_now_ns(), now = began, end;
    do {
        unsigned seen = skv_event_read(&log->chore);
        skv_lock(&log->lock);
        end = began + rests(log) * spent_ns;
        skv_unlock(&log->lock);
        if (now < end)
            skv_event_wait(&log->chore, seen, end - now);
        now = skv_now_ns();
    } while (now < end);
}

static skv_code make_segment(skv_log *log, uint64_t number, uint64_t bytes, skv_segment **out, skv_error *err)
{
    skv_code code = skv_segment_create(log->dir, number, (skv_segment_fill){bytes, rest, log}, out, err);
    if (code != SKV_OK)
        return code;
    code = skv_os_sync_dir(log->dir, "log", err);
    if (code != SKV_OK) { /* a file whose name may vanish must hold nothing */
        (void)skv_os_remove(log->dir, (*out)->name, NULL);
        skv_segment_free(*out);
        *out = NULL;
    }
    return code;
}

static uint64_t page_ceiling(uint64_t bytes)
{
    return (bytes + SKV_PAGE_BYTES - 1) & ~(uint64_t)(SKV_PAGE_BYTES - 1);
}

/* What must be made now: 0 for nothing. A spare too small for what an appender wants goes back to the free list. */
static uint64_t spare_needed(skv_log *log)
{
    uint64_t need = log->want_bytes > log->next_bytes ? page_ceiling(log->want_bytes) : log->next_bytes;
    if (log->spare ? log->spare->header.file_bytes >= log->want_bytes : !log->want_bytes && !skv_log_wants_spare(log))
        return 0;
    if (log->spare) {
        skv_segment_unmap(log->spare);
        log->spare->next = log->free;
        log->free = log->spare;
        log->spare = NULL;
    }
    return need;
}

static skv_code make_spare(skv_log *log, skv_error *err)
{
    skv_segment *segment;
    skv_code code = SKV_OK;
    uint64_t number, bytes;
    skv_lock(&log->lock);
    bytes = spare_needed(log);
    segment = bytes ? take_free(log, bytes) : NULL;
    log->making = bytes > 0;
    number = bytes && !segment ? log->next_number++ : 0;
    skv_unlock(&log->lock);
    if (!bytes)
        return SKV_OK;
    if (!segment)
        code = make_segment(log, number, bytes, &segment, err);
    if (code == SKV_OK)
        code = skv_segment_prepare(segment, err);
    skv_lock(&log->lock);
    log->making = false;
    log->pool_code = code;
    if (code == SKV_OK) {
        segment->next = NULL;
        log->spare = segment;
        if (segment->header.file_bytes >= log->want_bytes)
            log->want_bytes = 0;
    } else {
        if (segment) {
            segment->next = log->free;
            log->free = segment;
        }
        log->want_bytes = 0; /* whoever still wants so much asks again */
        log->pool_error = *err;
    }
    skv_unlock(&log->lock);
    skv_log_tell_room(log);
    return code;
}

/* After a process was killed, what it wrote last may be in the page cache only: names of files, the side file, the header
 * of the newest segment. From here on files are used again on their word, so they are made durable first. */
static skv_code secure_found(skv_log *log, skv_error *err)
{
    skv_segment *last = log->active;
    skv_code code = skv_os_sync_dir(log->dir, "log", err);
    if (code == SKV_OK)
        code = write_mark(log, log->mark, err);
    if (code == SKV_OK)
        code = write_mark(log, log->mark, err);
    if (code == SKV_OK)
        code = skv_os_write(last->fd, last->name, last->base, SKV_SEGMENT_FRAMES, 0, err);
    return code == SKV_OK ? skv_os_sync(last->fd, last->name, err) : code;
}

skv_code skv_log_start(skv_log *log, uint64_t first_seqno, uint64_t room_bytes, skv_error *err)
{
    skv_segment *segment;
    skv_code code;
    uint64_t id = log->active ? log->active->header.id + 1 : log->mark.first_segment_id;
    log->want_bytes = SKV_SEGMENT_FRAMES + SKV_FRAME_HEADER_BYTES + 8 + room_bytes;
    code = log->active ? secure_found(log, err) : SKV_OK;
    if (code == SKV_OK)
        code = skv_log_give_back(log, 0, err);
    if (code == SKV_OK)
        code = make_spare(log, err);
    if (code != SKV_OK)
        return code;
    segment = log->spare;
    log->next_seqno = first_seqno;
    log->disk_seqno = log->async_seqno = first_seqno - 1;
    atomic_store(&log->durable_seqno, first_seqno - 1);
    if (log->active)
        log->active->last_seqno = first_seqno - 1;
    if (!skv_segment_take_slot(segment, log->slots, SKV_SLOTS_MAX))
        return skv_fail(err, SKV_FULL, "the log has %d segments, and there can be no more", SKV_SLOTS_MAX);
    skv_log_activate(log, segment, id, first_seqno);
    log->spare = NULL;
    log->unsynced = segment;
    log->rolled_ns = skv_now_ns();
    return SKV_OK;
}

/* The side file no longer says that it is closed before anything is written behind its end. */
skv_code skv_log_go_on(skv_log *log, skv_error *err)
{
    skv_segment *last = log->active;
    skv_code code = skv_segment_go_on(last, err);
    if (code != SKV_OK)
        return code;
    log->next_seqno = last->last_seqno + 1;
    log->disk_seqno = log->async_seqno = last->last_seqno;
    atomic_store(&log->durable_seqno, last->last_seqno);
    log->unsynced = last;
    log->rolled_ns = skv_now_ns();
    return skv_log_write_mark_twice(log, err);
}

/* -- the log loop, and the end --------------------------------------------------------------------------------------- */

static bool mark_is_wanted(const skv_log *log)
{
    return atomic_load(&log->mark_stale) || skv_clock_unsaved(log->clock);
}

skv_code skv_log_tend(skv_log *log, skv_error *err)
{
    bool retirable;
    skv_error ignored;
    skv_code code = skv_log_health(log, err);
    if (code != SKV_OK)
        return code;
    code = make_spare(log, err);
    skv_lock(&log->lock);
    retirable = skv_log_take_retirable(log);
    skv_unlock(&log->lock);
    if (retirable && code == SKV_OK)
        return skv_log_settle(log, FREE_SEGMENTS_MAX, err);
    if (retirable && skv_log_settle(log, FREE_SEGMENTS_MAX, &ignored) == SKV_OK) /* all the room there is on a full disk */
        return make_spare(log, err);
    if (code == SKV_OK && mark_is_wanted(log) && skv_now_ns() - log->marked_ns >= MARK_EVERY_NS) {
        atomic_store(&log->mark_stale, false);
        return write_mark(log, current_mark(log), err);
    }
    return code;
}

unsigned skv_log_tend_read(skv_log *log)
{
    return skv_event_read(&log->chore);
}

void skv_log_tend_wait(skv_log *log, unsigned seen, uint64_t timeout_ns)
{
    bool idle;
    skv_lock(&log->lock);
    idle = !log->want_bytes && !skv_log_wants_spare(log) && !mark_is_wanted(log);
    skv_unlock(&log->lock);
    /* Not idle: somebody wrote since; the marks of many syncs become one. */
    skv_event_wait(&log->chore, seen, idle ? timeout_ns : MARK_EVERY_NS);
}

/* An open that wrote nothing leaves nothing: else a log that is not let go of by opens alone would grow with each. */
static skv_code drop_empty(skv_log *log, skv_error *err)
{
    skv_segment *empty = log->active, *before = log->oldest;
    skv_code code;
    if (empty == before || empty->end > SKV_SEGMENT_FRAMES)
        return SKV_OK;
    while (before->next != empty)
        before = before->next;
    code = skv_os_remove(log->dir, empty->name, err);
    if (code != SKV_OK)
        return code;
    before->next = NULL;
    log->active = log->unsynced = before;
    log->live_bytes -= empty->header.file_bytes;
    log->live_segments--;
    skv_segment_free(empty);
    return SKV_OK;
}

skv_code skv_log_finish(skv_log *log, skv_error *err)
{
    skv_segment *spare = log->spare;
    skv_code code = skv_log_health(log, err);
    if (code != SKV_OK)
        return code;
    skv_lock(&log->lock);
    log->finished = true;
    (void)skv_log_take_retirable(log);
    code = drop_empty(log, err);
    if (spare) { /* keep one file for the next open, and only one */
        spare->next = log->retired;
        log->retired = spare;
        log->spare = NULL;
    }
    while (log->free) {
        skv_segment *segment = log->free;
        log->free = segment->next;
        segment->next = log->retired;
        log->retired = segment;
    }
    skv_unlock(&log->lock);
    return code == SKV_OK ? skv_log_settle(log, 1, err) : code;
}
