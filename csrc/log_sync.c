/* L2 part (log family). Sync: leaders, followers, and the loop that syncs for those who do not wait. */
#include "log_state.h"

#include <stdio.h>

#define REMAP_BYTES ((size_t)2 << 20)

/* What one leader takes with it out of the lock. */
typedef struct {
    skv_segment *first, *last;
    size_t last_end; /* of `last`; earlier segments are closed */
    uint64_t target_seqno;
    uint64_t records;
    uint64_t bytes;
} commit_group;

static unsigned bucket_of(uint64_t value)
{
    unsigned bucket = value ? 63U - (unsigned)__builtin_clzll(value) : 0;
    return bucket < SKV_HISTOGRAM_BUCKETS ? bucket : SKV_HISTOGRAM_BUCKETS - 1;
}

static commit_group take_group(skv_log *log)
{
    skv_log_close_frame(log);
    log->group++;
    log->closed_seqno = log->next_seqno - 1;
    return (commit_group){.first = log->unsynced,
                   .last = log->active,
                   .last_end = log->active->end,
                   .target_seqno = log->next_seqno - 1,
                   .records = log->next_seqno - 1 - skv_log_durable(log)};
}

/* Fill in the checksums of the closed frames before `to`. */
static void seal_frames(skv_log *log, skv_segment *segment, size_t to)
{
    if (!segment->header_durable && segment->sealed == SKV_SEGMENT_FRAMES)
        segment->header.previous = log->previous;
    while (segment->sealed < to) {
        uint8_t *at = segment->base + segment->sealed;
        skv_frame frame = {.salt = segment->header.salt,
                           .body_bytes = skv_load32(at + SKV_FRAME_BODY_BYTES),
                           .count = skv_load32(at + SKV_FRAME_COUNT),
                           .first_seqno = skv_load64(at + SKV_FRAME_FIRST_SEQNO),
                           .durable_upto = skv_load64(at + SKV_FRAME_DURABLE_UPTO),
                           .previous = log->previous};
        log->previous = skv_frame_seal(at, &frame);
        segment->sealed += skv_frame_span(&frame);
    }
}

static skv_code sync_segment(skv_log *log, skv_segment *segment, size_t to, skv_error *err)
{
    skv_code code = SKV_OK;
    seal_frames(log, segment, to);
    if (segment->durable < to || !segment->header_durable) {
        code = skv_segment_write(segment, to, err);
        if (code == SKV_OK)
            code = skv_os_sync(segment->fd, segment->name, err);
    }
    if (code == SKV_OK && !segment->header_durable) {
        code = skv_segment_write_header(segment, err);
        if (code == SKV_OK)
            code = skv_os_sync(segment->fd, segment->name, err);
        segment->header_durable = code == SKV_OK;
    }
    return code;
}

/* Segments go one after the other, so that a header on disk proves that all older segments are. */
static skv_code sync_group(skv_log *log, commit_group *group, skv_error *err)
{
    for (skv_segment *segment = group->first;; segment = segment->next) {
        size_t to = segment == group->last ? group->last_end : segment->end;
        skv_code code = sync_segment(log, segment, to, err);
        if (code != SKV_OK)
            return code;
        group->bytes += to - segment->durable;
        segment->durable = to;
        skv_segment_remap(segment, segment == group->last ? REMAP_BYTES : 0);
        if (segment == group->last)
            return SKV_OK;
    }
}

void skv_log_poison(skv_log *log, skv_code code, const skv_error *why)
{
    if (log->poison_code != SKV_OK)
        return;
    log->poison = log->failure = *why;
    log->poison.code = SKV_POISONED;
    log->poison.seqno = skv_log_durable(log) + 1;
    (void)snprintf(log->poison.text, sizeof log->poison.text,
                   "the log could not be written: %.250s; the outcome of writes from seqno %llu on is unknown, "
                   "close and open the store again",
                   why->text, (unsigned long long)log->poison.seqno);
    log->poison_code = code;
    skv_event_notify(&log->advanced);
    skv_notify_over(log->notifiers, &log->poison);
    if (!log->leading) { /* one who was woken to lead will not: the others would sleep on */
        skv_gate_open(&log->gates[0]);
        skv_gate_open(&log->gates[1]);
    }
}

