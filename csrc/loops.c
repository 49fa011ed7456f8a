/* L4 house. The three loops that the caller's threads run: sync, log, flush. Each stays here, in C, until the store stops. */
#include "flush_path.h"
#include "store.h"
#include "sweep_path.h"

#define IDLE_NS SKV_NS_PER_S
#define RETRY_NS (200 * SKV_NS_PER_MS)
#define SWEEP_RESTS 9 /* for each time that was worked */

/* Each loop reads its event first, then looks whether to stop: a stop in between is seen by the one or the other. */
void skv_run_sync(skv_store *store)
{
    unsigned seen = skv_log_sync_read(store->parts.log);
    for (; !atomic_load(&store->stopping); seen = skv_log_sync_read(store->parts.log))
        skv_log_sync_round(store->parts.log, seen, IDLE_NS);
}

void skv_run_log(skv_store *store)
{
    unsigned seen = skv_log_tend_read(store->parts.log), left = skv_event_read(&store->left);
    while (!atomic_load(&store->stopping)) {
        skv_error err;
        /* A failure is remembered by the log: a poisoned one refuses writes, a full disk is tried again. */
        if (skv_log_tend(store->parts.log, &err) != SKV_OK)
            skv_event_wait(&store->left, left, RETRY_NS);
        else
            skv_log_tend_wait(store->parts.log, seen, IDLE_NS);
        seen = skv_log_tend_read(store->parts.log);
        left = skv_event_read(&store->left);
    }
}

/* While nothing needs a flush: one round of sweeping, then a rest as long as nine such rounds, unless a flush is wanted. */
static void sweep_and_wait(skv_store *store, unsigned seen)
{
    skv_io io = {.flags = SKV_IO_NO_WAIT};
    uint64_t began = skv_now_ns(), rest = IDLE_NS;
    skv_code code = store->readonly ? SKV_NOT_FOUND : skv_sweep_step(&store->parts, &io);
    if (code != SKV_NOT_FOUND)
        rest = code == SKV_OK ? SWEEP_RESTS * (skv_now_ns() - began) : RETRY_NS;
    skv_flush_wait_for_work(&store->parts, seen, rest);
}

/* Nobody writes to a store that is open readonly, so nothing presses; what it is, a backup or not, it stays. */
static bool wants_no_flush(skv_store *store)
{
    return store->readonly && !store->in_force.following && !atomic_load(&store->parts.flush_target);
}

void skv_run_flush(skv_store *store)
{
    unsigned seen = skv_event_read(&store->parts.pressure.wanted), left = skv_event_read(&store->left);
    while (!atomic_load(&store->stopping)) {
        skv_error err;
        skv_code code = wants_no_flush(store) ? SKV_NOT_FOUND : skv_flush_step(&store->parts, &store->stopping, &err);
        if (code == SKV_NOT_FOUND)
            sweep_and_wait(store, seen);
        else if (code != SKV_OK)
            skv_event_wait(&store->left, left, RETRY_NS);
        seen = skv_event_read(&store->parts.pressure.wanted);
        left = skv_event_read(&store->left);
    }
}
