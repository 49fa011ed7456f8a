/* Commit groups, step by step: a sync is held in its write call while others append and wait behind it. Those whose group
 * is durable go on, the others do not; one of them syncs next; a poisoned log lets everybody go. */
#include <errno.h>
#include <pthread.h>

#include "check.h"
#include "log_state.h"
#include "logs.h"
#include "scratch.h"

#define PLACE "groups"
#define EACH 4 /* waiters of each group */
#define LONG (60 * SKV_NS_PER_S)
#define LOST (30 * SKV_NS_PER_S)

typedef struct {
    skv_log *log;
    atomic_int durable[3], poisoned[3]; /* waiters of each group that came back */
    skv_event returned;
} world;

typedef struct {
    world *at;
    int group;
    uint64_t seqno;
    pthread_t thread;
} waiter;

static void *run_waiter(void *context)
{
    waiter *self = context;
    skv_error err = {0};
    skv_code code = skv_log_wait(self->at->log, self->seqno, LONG, &err);
    CHECK(code == SKV_OK || code == SKV_POISONED);
    CHECK(code != SKV_OK || skv_log_durable(self->at->log) >= self->seqno);
    atomic_fetch_add(code == SKV_OK ? &self->at->durable[self->group] : &self->at->poisoned[self->group], 1);
    skv_event_notify(&self->at->returned);
    return NULL;
}

/* How many threads are at the gates, when nobody is on the way there. */
static unsigned waiting(world *at)
{
    unsigned count;
    skv_log_lock(at->log);
    count = at->log->waiting[0] + at->log->waiting[1];
    skv_log_unlock(at->log);
    return count;
}

static void until_waiting(world *at, unsigned wanted)
{
    uint64_t began = skv_now_ns();
    while (waiting(at) != wanted)
        CHECK(skv_now_ns() - began < LOST);
}

static void until_returned(world *at, const atomic_int *count, int wanted)
{
    uint64_t began = skv_now_ns();
    for (unsigned seen = skv_event_read(&at->returned); atomic_load(count) != wanted; seen = skv_event_read(&at->returned)) {
        if (atomic_load(count) != wanted)
            skv_event_wait(&at->returned, seen, SKV_NS_PER_S);
        CHECK(skv_now_ns() - began < LOST);
    }
}

/* Append a record and start a thread that waits for it. */
static void start(world *at, waiter *self, int group)
{
    logs_append(at->log, 1, 1);
    *self = (waiter){.at = at, .group = group, .seqno = skv_log_last(at->log)};
    CHECK_EQ(pthread_create(&self->thread, NULL, run_waiter, self), 0);
}

/* Every write is interrupted, and so begins again, for ever. */
static void hold_writes(void)
{
    skv_os_fail(1, SKV_FAULT_EINTR, EINTR, 1);
}

static void let_go(void)
{
    skv_os_fail(0, SKV_FAULT_NONE, 0, 0);
}

/* One leader, held in its write, with the rest of its group behind it; then a second group behind that. */
static int make_groups(world *at, waiter first[EACH], waiter second[EACH])
{
    int dir = scratch_make(PLACE);
    at->log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    logs_append(at->log, 1, EACH - 1);
    hold_writes();
    start(at, &first[0], 1);
    while (skv_os_calls() == 0)
        continue;
    for (int i = 1; i < EACH; i++) { /* of the records that the leader took */
        first[i] = (waiter){.at = at, .group = 1, .seqno = (uint64_t)i};
        CHECK_EQ(pthread_create(&first[i].thread, NULL, run_waiter, &first[i]), 0);
    }
    until_waiting(at, EACH - 1);
    for (int i = 0; i < EACH; i++)
        start(at, &second[i], 2);
    until_waiting(at, 2 * EACH - 1);
    return dir;
}

static void finish(world *at, waiter *first, waiter *second, int dir)
{
    for (int i = 0; i < EACH; i++) {
        CHECK_EQ(pthread_join(first[i].thread, NULL), 0);
        CHECK_EQ(pthread_join(second[i].thread, NULL), 0);
    }
    CHECK(waiting(at) == 0 && !at->log->leading);
    skv_log_free(at->log);
    scratch_remove(dir, PLACE);
}

