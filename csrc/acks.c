/* L2 part. Peers' acks. */
#include "acks.h"

#include <stdio.h>
#include <string.h>

void skv_acks_create(skv_acks *acks)
{
    skv_mutex_create(&acks->lock);
}

void skv_acks_free(skv_acks *acks)
{
    skv_mutex_free(&acks->lock);
}

static void tell(skv_acks *acks)
{
    skv_event_notify(&acks->changed);
    skv_notify_room(acks->notifiers);
}

int64_t skv_acks_add(skv_acks *acks, const char *name, skv_error *err)
{
    skv_ack_peer *free_one = NULL;
    size_t bytes = strlen(name) + 1;
    if (bytes > SKV_PEER_NAME_BYTES)
        return skv_fail(err, SKV_INVALID, "the peer's path has %zu bytes; at most %d", bytes - 1, SKV_PEER_NAME_BYTES - 1);
    skv_lock(&acks->lock);
    for (int i = SKV_PEERS_MAX; i-- > 0;)
        if (!acks->peers[i].used)
            free_one = &acks->peers[i];
    if (free_one) {
        memset(free_one, 0, sizeof *free_one);
        memcpy(free_one->name, name, bytes);
        free_one->used = true;
        atomic_store(&free_one->state, SKV_PEER_BEHIND); /* until somebody knows better */
    }
    skv_unlock(&acks->lock);
    if (!free_one)
        return skv_fail(err, SKV_FULL, "a store has at most %d peers", SKV_PEERS_MAX);
    tell(acks);
    return free_one - acks->peers;
}

void skv_acks_remove(skv_acks *acks, uint32_t place)
{
    skv_lock(&acks->lock);
    acks->peers[place].used = false;
    atomic_store(&acks->peers[place].kept_seqno, 0);
    skv_unlock(&acks->lock);
    tell(acks);
}

void skv_acks_set(skv_acks *acks, uint32_t place, int state)
{
    if (state == SKV_PEER_CURRENT)
        atomic_store(&acks->peers[place].current_ns, skv_now_ns());
    if (atomic_exchange(&acks->peers[place].state, state) != state)
        tell(acks);
}

void skv_acks_note(skv_acks *acks, uint32_t place, uint64_t seqno)
{
    if (atomic_exchange(&acks->peers[place].seqno, seqno) != seqno)
        tell(acks);
}

/* -- levels --------------------------------------------------------------------------------------------------------- */

/* Of so many peers, how many does the level need? The store is one of a quorum. */
static unsigned needed(unsigned peers, int level)
{
    return level == SKV_ACK_ALL ? peers : (peers + 1) / 2;
}

typedef struct {
    unsigned peers, needed, have, able; /* able: have it, or may have it before long */
} tally;

static tally count(const skv_acks *acks, int level, uint64_t seqno)
{
    tally sum = {0, 0, 0, 0};
    for (int i = 0; i < SKV_PEERS_MAX; i++) {
        const skv_ack_peer *peer = &acks->peers[i];
        bool has = atomic_load(&peer->seqno) >= seqno;
        sum.peers += peer->used;
        sum.have += peer->used && has;
        sum.able += peer->used && (has || atomic_load(&peer->state) != SKV_PEER_DOWN);
    }
    sum.needed = needed(sum.peers, level);
    return sum;
}

/* Under the lock. */
static uint64_t reached(const skv_acks *acks, int level)
{
    uint64_t best = UINT64_MAX;
    if (!count(acks, level, 0).needed)
        return best;
    best = 0;
    for (int i = 0; i < SKV_PEERS_MAX; i++) {
        uint64_t seqno = atomic_load(&acks->peers[i].seqno);
        tally sum = count(acks, level, seqno);
        if (acks->peers[i].used && seqno > best && sum.have >= sum.needed)
            best = seqno;
    }
    return best;
}

uint64_t skv_acks_reached(skv_acks *acks, int level)
{
    uint64_t seqno;
    skv_lock(&acks->lock);
    seqno = reached(acks, level);
    skv_unlock(&acks->lock);
    return seqno;
}

static const char *word(int state)
{
    switch (state) {
    case SKV_PEER_COPYING: return "is being copied";
    case SKV_PEER_BEHIND: return "is behind";
    case SKV_PEER_CURRENT: return "is slow";
    default: return "is down";
    }
}

/* Under the lock. */
static skv_code fail_missing(const skv_acks *acks, const tally *sum, uint64_t seqno, skv_error *err)
{
    char text[256];
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < SKV_PEERS_MAX; i++) {
        const skv_ack_peer *peer = &acks->peers[i];
        if (peer->used && atomic_load(&peer->seqno) < seqno && at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.80s %s at seqno %llu", at ? "; " : "", peer->name,
                                   word(atomic_load(&peer->state)), (unsigned long long)atomic_load(&peer->seqno));
    }
    return skv_fail_at(err, SKV_ACK, "", 0, seqno,
                       "the write with seqno %llu is durable here and in %u of %u peers, of which it needs %u: %s",
                       (unsigned long long)seqno, sum->have, sum->peers, sum->needed, text);
}

/* OK, AGAIN, ACK. */
static skv_code look(skv_acks *acks, int level, uint64_t seqno, skv_error *err)
{
    skv_code code = SKV_OK;
    tally sum;
    skv_lock(&acks->lock);
    sum = count(acks, level, seqno);
    if (sum.have < sum.needed) {
        (void)fail_missing(acks, &sum, seqno, err);
        code = sum.able < sum.needed ? SKV_ACK : SKV_AGAIN;
    }
    skv_unlock(&acks->lock);
    return code;
}

skv_code skv_acks_wait(skv_acks *acks, int level, uint64_t seqno, uint64_t timeout_ns, skv_error *err)
{
    unsigned seen = skv_event_read(&acks->changed);
    skv_code code = look(acks, level, seqno, err);
    if (code != SKV_AGAIN || !timeout_ns)
        return code;
    skv_event_wait(&acks->changed, seen, timeout_ns);
    return look(acks, level, seqno, err);
}

uint64_t skv_acks_kept(const skv_acks *acks)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < SKV_PEERS_MAX; i++) {
        uint64_t seqno = atomic_load(&acks->peers[i].kept_seqno);
        first = seqno && seqno < first ? seqno : first;
    }
    return first;
}
