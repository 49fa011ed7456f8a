/* L2. Notifiers: how a thread that may not sleep in the engine, one that runs an event loop, hears of what it waits for.
 *
 * A notifier is a descriptor that becomes readable once: when everything up to the armed seqno is durable, when there may
 * be room again, or when nothing more will become durable. Tell first, look for somebody armed then; arm first, look
 * whether it was told then: in one of the two orders every signal is seen. Who tells pays two plain atomics when there is
 * no notifier. Threads: any. Its lock is innermost. */
#ifndef SKV_NOTIFY_H
#define SKV_NOTIFY_H

#include "error.h"
#include "sync.h"

/* All notifiers of one store, and what they were told. All zeros is a good beginning but for the lock. */
typedef struct {
    skv_mutex lock;
    skv_notifier *first;   /* under lock */
    atomic_uint live;      /* how many */
    atomic_ullong durable; /* newest durable seqno */
    atomic_ullong room;    /* counts the moments at which there may be room again */
    void (*also)(void *context, uint64_t durable_seqno); /* is told what is durable, too; NULL: nobody */
    void *context;                                       /* kept */
    atomic_bool over;      /* nothing more will become durable: poisoned, or stopped */
    skv_error why;         /* under lock; the code is OK until then */
} skv_notifiers;

struct skv_notifier {
    skv_notifiers *all; /* kept */
    void *owner;        /* kept; the house's */
    skv_notifier *next, *previous;
    int fd;
    atomic_ullong seqno; /* UINT64_MAX: not armed */
    atomic_bool wants_room;
};

void skv_notifiers_create(skv_notifiers *all);
/* Every notifier was freed before. */
void skv_notifiers_free(skv_notifiers *all);

/* owned: skv_notify_close. */
skv_code skv_notify_open(skv_notifiers *all, skv_notifier **out, skv_error *err);
void skv_notify_close(skv_notifier *notifier);
/* In a forked child: give back the descriptor, touch no lock. */
void skv_notify_forget(skv_notifier *notifier);

/* Ask for one signal. false: what is asked for is there already, look at once; a signal may come all the same. */
bool skv_notify_arm(skv_notifier *notifier, uint64_t seqno);
/* room: as read before the call that found none. */
bool skv_notify_arm_room(skv_notifier *notifier, uint64_t room);
/* Take the signal, then read the newest durable seqno. OK, or why nothing more will become durable. */
skv_code skv_notify_read(skv_notifier *notifier, uint64_t *durable_seqno, skv_error *err);

/* Tell. all NULL: there is nobody. */
void skv_notify_durable(skv_notifiers *all, uint64_t seqno);
void skv_notify_room(skv_notifiers *all);
uint64_t skv_notify_room_read(skv_notifiers *all);
/* The first reason stays. */
void skv_notify_over(skv_notifiers *all, const skv_error *why);

#endif