static void test_a_sync_lets_its_own_group_go_and_one_of_the_next_sync(void)
{
    world at = {.log = NULL};
    waiter first[EACH], second[EACH];
    skv_stats before = {0}, after = {0};
    int dir = make_groups(&at, first, second);
    skv_log_stats_read(at.log, &before);
    CHECK_EQ(skv_log_durable(at.log), 0);
    CHECK_EQ(atomic_load(&at.durable[1]) + atomic_load(&at.durable[2]), 0);
    let_go();
    until_returned(&at, &at.durable[1], EACH);
    until_returned(&at, &at.durable[2], EACH);
    skv_log_stats_read(at.log, &after);
    CHECK_EQ(after.syncs - before.syncs, 2); /* each group has one leader */
    CHECK_EQ(skv_log_durable(at.log), 2 * EACH);
    finish(&at, first, second, dir);
}

static void test_a_sync_that_fails_lets_everybody_go_who_waits_at_either_gate(void)
{
    world at = {.log = NULL};
    waiter first[EACH], second[EACH];
    int dir = make_groups(&at, first, second);
    skv_os_fail(1, SKV_FAULT_ERROR, EIO, 1);
    until_returned(&at, &at.poisoned[1], EACH);
    until_returned(&at, &at.poisoned[2], EACH);
    let_go();
    CHECK_EQ(skv_log_durable(at.log), 0);
    finish(&at, first, second, dir);
}

/* Story: the side file failed while a sync was under way; the sync succeeded and woke one of the next group, to lead it.
 * That one left, because the log was poisoned, and the others slept on. */
static void test_a_log_poisoned_beside_a_sync_lets_the_next_group_go(void)
{
    world at = {.log = NULL};
    waiter first[EACH], second[EACH];
    int dir = make_groups(&at, first, second);
    skv_error why = {.code = SKV_IO};
    skv_log_lock(at.log);
    skv_log_poison(at.log, SKV_IO, &why);
    skv_log_unlock(at.log);
    let_go();
    until_returned(&at, &at.durable[1], EACH);
    until_returned(&at, &at.poisoned[2], EACH);
    CHECK_EQ(skv_log_durable(at.log), EACH);
    finish(&at, first, second, dir);
}

/* Story: the same, between the end of a sync and the moment at which the one that it woke would lead. */
static void test_a_log_poisoned_while_nobody_leads_lets_all_go_who_wait(void)
{
    world at = {.log = NULL};
    waiter first[EACH];
    skv_error why = {.code = SKV_IO};
    int dir = scratch_make(PLACE);
    at.log = logs_found(dir, (skv_log_sizes){16 * SKV_PAGE_BYTES, 16 * SKV_PAGE_BYTES});
    skv_log_lock(at.log);
    at.log->leading = true;
    skv_log_unlock(at.log);
    for (int i = 0; i < EACH; i++)
        start(&at, &first[i], 1);
    until_waiting(&at, EACH);
    skv_log_lock(at.log);
    at.log->leading = false;
    skv_log_poison(at.log, SKV_IO, &why);
    skv_log_unlock(at.log);
    until_returned(&at, &at.poisoned[1], EACH);
    for (int i = 0; i < EACH; i++)
        CHECK_EQ(pthread_join(first[i].thread, NULL), 0);
    skv_log_free(at.log);
    scratch_remove(dir, PLACE);
}

int main(void)
{
    RUN(test_a_sync_lets_its_own_group_go_and_one_of_the_next_sync);
    RUN(test_a_sync_that_fails_lets_everybody_go_who_waits_at_either_gate);
    RUN(test_a_log_poisoned_beside_a_sync_lets_the_next_group_go);
    RUN(test_a_log_poisoned_while_nobody_leads_lets_all_go_who_wait);
    return 0;
}
