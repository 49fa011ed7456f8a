/* L4 house. The three loops that the caller's threads run: sync, log, flush. Each stays here, in C, until the store stops. */
#include "flush_path.h"
#include "store.h"

#define IDLE_NS SKV_NS_PER_S
#define RETRY_NS (200 * SKV_NS_PER_MS)

void skv_run_sync(skv_store *store)
{
    while (!atomic_load(&store->stopping))
        skv_log_sync_round(store->parts.log, IDLE_NS);
}

void skv_run_log(skv_store *store)
{
    skv_error err;
    while (!atomic_load(&store->stopping)) {
        /* A failure is remembered by the log: a poisoned one refuses writes, a full disk is tried again. */
        bool failed = skv_log_tend(store->parts.log, &err) != SKV_OK;
        if (failed)
            skv_event_wait(&store->left, skv_event_read(&store->left), RETRY_NS);
        else
            skv_log_tend_wait(store->parts.log, IDLE_NS);
    }
}

void skv_run_flush(skv_store *store)
{
    skv_error err;
    while (!atomic_load(&store->stopping)) {
        unsigned seen = skv_event_read(&store->parts.pressure.wanted);
        skv_code code = skv_flush_step(&store->parts, &store->stopping, &err);
        if (code == SKV_NOT_FOUND)
            skv_flush_wait_for_work(&store->parts, seen, IDLE_NS);
        else if (code != SKV_OK)
            skv_event_wait(&store->left, skv_event_read(&store->left), RETRY_NS);
    }
}
