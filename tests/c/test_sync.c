/* Waits: a gate and an event wake whoever waits, never too early, never not at all, and their time ends. */
#include "sync.h"

#include <pthread.h>

#include "check.h"

#define ROUNDS 2000
#define LONG (60 * SKV_NS_PER_S)

static void *open_gate(void *gate)
{
    skv_gate_open(gate);
    return NULL;
}

static void test_a_gate_lets_its_waiter_through_however_they_meet(void)
{
    for (int i = 0; i < 300; i++) {
        skv_gate gate = {0};
        unsigned seen = skv_gate_read(&gate);
        uint64_t began = skv_now_ns();
        pthread_t opener;
        CHECK_EQ(pthread_create(&opener, NULL, open_gate, &gate), 0);
        CHECK(skv_gate_wait(&gate, seen, LONG));
        CHECK(skv_gate_wait(&gate, seen, LONG)); /* it was opened since: nobody waits */
        CHECK(skv_now_ns() - began < LONG);
        CHECK_EQ(pthread_join(opener, NULL), 0);
    }
}

static void test_a_gate_that_nobody_opens_lets_go_in_time(void)
{
    skv_gate gate = {0};
    uint64_t began = skv_now_ns();
    CHECK(!skv_gate_wait(&gate, skv_gate_read(&gate), 0));
    CHECK(!skv_gate_wait(&gate, skv_gate_read(&gate), 5 * SKV_NS_PER_MS));
    CHECK(skv_now_ns() - began >= 5 * SKV_NS_PER_MS);
}

typedef struct {
    skv_gate gate;
    atomic_uint through;
} passage;

static void *pass(void *context)
{
    passage *at = context;
    while (!skv_gate_wait(&at->gate, 0, LONG))
        continue;
    atomic_fetch_add(&at->through, 1);
    return NULL;
}

/* Whoever looked before the opening goes through; opening for one wakes a sleeper each time. */
static void test_one_opening_is_enough_for_all_and_each_single_one_for_one(void)
{
    for (int single = 0; single < 2; single++) {
        passage at = {.through = 0};
        pthread_t threads[8];
        for (int i = 0; i < 8; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, pass, &at), 0);
        if (!single)
            skv_gate_open(&at.gate);
        for (int i = 0; single && i < 8; i++)
            skv_gate_open_one(&at.gate);
        for (int i = 0; i < 8; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(atomic_load(&at.through), 8);
    }
}

typedef struct {
    skv_mutex lock;
    skv_event event;
    int turn;
} game;

/* Two players who hand each other the turn: one lost wake, and they sit there for a minute. */
static void *play(void *context)
{
    game *at = context;
    for (int i = 0; i < ROUNDS; i++) {
        for (;;) {
            unsigned seen = skv_event_read(&at->event);
            bool mine;
            skv_lock(&at->lock);
            mine = at->turn % 2 == 1;
            at->turn += mine;
            skv_unlock(&at->lock);
            if (mine)
                break;
            skv_event_wait(&at->event, seen, LONG);
        }
        skv_event_notify(&at->event);
    }
    return NULL;
}

static void test_no_notify_between_look_and_wait_is_missed(void)
{
    game at = {.turn = 0};
    pthread_t other;
    uint64_t began = skv_now_ns();
    skv_mutex_create(&at.lock);
    CHECK_EQ(pthread_create(&other, NULL, play, &at), 0);
    for (int i = 0; i < ROUNDS; i++) {
        for (;;) {
            unsigned seen = skv_event_read(&at.event);
            bool mine;
            skv_lock(&at.lock);
            mine = at.turn % 2 == 0;
            at.turn += mine;
            skv_unlock(&at.lock);
            if (mine)
                break;
            skv_event_wait(&at.event, seen, LONG);
        }
        skv_event_notify(&at.event);
    }
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(at.turn, 2 * ROUNDS);
    CHECK(skv_now_ns() - began < LONG);
    skv_mutex_free(&at.lock);
}

static void test_an_event_that_moved_on_is_not_waited_for(void)
{
    skv_event event = {0};
    unsigned seen = skv_event_read(&event);
    uint64_t began = skv_now_ns();
    skv_event_notify(&event);
    skv_event_wait(&event, seen, LONG);
    CHECK(skv_now_ns() - began < LONG);
    began = skv_now_ns();
    skv_event_wait(&event, skv_event_read(&event), 5 * SKV_NS_PER_MS);
    CHECK(skv_now_ns() - began >= 4 * SKV_NS_PER_MS);
    CHECK_EQ(atomic_load(&event.waiters), 0);
}

int main(void)
{
    RUN(test_a_gate_lets_its_waiter_through_however_they_meet);
    RUN(test_a_gate_that_nobody_opens_lets_go_in_time);
    RUN(test_one_opening_is_enough_for_all_and_each_single_one_for_one);
    RUN(test_no_notify_between_look_and_wait_is_missed);
    RUN(test_an_event_that_moved_on_is_not_waited_for);
    return 0;
}