static void note_sync(skv_log *log, const commit_group *group, uint64_t spent_ns)
{
    log->syncs++;
    log->synced_bytes += group->bytes;
    log->sync_us[bucket_of(spent_ns / 1000)]++;
    log->group_sizes[bucket_of(group->records)]++;
}

/* Sync everything appended so far. Called with the lock held, returns without it; nobody else leads. */
static void lead(skv_log *log)
{
    skv_error err = {0};
    skv_code code;
    uint64_t began, durable;
    commit_group group = take_group(log);
    unsigned followers, open = (unsigned)(log->group % 2);
    bool heir, healthy, ahead = log->ahead > 0;
    log->leading = true;
    skv_unlock(&log->lock);
    if (ahead) /* they ship the group while it is on its way to the disk */
        skv_event_notify(&log->advanced);
    began = skv_now_ns();
    code = sync_group(log, &group, &err);
    skv_lock(&log->lock);
    if (code == SKV_OK) {
        note_sync(log, &group, skv_now_ns() - began);
        log->unsynced = group.last;
        atomic_store_explicit(&log->durable_seqno, group.target_seqno, memory_order_release);
    } else {
        skv_log_poison(log, code, &err);
    }
    log->leading = false;
    followers = log->waiting[1 - open];
    heir = log->waiting[open] > 0;
    healthy = log->poison_code == SKV_OK; /* the side file can poison beside a good sync */
    if (!atomic_exchange(&log->mark_stale, true) || skv_log_wants_spare(log))
        skv_event_notify(&log->chore);
    if (log->async_seqno > skv_log_durable(log))
        skv_event_notify(&log->work);
    durable = skv_log_durable(log);
    skv_unlock(&log->lock);
    skv_event_notify(&log->advanced);
    skv_notify_durable(log->notifiers, durable);
    /* One of the next group goes first: its sync overlaps with the waking of the others. Poisoned: everybody goes. */
    if (heir && healthy)
        skv_gate_open_one(&log->gates[open]);
    else if (heir)
        skv_gate_open(&log->gates[open]);
    if (followers)
        skv_gate_open(&log->gates[1 - open]);
}

/* One wait of a follower; false when its time is over or a signal arrived. Called and returns with the lock held. */
static bool follow(skv_log *log, uint64_t seqno, uint64_t timeout_ns)
{
    unsigned side = (unsigned)((log->group - (seqno <= log->closed_seqno)) % 2);
    unsigned seen = skv_gate_read(&log->gates[side]);
    bool through;
    log->waiting[side]++;
    skv_unlock(&log->lock);
    through = skv_gate_wait(&log->gates[side], seen, timeout_ns);
    skv_lock(&log->lock);
    log->waiting[side]--;
    return through;
}

/* For who may not wait: have it synced by the loop. */
static skv_code ask(skv_log *log, uint64_t seqno, skv_error *err)
{
    skv_code code = SKV_AGAIN;
    skv_lock(&log->lock);
    seqno = seqno < log->next_seqno ? seqno : log->next_seqno - 1;
    if (seqno <= skv_log_durable(log)) {
        code = SKV_OK;
    } else if (log->poison_code != SKV_OK) {
        if (err)
            *err = log->poison;
        code = SKV_POISONED;
    } else if (log->async_seqno < seqno) {
        skv_log_want_sync(log);
    }
    skv_unlock(&log->lock);
    return code;
}

