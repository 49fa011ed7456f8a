/* Notifiers: one signal for each arming, none missed however telling and arming meet, and the end is told to all. */
#include "notify.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "check.h"

#define ROUNDS 20000

static bool rung(const skv_notifier *notifier)
{
    struct pollfd at = {.fd = notifier->fd, .events = POLLIN};
    return poll(&at, 1, 0) == 1;
}

static void wait_for_ring(const skv_notifier *notifier)
{
    struct pollfd at = {.fd = notifier->fd, .events = POLLIN};
    CHECK_EQ(poll(&at, 1, 60000), 1);
}

static skv_notifier *open_one(skv_notifiers *all)
{
    skv_error err;
    skv_notifier *notifier;
    CHECK_OK(skv_notify_open(all, &notifier, &err), &err);
    return notifier;
}

static uint64_t read_one(skv_notifier *notifier)
{
    uint64_t durable;
    skv_error err;
    CHECK_EQ(skv_notify_read(notifier, &durable, &err), SKV_OK);
    CHECK(!rung(notifier));
    return durable;
}

static void test_who_is_armed_hears_once_when_its_seqno_is_durable(void)
{
    skv_notifiers all = {0};
    skv_notifier *one, *other;
    skv_notifiers_create(&all);
    one = open_one(&all);
    other = open_one(&all);
    CHECK(skv_notify_arm(one, 10));
    CHECK(skv_notify_arm(other, 20));
    skv_notify_durable(&all, 9);
    CHECK(!rung(one) && !rung(other));
    skv_notify_durable(&all, 15);
    CHECK(rung(one) && !rung(other));
    CHECK_EQ(read_one(one), 15);
    skv_notify_durable(&all, 19); /* not armed again: nothing to hear */
    CHECK(!rung(one) && !rung(other));
    skv_notify_durable(&all, 20);
    CHECK(!rung(one) && rung(other));
    skv_notify_close(one);
    CHECK_EQ(read_one(other), 20);
    skv_notify_close(other);
    skv_notifiers_free(&all);
}

static void test_what_is_durable_already_is_answered_at_once(void)
{
    skv_notifiers all = {0};
    skv_notifier *one;
    skv_notifiers_create(&all);
    skv_notify_durable(&all, 7);
    skv_notify_durable(&all, 5); /* who tells late takes nothing back */
    one = open_one(&all);
    CHECK(!skv_notify_arm(one, 7));
    CHECK(skv_notify_arm(one, 8));
    CHECK_EQ(read_one(one), 7);
    skv_notify_close(one);
    skv_notifiers_free(&all);
}

static void test_room_that_appeared_since_it_was_looked_for_is_answered_at_once(void)
{
    skv_notifiers all = {0};
    skv_notifier *one;
    uint64_t seen;
    skv_notifiers_create(&all);
    one = open_one(&all);
    seen = skv_notify_room_read(&all);
    skv_notify_room(&all);
    CHECK(!rung(one));
    CHECK(!skv_notify_arm_room(one, seen));
    CHECK(skv_notify_arm_room(one, seen + 1));
    skv_notify_room(&all);
    CHECK(rung(one));
    (void)read_one(one);
    skv_notify_room(&all);
    CHECK(!rung(one));
    skv_notify_close(one);
    skv_notifiers_free(&all);
}

static void test_the_end_is_told_to_all_and_its_first_reason_stays(void)
{
    skv_notifiers all = {0};
    skv_error poisoned = {.code = SKV_POISONED, .text = "why"}, closed = {.code = SKV_CLOSED}, err;
    skv_notifier *one;
    uint64_t durable;
    skv_notifiers_create(&all);
    one = open_one(&all);
    skv_notify_durable(&all, 3);
    CHECK(skv_notify_arm(one, 10));
    skv_notify_over(&all, &poisoned);
    CHECK(rung(one));
    skv_notify_over(&all, &closed);
    CHECK_EQ(skv_notify_read(one, &durable, &err), SKV_POISONED);
    CHECK_EQ(durable, 3);
    CHECK_EQ(strcmp(err.text, "why"), 0);
    CHECK(!skv_notify_arm(one, 10) && !skv_notify_arm_room(one, skv_notify_room_read(&all)));
    skv_notify_close(one);
    skv_notifiers_free(&all);
}

