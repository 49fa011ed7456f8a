/* L2 part. Peers' acks. */
#include "acks.h"

#include <stdio.h>
#include <string.h>

void skv_acks_create(skv_acks *acks)
{
    skv_mutex_create(&acks->lock);
    atomic_store(&acks->quorum.seqno, UINT64_MAX);
    atomic_store(&acks->all.seqno, UINT64_MAX);
}

void skv_acks_free(skv_acks *acks)
{
    skv_mutex_free(&acks->lock);
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
        if (seqno > best && sum.have >= sum.needed)
            best = seqno;
    }
    return best;
}

static skv_ack_level *level_of(skv_acks *acks, int level)
{
    return level == SKV_ACK_ALL ? &acks->all : &acks->quorum;
}

uint64_t skv_acks_reached(skv_acks *acks, int level)
{
    return atomic_load(&level_of(acks, level)->seqno);
}

void skv_acks_wake(skv_acks *acks)
{
    atomic_fetch_add(&acks->wakes, 1);
    skv_event_notify(&acks->quorum.changed);
    skv_event_notify(&acks->all.changed);
    skv_notify_room(acks->notifiers);
}

/* Is there something new for those who wait at a level? A peer that is down is one more thing that they wait to hear of, but not
 * before the write is durable here. Under the lock. */
static bool has_news(skv_acks *acks, skv_ack_level *level)
{
    uint64_t peers = atomic_load(&level->seqno), here = atomic_load(&acks->local);
    uint64_t now = here < peers ? here : peers;
    bool moved = now != level->told;
    level->told = now;
    return moved || atomic_load(&acks->down);
}

static void tell(skv_acks *acks)
{
    bool quorum, all;
    skv_lock(&acks->lock);
    quorum = has_news(acks, &acks->quorum);
    all = has_news(acks, &acks->all);
    skv_unlock(&acks->lock);
    if (quorum)
        skv_event_notify(&acks->quorum.changed);
    if (all)
        skv_event_notify(&acks->all.changed);
}

/* Under the lock. */
static bool is_one_down(const skv_acks *acks)
{
    bool down = false;
    for (int i = 0; i < SKV_PEERS_MAX; i++)
        down = down || (acks->peers[i].used && atomic_load(&acks->peers[i].state) == SKV_PEER_DOWN);
    return down;
}

/* A peer is another one than before: count anew, and wake those for whom it matters. */
static void update(skv_acks *acks)
{
    uint64_t quorum, all;
    bool moved;
    skv_lock(&acks->lock);
    atomic_store(&acks->down, is_one_down(acks));
    quorum = reached(acks, SKV_ACK_QUORUM);
    all = reached(acks, SKV_ACK_ALL);
    moved = atomic_exchange(&acks->quorum.seqno, quorum) != quorum;
    moved = atomic_exchange(&acks->all.seqno, all) != all || moved;
    skv_unlock(&acks->lock);
    tell(acks);
    if (moved || atomic_load(&acks->down))
        skv_notify_room(acks->notifiers);
}

/* -- peers ---------------------------------------------------------------------------------------------------------- */

int64_t skv_acks_add(skv_acks *acks, const char *name, skv_error *err)
{
    skv_ack_peer *free_one = NULL;
    size_t bytes = strlen(name) + 1;
    if (bytes > SKV_PEER_NAME_BYTES)
        return skv_fail(err, SKV_INVALID, "the peer's path has %zu bytes; at most %d", bytes - 1, SKV_PEER_NAME_BYTES - 1);
    skv_lock(&acks->lock);
    for (int i = SKV_PEERS_MAX; i-- > 0;)
        if (!acks->peers[i].used && !acks->peers[i].held)
            free_one = &acks->peers[i];
    if (free_one) {
        memset(free_one, 0, sizeof *free_one);
        memcpy(free_one->name, name, bytes);
        free_one->used = free_one->held = true;
        atomic_store(&free_one->state, SKV_PEER_BEHIND); /* until somebody knows better */
        atomic_store(&free_one->kept_seqno, 1);          /* likewise: it may need all that there is */
    }
    skv_unlock(&acks->lock);
    if (!free_one)
        return skv_fail(err, SKV_FULL, "a store has at most %d peers", SKV_PEERS_MAX);
    update(acks);
    return free_one - acks->peers;
}