skv_code skv_log_wait(skv_log *log, uint64_t seqno, uint64_t timeout_ns, skv_error *err)
{
    skv_code code = SKV_OK;
    uint64_t end;
    if (seqno <= skv_log_durable(log))
        return SKV_OK;
    if (!timeout_ns)
        return ask(log, seqno, err);
    end = skv_now_ns() + timeout_ns;
    skv_lock(&log->lock);
    if (seqno >= log->next_seqno)
        seqno = log->next_seqno - 1; /* what was never appended cannot be waited for */
    while (code == SKV_OK && seqno > skv_log_durable(log)) {
        uint64_t now;
        if (log->poison_code != SKV_OK) {
            if (err)
                *err = log->poison;
            code = SKV_POISONED;
        } else if (!log->leading) {
            lead(log);
            if (seqno <= skv_log_durable(log))
                return SKV_OK;
            skv_lock(&log->lock);
        } else if ((now = skv_now_ns()) >= end || !follow(log, seqno, end - now)) {
            code = SKV_AGAIN;
        }
    }
    /* Durable at last is durable, even when the time ran out in the same moment. */
    if (code == SKV_AGAIN && seqno <= skv_log_durable(log))
        code = SKV_OK;
    skv_unlock(&log->lock);
    return code;
}

skv_code skv_log_wait_all(skv_log *log, skv_error *err)
{
    skv_code code;
    do
        code = skv_log_wait(log, UINT64_MAX, UINT64_MAX / 2, err);
    while (code == SKV_AGAIN);
    return code;
}

skv_code skv_log_push(skv_log *log, uint64_t seqno, skv_error *err)
{
    bool idle;
    if (seqno <= skv_log_durable(log))
        return SKV_OK;
    skv_lock(&log->lock);
    idle = !log->leading && log->poison_code == SKV_OK && seqno > skv_log_durable(log);
    if (idle)
        lead(log);
    else
        skv_unlock(&log->lock);
    return ask(log, seqno, err);
}

skv_code skv_log_sync_start(skv_log *log, skv_error *err)
{
    skv_code code;
    skv_lock(&log->lock);
    lead(log);
    skv_lock(&log->lock);
    code = log->poison_code;
    if (code != SKV_OK)
        *err = log->failure; /* nobody has written yet: what happened, not that an outcome is unknown */
    skv_unlock(&log->lock);
    return code;
}

unsigned skv_log_sync_read(skv_log *log)
{
    return skv_event_read(&log->work);
}

void skv_log_sync_round(skv_log *log, unsigned seen, uint64_t timeout_ns)
{
    uint64_t wanted;
    skv_lock(&log->lock);
    wanted = log->async_seqno;
    skv_unlock(&log->lock);
    if (wanted > skv_log_durable(log) && skv_log_wait(log, wanted, timeout_ns, NULL) != SKV_POISONED)
        return;
    skv_event_wait(&log->work, seen, timeout_ns);
}

void skv_log_wake_loops(skv_log *log)
{
    skv_lock(&log->lock);
    log->hurry = true;
    skv_unlock(&log->lock);
    skv_event_notify(&log->work);
    skv_event_notify(&log->chore);
    skv_log_tell_room(log);
}

void skv_log_attach(skv_log *log, skv_notifiers *notifiers)
{
    log->notifiers = notifiers;
}

void skv_log_tell_room(skv_log *log)
{
    skv_event_notify(&log->room);
    skv_event_notify(&log->advanced);
    skv_notify_room(log->notifiers);
}

unsigned skv_log_room_read(skv_log *log)
{
    return skv_event_read(&log->room);
}

void skv_log_room_wait(skv_log *log, unsigned seen, uint64_t timeout_ns)
{
    skv_event_wait(&log->room, seen, timeout_ns);
}

skv_code skv_log_health(skv_log *log, skv_error *err)
{
    skv_code code;
    skv_lock(&log->lock);
    code = log->poison_code == SKV_OK ? SKV_OK : SKV_POISONED;
    if (code != SKV_OK && err)
        *err = log->poison;
    skv_unlock(&log->lock);
    return code;
}
