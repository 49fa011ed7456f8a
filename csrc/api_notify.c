/* L4 house. The contract's notifiers: an event loop hears of the store through one descriptor. */
#include "store.h"

static skv_code check_fork(const skv_notifier *notifier, skv_error *err)
{
    skv_store *store = notifier->owner;
    if (!atomic_load_explicit(&store->forked, memory_order_relaxed))
        return SKV_OK;
    return skv_fail(err, SKV_FORKED, "the store was opened before a fork; open it again in this process");
}

skv_code skv_notifier_open(skv_store *store, skv_notifier **out, skv_error *err)
{
    skv_code code = skv_store_enter(store, err);
    *out = NULL;
    if (code != SKV_OK)
        return code;
    code = skv_notify_open(&store->parts.notifiers, out, err);
    if (code == SKV_OK)
        (*out)->owner = store;
    skv_store_leave(store);
    return code;
}

void skv_notifier_free(skv_notifier *notifier)
{
    skv_error ignored;
    if (!notifier)
        return;
    if (check_fork(notifier, &ignored) == SKV_OK)
        skv_notify_close(notifier);
    else /* the list is the parent's, and its lock may be held by a thread that does not exist here */
        skv_notify_forget(notifier);
}

int skv_notifier_fd(const skv_notifier *notifier)
{
    return notifier->fd;
}

skv_code skv_notifier_arm(skv_notifier *notifier, uint64_t seqno, skv_error *err)
{
    skv_store *store = notifier->owner;
    skv_error ignored;
    skv_code code = check_fork(notifier, err);
    if (code != SKV_OK || !skv_notify_arm(notifier, seqno))
        return code;
    if (skv_store_enter(store, &ignored) == SKV_OK) { /* who stops the store syncs, and signals when it has */
        (void)skv_log_wait(store->parts.log, seqno, 0, &ignored);
        skv_store_leave(store);
    }
    return SKV_AGAIN;
}

skv_code skv_notifier_arm_room(skv_notifier *notifier, uint64_t room, skv_error *err)
{
    skv_code code = check_fork(notifier, err);
    return code != SKV_OK || !skv_notify_arm_room(notifier, room) ? code : SKV_AGAIN;
}

skv_code skv_notifier_read(skv_notifier *notifier, uint64_t *durable_seqno, skv_error *err)
{
    skv_code code = check_fork(notifier, err);
    *durable_seqno = 0;
    return code == SKV_OK ? skv_notify_read(notifier, durable_seqno, err) : code;
}
