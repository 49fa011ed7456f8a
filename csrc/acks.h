/* L2 part. How far each peer is, and who waits for that. The levels beyond the store's own disk: a quorum is more than half of
 * the store and its peers, the store itself among them. Threads: any. */
#ifndef SKV_ACKS_H
#define SKV_ACKS_H

#include "error.h"
#include "include/shardkv_dirs.h"
#include "notify.h"
#include "sync.h"

#define SKV_PEER_NAME_BYTES 256

typedef struct {
    bool used;             /* it counts; under lock */
    bool held;             /* somebody may still tell of it: nobody else gets its place; under lock */
    char name[SKV_PEER_NAME_BYTES];
    atomic_ullong seqno;   /* durable in the peer */
    atomic_int state;      /* SKV_PEER_... */
    atomic_ullong current_ns, shipped_bytes, syncs;
    atomic_ullong kept_seqno; /* the log is kept for it from here on; 0: not */
} skv_ack_peer;

/* One level: how far it is, and who waits for it. */
typedef struct {
    atomic_ullong seqno; /* the newest that has reached it, as far as peers are concerned; UINT64_MAX without peers */
    uint64_t told;       /* durable there and here, as far as waiters were told; under lock */
    skv_event changed;   /* it has more, or a peer is down, came or went */
} skv_ack_level;

typedef struct {
    skv_mutex lock;
    skv_ack_peer peers[SKV_PEERS_MAX];
    skv_ack_level quorum, all;
    atomic_ullong local; /* durable in the store itself, as far as it was told */
    atomic_bool down;    /* a peer is: a level may be out of reach */
    atomic_uint wakes;   /* counts skv_acks_wake */
    skv_notifiers *notifiers; /* kept; NULL: nobody */
} skv_acks;

void skv_acks_create(skv_acks *acks);
void skv_acks_free(skv_acks *acks);
/* Hear of what is durable in the store itself, and tell notifiers of peers. kept. */
void skv_acks_attach(skv_acks *acks, skv_notifiers *notifiers);
/* Its place. FULL, INVALID. */
int64_t skv_acks_add(skv_acks *acks, const char *name, skv_error *err);
/* It counts no more. Its place is free once it is released, too. */
void skv_acks_remove(skv_acks *acks, uint32_t place);
void skv_acks_release(skv_acks *acks, uint32_t place);
void skv_acks_set(skv_acks *acks, uint32_t place, int state);
/* What is durable there never becomes less, unless the peer is down: then it is what was found. */
void skv_acks_note(skv_acks *acks, uint32_t place, uint64_t seqno);
uint64_t skv_acks_reached(skv_acks *acks, int level);
/* Wake all who wait, to let them see that the store stops. */
void skv_acks_wake(skv_acks *acks);
/* What is durable in the store itself: whoever sees it grow tells, since waiters wait for both. */
void skv_acks_local(skv_acks *acks, uint64_t seqno);
/* OK: durable here and in the peers; AGAIN, and which peers are missing, after timeout_ns, a signal or skv_acks_wake; ACK: so
 * many peers are down that it cannot be reached. */
skv_code skv_acks_wait(skv_acks *acks, int level, uint64_t seqno, uint64_t timeout_ns, skv_error *err);
/* The first record that the log is kept for; UINT64_MAX: none. */
uint64_t skv_acks_kept(const skv_acks *acks);

#endif
