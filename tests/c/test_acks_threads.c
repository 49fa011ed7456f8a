/* Acks under threads: no waiter is told too early, none sleeps through its ack, whoever comes, goes or goes down meanwhile. */
#include <pthread.h>
#include <string.h>

#include "acks.h"
#include "check.h"

#define PEERS 3
#define WRITES 3000
#define WAITERS 4

typedef struct {
    skv_acks acks;
    atomic_ullong durable[PEERS]; /* before it is told */
    atomic_ullong local;
    atomic_bool over;
    bool calm; /* nobody comes, goes or is down */
} world;

static world at;

static void *be_peer(void *argument)
{
    unsigned who = (unsigned)(uintptr_t)argument;
    for (uint64_t seqno = 1; seqno <= WRITES; seqno++) {
        atomic_store(&at.durable[who], seqno);
        if (seqno % 97 == who)
            skv_acks_set(&at.acks, who, SKV_PEER_CURRENT);
        skv_acks_note(&at.acks, who, seqno);
    }
    return NULL;
}

static void *be_store(void *argument)
{
    (void)argument;
    for (uint64_t seqno = 1; seqno <= WRITES; seqno++) {
        atomic_store(&at.local, seqno);
        skv_acks_local(&at.acks, seqno);
    }
    return NULL;
}

static unsigned have(uint64_t seqno)
{
    unsigned count = 0;
    for (int i = 0; i < PEERS; i++)
        count += atomic_load(&at.durable[i]) >= seqno;
    return count;
}

static void *wait_for_each(void *argument)
{
    int level = (uintptr_t)argument % 2 ? SKV_ACK_ALL : SKV_ACK_QUORUM;
    for (uint64_t seqno = 1; seqno <= WRITES; seqno++) {
        skv_error err = {0};
        skv_code code = SKV_AGAIN;
        uint64_t end = skv_now_ns() + 20 * SKV_NS_PER_S;
        unsigned calls = 0;
        for (; code == SKV_AGAIN && skv_now_ns() < end; calls++)
            code = skv_acks_wait(&at.acks, level, seqno, 10 * SKV_NS_PER_S, &err);
        CHECK_EQ(code, SKV_OK);
        CHECK(calls == 1 || !at.calm); /* what is told to others sends nobody back to the caller */
        CHECK(skv_now_ns() < end - 12 * SKV_NS_PER_S); /* else it slept through its ack */
        CHECK(atomic_load(&at.local) >= seqno);
        CHECK(have(seqno) >= (level == SKV_ACK_ALL ? PEERS : 2));
    }
    return NULL;
}

static void *come_and_go(void *argument)
{
    (void)argument;
    while (!atomic_load(&at.over)) {
        skv_error err = {0};
        int64_t place = skv_acks_add(&at.acks, "guest", &err);
        CHECK(place >= PEERS);
        skv_acks_note(&at.acks, (uint32_t)place, UINT64_MAX / 2); /* it has everything: no level waits for it */
        (void)skv_acks_kept(&at.acks);
        (void)skv_acks_reached(&at.acks, SKV_ACK_QUORUM);
        skv_acks_remove(&at.acks, (uint32_t)place);
        skv_acks_release(&at.acks, (uint32_t)place);
    }
    return NULL;
}

/* late: the store's own disk is the slowest. */
static void run_world(bool guests, bool late)
{
    pthread_t threads[PEERS + WAITERS + 1], guest;
    int count = 0;
    skv_acks_create(&at.acks);
    at.calm = !guests;
    atomic_store(&at.over, false);
    for (int i = 0; i < PEERS; i++) {
        skv_error err = {0};
        CHECK_EQ(skv_acks_add(&at.acks, "peer", &err), i);
    }
    if (guests)
        CHECK_EQ(pthread_create(&guest, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < PEERS && !late; i++)
        CHECK_EQ(pthread_create(&threads[count++], NULL, be_peer, (void *)(uintptr_t)i), 0);
    for (int i = 0; i < PEERS && late; i++)
        (void)be_peer((void *)(uintptr_t)i);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(pthread_create(&threads[count++], NULL, wait_for_each, (void *)(uintptr_t)(guests ? 1 : i)), 0);
    CHECK_EQ(pthread_create(&threads[count++], NULL, be_store, NULL), 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    atomic_store(&at.over, true);
    if (guests)
        CHECK_EQ(pthread_join(guest, NULL), 0);
    skv_acks_free(&at.acks);
}

static void test_waiters_are_told_when_it_is_true_and_then_at_once(void)
{
    run_world(false, false);
    memset(&at, 0, sizeof at);
    run_world(false, true);
}

/* With a guest that has everything, ALL still needs the three that stay. */
static void test_peers_that_come_and_go_make_nobody_believe_too_early(void)
{
    memset(&at, 0, sizeof at);
    run_world(true, false);
}

static void *wait_in_vain(void *argument)
{
    skv_error err = {0};
    skv_code code = SKV_AGAIN;
    uint64_t end = skv_now_ns() + 20 * SKV_NS_PER_S;
    (void)argument;
    while (code == SKV_AGAIN && skv_now_ns() < end)
        code = skv_acks_wait(&at.acks, SKV_ACK_ALL, 5, 10 * SKV_NS_PER_S, &err);
    CHECK_EQ(code, SKV_ACK);
    CHECK(skv_now_ns() < end - 12 * SKV_NS_PER_S); /* else it slept until its time was over */
    CHECK_EQ(atomic_load(&at.acks.local), 5);
    return NULL;
}

/* A peer goes down, the write becomes durable here: in either order the second of them is what the waiter has to hear of. */
static void test_who_waits_in_vain_hears_of_it_when_the_write_is_durable_here(void)
{
    for (int round = 0; round < 400; round++) {
        pthread_t waiter;
        skv_error err = {0};
        memset(&at, 0, sizeof at);
        skv_acks_create(&at.acks);
        CHECK_EQ(skv_acks_add(&at.acks, "peer", &err), 0);
        CHECK_EQ(pthread_create(&waiter, NULL, wait_in_vain, NULL), 0);
        if (round % 2)
            skv_acks_local(&at.acks, 5);
        skv_acks_set(&at.acks, 0, SKV_PEER_DOWN);
        if (round % 2 == 0)
            skv_acks_local(&at.acks, 5);
        CHECK_EQ(pthread_join(waiter, NULL), 0);
        skv_acks_free(&at.acks);
    }
}

int main(void)
{
    RUN(test_waiters_are_told_when_it_is_true_and_then_at_once);
    RUN(test_peers_that_come_and_go_make_nobody_believe_too_early);
    RUN(test_who_waits_in_vain_hears_of_it_when_the_write_is_durable_here);
    return 0;
}
