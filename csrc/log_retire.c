/* L2 part (log family). Giving segments back: what no shard and no reader needs any more is retained as long as the
 * budget allows, then used again or removed; and only after the side file says that nothing in it is needed. */
#include "log_state.h"

#include "memory.h"

/* -- retaining: under the log's lock -------------------------------------------------------------------------------- */

static uint64_t page_ceiling(uint64_t bytes)
{
    return (bytes + SKV_PAGE_BYTES - 1) & ~(uint64_t)(SKV_PAGE_BYTES - 1);
}

/* What the file takes on disk while it is retained: one that is mostly empty, as every open leaves one, is cut. */
static uint64_t kept_bytes(const skv_segment *segment)
{
    uint64_t used = page_ceiling(segment->end);
    return used <= segment->header.file_bytes / 2 ? used : segment->header.file_bytes;
}

static void keep(skv_log *log, skv_segment *segment)
{
    segment->next = NULL;
    if (log->kept)
        log->newest_kept->next = segment;
    else
        log->kept = segment;
    log->newest_kept = segment;
    if (!log->unsettled)
        log->unsettled = segment;
    if (!log->kept_id) {
        log->kept_id = segment->header.id;
        log->kept_seqno = segment->header.first_seqno;
    }
    log->kept_bytes += kept_bytes(segment);
    log->kept_segments++;
}

/* Nobody knows where one ends that is followed by a missing one. */
static bool is_held(const skv_log *log, const skv_segment *segment)
{
    return log->held_seqno != UINT64_MAX && segment->last_seqno >= log->held_seqno;
}

/* Past the budget the oldest goes first. The newest stays, however large it is, unless nothing is to be retained. */
static bool keeps_too_much(const skv_log *log)
{
    if (!log->kept || log->kept->readers || is_held(log, log->kept))
        return false;
    return !log->retain_bytes || (log->kept_bytes > log->retain_bytes && log->kept->next);
}

static void retire_first(skv_segment **from, skv_segment **to)
{
    skv_segment *segment = *from;
    while (*to)
        to = &(*to)->next;
    *from = segment->next;
    segment->next = NULL;
    *to = segment;
}

static void drop_kept(skv_log *log)
{
    while (keeps_too_much(log)) {
        skv_segment *segment = log->kept;
        log->kept_bytes -= kept_bytes(segment);
        log->kept_segments--;
        if (log->unsettled == segment)
            log->unsettled = segment->next;
        retire_first(&log->kept, &log->retired);
        log->kept_id = log->kept ? log->kept->header.id : 0;
        log->kept_seqno = log->kept ? log->kept->header.first_seqno : 0;
    }
    if (!log->kept && !log->retain_bytes) /* also when all that a side file spoke of is lost */
        log->kept_id = log->kept_seqno = 0;
    while (log->lost && (!log->kept_id || log->kept_id > log->lost_id))
        retire_first(&log->lost, &log->retired);
}

bool skv_log_take_retirable(skv_log *log)
{
    bool found = false;
    while (log->oldest != log->active && log->oldest != log->unsynced &&
           log->oldest->last_seqno < log->retire_bound && log->oldest->last_seqno <= skv_log_durable(log) &&
           !log->oldest->readers && !skv_segment_pinned(log->oldest, log->slots)) {
        skv_segment *segment = log->oldest;
        log->oldest = segment->next;
        log->live_bytes -= segment->header.file_bytes;
        log->live_segments--;
        keep(log, segment);
        found = true;
    }
    drop_kept(log);
    return found || log->retired || log->unsettled;
}

void skv_log_retire(skv_log *log, uint64_t bound_seqno, uint64_t applied_sum)
{
    bool news;
    skv_lock(&log->lock);
    news = applied_sum > log->applied_sum || bound_seqno > log->retire_bound;
    if (applied_sum > log->applied_sum)
        log->applied_sum = applied_sum;
    if (bound_seqno > log->retire_bound)
        log->retire_bound = bound_seqno;
    skv_unlock(&log->lock);
    if (news) /* every scan that ends asks */
        skv_event_notify(&log->chore);
}

void skv_log_retain(skv_log *log, uint64_t bytes)
{
    skv_lock(&log->lock);
    log->retain_bytes = bytes;
    skv_unlock(&log->lock);
    skv_event_notify(&log->chore);
}

void skv_log_hold(skv_log *log, uint64_t seqno)
{
    log->held_seqno = seqno;
}

/* -- settling: the tending thread's --------------------------------------------------------------------------------- */

static size_t list_length(const skv_segment *segment)
{
    size_t length = 0;
    for (; segment; segment = segment->next)
        length++;
    return length;
}

/* A file whose descriptor was given up while it was retained is opened again before it is used again. */
static bool reopened(skv_log *log, skv_segment *segment)
{
    return segment->fd >= 0 || skv_os_open(log->dir, segment->name, SKV_OPEN_WRITE, &segment->fd, NULL) == SKV_OK;
}

/* Keep a retired file for its next life, or remove it. */
static skv_code settle_retired(skv_log *log, skv_segment *segment, size_t keep_files, skv_error *err)
{
    skv_code code;
    bool kept = reopened(log, segment);
    skv_segment_unmap(segment);
    skv_lock(&log->lock);
    skv_segment_give_slot(segment, log->slots);
    kept = kept && list_length(log->free) < keep_files && segment->header.file_bytes >= log->next_bytes &&
           segment->header.file_bytes <= log->sizes.segment_bytes_max;
    if (kept) {
        segment->next = log->free;
        log->free = segment;
    }
    skv_unlock(&log->lock);
    if (kept)
        return SKV_OK;
    code = skv_os_remove(log->dir, segment->name, err);
    skv_segment_free(segment);
    return code == SKV_OK ? skv_os_sync_dir(log->dir, "log", err) : code;
}

/* A retained file needs neither memory nor a descriptor; its readers open it themselves. */
static skv_code settle_kept(skv_log *log, skv_segment *segment, skv_error *err)
{
    uint64_t bytes = kept_bytes(segment);
    skv_code code = SKV_OK;
    if (bytes < segment->header.file_bytes)
        code = skv_os_cut(segment->fd, segment->name, bytes, err);
    if (code != SKV_OK)
        return code;
    skv_segment_unmap(segment);
    skv_lock(&log->lock);
    segment->header.file_bytes = bytes;
    skv_segment_give_slot(segment, log->slots);
    log->unsettled = segment->next;
    skv_unlock(&log->lock);
    skv_os_close(segment->fd);
    segment->fd = -1;
    return SKV_OK;
}

skv_code skv_log_give_back(skv_log *log, size_t keep_files, skv_error *err)
{
    skv_code code = SKV_OK;
    while (code == SKV_OK) {
        skv_segment *segment;
        skv_lock(&log->lock);
        segment = log->retired;
        if (segment)
            log->retired = segment->next;
        skv_unlock(&log->lock);
        if (!segment)
            break;
        code = settle_retired(log, segment, keep_files, err);
    }
    return code;
}

skv_code skv_log_settle(skv_log *log, size_t keep_files, skv_error *err)
{
    skv_code code = skv_log_write_mark_twice(log, err);
    if (code == SKV_OK)
        code = skv_log_give_back(log, keep_files, err);
    while (code == SKV_OK && log->unsettled)
        code = settle_kept(log, log->unsettled, err);
    return code;
}
