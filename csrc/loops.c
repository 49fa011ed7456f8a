/* L4 house. The three loops that the caller's threads run: sync, log, flush. Each stays here, in C, until the store stops. */
#include "flush_path.h"
#include "store.h"

#define IDLE_NS SKV_NS_PER_S
#define RETRY_NS (200 * SKV_NS_PER_MS)

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

void skv_run_flush(skv_store *store)
{
    unsigned seen = skv_event_read(&store->parts.pressure.wanted), left = skv_event_read(&store->left);
    while (!atomic_load(&store->stopping)) {
        skv_error err;
        skv_code code = skv_flush_step(&store->parts, &store->stopping, &err);
        if (code == SKV_NOT_FOUND)
            skv_flush_wait_for_work(&store->parts, seen, IDLE_NS);
        else if (code != SKV_OK)
            skv_event_wait(&store->left, left, RETRY_NS);
        seen = skv_event_read(&store->parts.pressure.wanted);
        left = skv_event_read(&store->left);
    }
}