static void test_nobody_is_told_without_notifiers(void)
{
    skv_notify_durable(NULL, 1);
    skv_notify_room(NULL);
    skv_notify_over(NULL, &(skv_error){.code = SKV_CLOSED});
    CHECK_EQ(skv_notify_room_read(NULL), 0);
}

/* -- races ---------------------------------------------------------------------------------------------------------- */

static void *tell_all(void *context)
{
    for (uint64_t seqno = 1; seqno <= ROUNDS; seqno++)
        skv_notify_durable(context, seqno);
    return NULL;
}

static void *tell_room(void *context)
{
    for (int i = 0; i < ROUNDS; i++)
        skv_notify_room(context);
    return NULL;
}

static void test_no_signal_is_missed_however_telling_and_arming_meet(void)
{
    skv_notifiers all = {0};
    pthread_t teller;
    skv_notifier *one;
    uint64_t durable = 0;
    skv_notifiers_create(&all);
    one = open_one(&all);
    CHECK_EQ(pthread_create(&teller, NULL, tell_all, &all), 0);
    while (durable < ROUNDS) { /* a ring may be late, for what was read already; one that is missed ends the wait in vain */
        skv_error err;
        if (skv_notify_arm(one, durable + 1))
            wait_for_ring(one);
        CHECK_EQ(skv_notify_read(one, &durable, &err), SKV_OK);
    }
    CHECK_EQ(pthread_join(teller, NULL), 0);
    skv_notify_close(one);
    skv_notifiers_free(&all);
}

static void test_no_room_is_missed_however_telling_and_arming_meet(void)
{
    skv_notifiers all = {0};
    pthread_t teller;
    skv_notifier *one;
    skv_notifiers_create(&all);
    one = open_one(&all);
    CHECK_EQ(pthread_create(&teller, NULL, tell_room, &all), 0);
    for (uint64_t seen = 0; seen < ROUNDS; seen = skv_notify_room_read(&all)) {
        if (skv_notify_arm_room(one, seen))
            wait_for_ring(one);
        (void)skv_notify_read(one, &(uint64_t){0}, &(skv_error){0});
    }
    CHECK_EQ(pthread_join(teller, NULL), 0);
    skv_notify_close(one);
    skv_notifiers_free(&all);
}

static void *come_and_go(void *context)
{
    for (int i = 0; i < ROUNDS / 20; i++) {
        skv_notifier *one = open_one(context);
        (void)skv_notify_arm(one, (uint64_t)i);
        (void)skv_notify_arm_room(one, (uint64_t)i);
        skv_notify_close(one);
    }
    return NULL;
}

static void test_notifiers_may_come_and_go_while_others_tell(void)
{
    skv_notifiers all = {0};
    void *(*const works[])(void *) = {tell_all, tell_room, come_and_go, come_and_go};
    pthread_t threads[4];
    skv_notifiers_create(&all);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, works[i], &all), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(!all.first);
    skv_notifiers_free(&all);
}

int main(void)
{
    RUN(test_who_is_armed_hears_once_when_its_seqno_is_durable);
    RUN(test_what_is_durable_already_is_answered_at_once);
    RUN(test_room_that_appeared_since_it_was_looked_for_is_answered_at_once);
    RUN(test_the_end_is_told_to_all_and_its_first_reason_stays);
    RUN(test_nobody_is_told_without_notifiers);
    RUN(test_no_signal_is_missed_however_telling_and_arming_meet);
    RUN(test_no_room_is_missed_however_telling_and_arming_meet);
    RUN(test_notifiers_may_come_and_go_while_others_tell);
    return 0;
}
