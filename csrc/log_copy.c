/* L2 part (log family). Filling a log with the records of another one. */
#include "log_copy.h"

#include "log_scan.h"
#include "log_state.h"
#include "memory.h"

struct skv_log_copy {
    skv_log *log; /* owned */
    skv_clock clock;
    uint64_t frame_last; /* newest record of the frame under way */
};

void skv_log_copy_free(skv_log_copy *copy)
{
    if (!copy)
        return;
    skv_log_free(copy->log);
    skv_release(copy);
}

/* Nobody waits for an outcome here: what happened is told, not that it is unknown what did. */
static skv_code tell(const skv_log_copy *copy, skv_code code, skv_error *err)
{
    if (code == SKV_OK || copy->log->poison_code == SKV_OK)
        return code;
    *err = copy->log->failure;
    return copy->log->poison_code;
}

static skv_code make(const skv_log_copy_terms *terms, skv_log_copy **out, skv_error *err)
{
    skv_log_copy *copy = skv_alloc(sizeof *copy);
    *out = copy;
    if (!copy)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    copy->frame_last = terms->first_seqno - 1;
    skv_clock_raise(&copy->clock, terms->clock_ms);
    return skv_log_create(terms->dir, terms->store_id, terms->sizes, &copy->clock, &copy->log, err);
}

skv_code skv_log_copy_create(const skv_log_copy_terms *terms, skv_log_copy **out, skv_error *err)
{
    skv_log_copy *copy;
    skv_code code = make(terms, &copy, err);
    *out = NULL;
    if (code == SKV_OK)
        code = skv_log_found(copy->log, err);
    if (code == SKV_OK) /* no two logs begin alike */
        code = skv_os_random(&copy->log->previous, sizeof copy->log->previous, err);
    if (code == SKV_OK)
        code = skv_log_start(copy->log, terms->first_seqno, 0, err);
    if (code == SKV_OK)
        code = skv_log_sync_start(copy->log, err);
    if (code != SKV_OK) {
        skv_log_copy_free(copy);
        return code;
    }
    *out = copy;
    return SKV_OK;
}

/* A store with more of them could not be opened. */
static skv_code refuse_full(const skv_log *log, skv_error *err)
{
    if (log->live_segments < SKV_SLOTS_LIVE)
        return SKV_OK;
    return skv_fail(err, SKV_FULL, "the log of the copy has %d segments, and cannot have more; make a new copy elsewhere",
                    SKV_SLOTS_LIVE);
}

static skv_code append_again(void *context, skv_position position, const skv_record *record, skv_error *err)
{
    skv_record same = *record;
    (void)position, (void)err;
    (void)skv_log_append(context, &same);
    return SKV_OK;
}

/* As an open does: what no sync proves is written again, into the fresh segment. */
static skv_code begin_segment(skv_log *log, const skv_log_found_tail *tail, skv_error *err)
{
    skv_code code = refuse_full(log, err);
    if (code == SKV_OK)
        code = skv_log_start(log, tail->proven_seqno + 1, tail->tail_bytes, err);
    if (code == SKV_OK && tail->tail_bytes)
        code = skv_log_reserve(log, (size_t)tail->tail_bytes, err);
    if (code == SKV_OK && tail->tail_bytes)
        code = skv_log_visit_records(log, tail->proven_seqno + 1, tail->last_seqno, append_again, log, err);
    return code == SKV_OK ? skv_log_sync_start(log, err) : code;
}

skv_code skv_log_copy_reopen(const skv_log_copy_terms *terms, uint64_t proof_seqno, skv_log_copy **out, skv_error *err)
{
    skv_log_copy *copy;
    skv_log_found_tail tail;
    skv_code code = make(terms, &copy, err);
    *out = NULL;
    if (code == SKV_OK)
        code = skv_log_scan(copy->log, proof_seqno, NULL, &tail, err);
    if (code == SKV_OK && tail.last_seqno != copy->frame_last)
        code = skv_fail_at(err, SKV_CORRUPT, "log", 0, tail.last_seqno + 1, "the log changed while it was looked at");
    if (code == SKV_OK)
        code = tail.closed ? skv_log_go_on(copy->log, err) : begin_segment(copy->log, &tail, err);
    if (code != SKV_OK) {
        skv_log_copy_free(copy);
        return code;
    }
    *out = copy;
    return SKV_OK;
}

/* Room for the whole frame, so that none is in two segments. */
static skv_code begin_frame(skv_log *log, size_t bytes, skv_error *err)
{
    skv_code code;
    skv_log_lock(log);
    skv_log_close_frame(log);
    code = skv_log_reserve(log, bytes, err);
    skv_log_unlock(log);
    return code;
}

skv_code skv_log_copy_make_room(skv_log_copy *copy, skv_error *err)
{
    skv_code code = refuse_full(copy->log, err);
    return code == SKV_OK ? tell(copy, skv_log_tend(copy->log, err), err) : code;
}

skv_code skv_log_copy_take(skv_log_copy *copy, const skv_record *record, skv_log_rest rest, skv_error *err)
{
    skv_log *log = copy->log;
    skv_record same = *record;
    if (record->seqno != log->next_seqno)
        return skv_fail_at(err, SKV_CORRUPT, "log", 0, log->next_seqno,
                           "the record with seqno %llu is missing, the next one is %llu",
                           (unsigned long long)log->next_seqno, (unsigned long long)record->seqno);
    if (record->seqno > copy->frame_last) {
        skv_code code = tell(copy, begin_frame(log, rest.bytes, err), err);
        if (code != SKV_OK)
            return code;
        copy->frame_last = rest.last_seqno;
    }
    skv_log_lock(log);
    (void)skv_log_append(log, &same);
    skv_log_unlock(log);
    return SKV_OK;
}

skv_code skv_log_copy_sync(skv_log_copy *copy, skv_error *err)
{
    if (copy->log->next_seqno <= copy->frame_last) /* a frame under way is not cut in two */
        return SKV_OK;
    return tell(copy, skv_log_wait_all(copy->log, err), err);
}

skv_code skv_log_copy_finish(skv_log_copy *copy, uint64_t applied_sum, skv_error *err)
{
    skv_code code = tell(copy, skv_log_wait_all(copy->log, err), err);
    if (code != SKV_OK)
        return code;
    skv_log_retire(copy->log, 0, applied_sum);
    return tell(copy, skv_log_finish(copy->log, err), err);
}
