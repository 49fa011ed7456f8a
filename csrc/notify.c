/* L2. Notifiers. */
#include "notify.h"

#include "memory.h"
#include "os.h"

#define UNARMED UINT64_MAX

void skv_notifiers_create(skv_notifiers *all)
{
    skv_mutex_create(&all->lock);
}

void skv_notifiers_free(skv_notifiers *all)
{
    skv_mutex_free(&all->lock);
}

skv_code skv_notify_open(skv_notifiers *all, skv_notifier **out, skv_error *err)
{
    skv_notifier *notifier = skv_alloc(sizeof *notifier);
    skv_code code;
    *out = NULL;
    if (!notifier)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: no notifier");
    code = skv_os_bell_open(&notifier->fd, err);
    if (code != SKV_OK) {
        skv_release(notifier);
        return code;
    }
    notifier->all = all;
    atomic_init(&notifier->seqno, UNARMED);
    skv_lock(&all->lock);
    notifier->next = all->first;
    if (notifier->next)
        notifier->next->previous = notifier;
    all->first = notifier;
    atomic_fetch_add(&all->live, 1);
    skv_unlock(&all->lock);
    *out = notifier;
    return SKV_OK;
}

void skv_notify_close(skv_notifier *notifier)
{
    skv_notifiers *all = notifier->all;
    skv_lock(&all->lock);
    if (notifier->next)
        notifier->next->previous = notifier->previous;
    if (notifier->previous)
        notifier->previous->next = notifier->next;
    else
        all->first = notifier->next;
    atomic_fetch_sub(&all->live, 1);
    skv_unlock(&all->lock);
    skv_notify_forget(notifier);
}

void skv_notify_forget(skv_notifier *notifier)
{
    skv_os_close(notifier->fd);
    skv_release(notifier);
}

/* -- asking --------------------------------------------------------------------------------------------------------- */

bool skv_notify_arm(skv_notifier *notifier, uint64_t seqno)
{
    const skv_notifiers *all = notifier->all;
    atomic_store(&notifier->seqno, seqno);
    if (atomic_load(&all->durable) < seqno && !atomic_load(&all->over))
        return true;
    atomic_store(&notifier->seqno, UNARMED);
    return false;
}

bool skv_notify_arm_room(skv_notifier *notifier, uint64_t room)
{
    const skv_notifiers *all = notifier->all;
    atomic_store(&notifier->wants_room, true);
    if (atomic_load(&all->room) == room && !atomic_load(&all->over))
        return true;
    atomic_store(&notifier->wants_room, false);
    return false;
}

skv_code skv_notify_read(skv_notifier *notifier, uint64_t *durable_seqno, skv_error *err)
{
    skv_notifiers *all = notifier->all;
    skv_code code = SKV_OK;
    skv_os_bell_still(notifier->fd);
    /* In this order: once it is over the number is final. */
    if (atomic_load(&all->over)) {
        skv_lock(&all->lock);
        code = all->why.code;
        *err = all->why;
        skv_unlock(&all->lock);
    }
    *durable_seqno = atomic_load(&all->durable);
    return code;
}

/* -- telling -------------------------------------------------------------------------------------------------------- */

/* Each armed notifier that is due, once: whoever takes the arming away rings. */
static void ring_durable(skv_notifiers *all, uint64_t seqno)
{
    skv_lock(&all->lock);
    for (skv_notifier *each = all->first; each; each = each->next) {
        unsigned long long armed = atomic_load(&each->seqno);
        while (armed <= seqno && armed != UNARMED)
            if (atomic_compare_exchange_weak(&each->seqno, &armed, UNARMED)) {
                skv_os_bell_ring(each->fd);
                break;
            }
    }
    skv_unlock(&all->lock);
}

void skv_notify_durable(skv_notifiers *all, uint64_t seqno)
{
    unsigned long long told;
    if (!all)
        return;
    told = atomic_load(&all->durable);
    while (told < seqno && !atomic_compare_exchange_weak(&all->durable, &told, seqno)) /* two may tell at once */
        continue;
    if (all->also)
        all->also(all->context, seqno);
    if (atomic_load(&all->live))
        ring_durable(all, seqno);
}

void skv_notify_room(skv_notifiers *all)
{
    if (!all)
        return;
    atomic_fetch_add(&all->room, 1);
    if (!atomic_load(&all->live))
        return;
    skv_lock(&all->lock);
    for (skv_notifier *each = all->first; each; each = each->next)
        if (atomic_exchange(&each->wants_room, false))
            skv_os_bell_ring(each->fd);
    skv_unlock(&all->lock);
}

uint64_t skv_notify_room_read(skv_notifiers *all)
{
    return all ? atomic_load(&all->room) : 0;
}

void skv_notify_over(skv_notifiers *all, const skv_error *why)
{
    if (!all)
        return;
    skv_lock(&all->lock);
    if (all->why.code == SKV_OK)
        all->why = *why;
    atomic_store(&all->over, true);
    for (skv_notifier *each = all->first; each; each = each->next)
        skv_os_bell_ring(each->fd);
    skv_unlock(&all->lock);
}