void skv_acks_remove(skv_acks *acks, uint32_t place)
{
    skv_lock(&acks->lock);
    acks->peers[place].used = false;
    atomic_store(&acks->peers[place].kept_seqno, 0);
    skv_unlock(&acks->lock);
    update(acks);
}

void skv_acks_release(skv_acks *acks, uint32_t place)
{
    skv_lock(&acks->lock);
    acks->peers[place].held = false;
    skv_unlock(&acks->lock);
}

void skv_acks_set(skv_acks *acks, uint32_t place, int state)
{
    int before = atomic_exchange(&acks->peers[place].state, state);
    if (state == SKV_PEER_CURRENT)
        atomic_store(&acks->peers[place].current_ns, skv_now_ns());
    if (before != state && (before == SKV_PEER_DOWN || state == SKV_PEER_DOWN))
        update(acks);
}

void skv_acks_note(skv_acks *acks, uint32_t place, uint64_t seqno)
{
    if (atomic_exchange(&acks->peers[place].seqno, seqno) != seqno)
        update(acks);
}

void skv_acks_local(skv_acks *acks, uint64_t seqno)
{
    unsigned long long told = atomic_load(&acks->local);
    while (told < seqno)
        if (atomic_compare_exchange_weak(&acks->local, &told, seqno)) {
            tell(acks);
            return;
        }
}

static void hear_local(void *context, uint64_t durable_seqno)
{
    skv_acks_local(context, durable_seqno);
}

void skv_acks_attach(skv_acks *acks, skv_notifiers *notifiers)
{
    acks->notifiers = notifiers;
    notifiers->context = acks;
    notifiers->also = hear_local;
}

/* -- waiting -------------------------------------------------------------------------------------------------------- */

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

/* The text says that it is durable here: nobody is told before it is. */
static bool is_in_vain(skv_acks *acks, int level, uint64_t seqno, skv_error *err)
{
    tally sum;
    bool vain;
    if (!atomic_load(&acks->down) || atomic_load(&acks->local) < seqno)
        return false;
    skv_lock(&acks->lock);
    sum = count(acks, level, seqno);
    vain = sum.able < sum.needed;
    if (vain)
        (void)fail_missing(acks, &sum, seqno, err);
    skv_unlock(&acks->lock);
    return vain;
}

/* For who may give up now. */
static skv_code say_missing(skv_acks *acks, int level, uint64_t seqno, skv_error *err)
{
    tally sum;
    skv_lock(&acks->lock);
    sum = count(acks, level, seqno);
    (void)fail_missing(acks, &sum, seqno, err);
    skv_unlock(&acks->lock);
    return SKV_AGAIN;
}

static bool there(const skv_acks *acks, const skv_ack_level *at, uint64_t seqno)
{
    return atomic_load(&at->seqno) >= seqno && atomic_load(&acks->local) >= seqno;
}

skv_code skv_acks_wait(skv_acks *acks, int level, uint64_t seqno, uint64_t timeout_ns, skv_error *err)
{
    skv_ack_level *at = level_of(acks, level);
    uint64_t end = timeout_ns ? skv_now_ns() + timeout_ns : 0, now;
    unsigned wakes = atomic_load(&acks->wakes), seen;
    do { /* most are woken for others, too, and wait on here instead of above */
        seen = skv_event_read(&at->changed);
        if (there(acks, at, seqno))
            return SKV_OK;
        if (is_in_vain(acks, level, seqno, err))
            return SKV_ACK;
        now = end ? skv_now_ns() : 0;
        if (now >= end || atomic_load(&acks->wakes) != wakes)
            break;
    } while (skv_event_wait(&at->changed, seen, end - now));
    if (there(acks, at, seqno))
        return SKV_OK;
    return is_in_vain(acks, level, seqno, err) ? SKV_ACK : say_missing(acks, level, seqno, err);
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
