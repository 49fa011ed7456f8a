/* Ack levels: who counts, what a level has reached, who is told what, for every number of peers. */
#include "acks.h"

#include <string.h>

#include "check.h"

#define LEVELS 2
static const int levels[LEVELS] = {SKV_ACK_QUORUM, SKV_ACK_ALL};

static skv_acks *fresh(void)
{
    static skv_acks acks;
    memset(&acks, 0, sizeof acks);
    skv_acks_create(&acks);
    return &acks;
}

static void add(skv_acks *acks, int count)
{
    skv_error err = {0};
    for (int i = 0; i < count; i++) {
        char name[16];
        CHECK(snprintf(name, sizeof name, "peer %d", i) > 0);
        CHECK_EQ(skv_acks_add(acks, name, &err), i);
    }
}

static skv_code look(skv_acks *acks, int level, uint64_t seqno)
{
    skv_error err = {0};
    return skv_acks_wait(acks, level, seqno, 0, &err);
}

/* The store is one of its quorum: more than half of all directories. Checked against the sentence, counted out. */
static void test_a_quorum_is_more_than_half_of_all_directories(void)
{
    for (int peers = 0; peers <= SKV_PEERS_MAX; peers++)
        for (unsigned have = 0; have < 1U << peers; have++) {
            skv_acks *acks = fresh();
            int count = __builtin_popcount(have);
            bool reached[LEVELS] = {2 * (1 + count) > peers + 1, count == peers};
            add(acks, peers);
            skv_acks_local(acks, 10);
            for (int i = 0; i < peers; i++)
                if (have >> i & 1)
                    skv_acks_note(acks, (uint32_t)i, 10);
            for (int i = 0; i < LEVELS; i++) {
                CHECK_EQ(look(acks, levels[i], 10), reached[i] ? SKV_OK : SKV_AGAIN);
                CHECK_EQ(skv_acks_reached(acks, levels[i]) >= 10, reached[i]);
            }
            skv_acks_free(acks);
        }
}

/* The k-th largest seqno, as whoever writes it down on paper finds it. */
static uint64_t on_paper(const uint64_t *seqnos, int peers, int level)
{
    int needed = level == SKV_ACK_ALL ? peers : (peers + 1) / 2;
    uint64_t best = peers ? 0 : UINT64_MAX;
    for (int i = 0; i < peers; i++) {
        int have = 0;
        for (int j = 0; j < peers; j++)
            have += seqnos[j] >= seqnos[i];
        if (have >= needed && seqnos[i] > best)
            best = seqnos[i];
    }
    return best;
}

static void test_a_level_has_what_enough_peers_have(void)
{
    uint64_t random = check_seed();
    for (int round = 0; round < 300; round++) {
        skv_acks *acks = fresh();
        int peers = (int)(check_random(&random) % (SKV_PEERS_MAX + 1));
        uint64_t seqnos[SKV_PEERS_MAX] = {0};
        add(acks, peers);
        for (int step = 0; step < 40 && peers; step++) {
            int who = (int)(check_random(&random) % (unsigned)peers);
            seqnos[who] += check_random(&random) % 5;
            skv_acks_note(acks, (uint32_t)who, seqnos[who]);
            for (int i = 0; i < LEVELS; i++)
                CHECK_EQ(skv_acks_reached(acks, levels[i]), on_paper(seqnos, peers, levels[i]));
        }
        skv_acks_free(acks);
    }
}

static void test_what_is_not_durable_here_has_reached_no_level(void)
{
    skv_acks *acks = fresh();
    add(acks, 2);
    skv_acks_note(acks, 0, 100);
    skv_acks_note(acks, 1, 100);
    for (int i = 0; i < LEVELS; i++) {
        CHECK_EQ(look(acks, levels[i], 5), SKV_AGAIN);
        skv_acks_local(acks, 5);
        CHECK_EQ(look(acks, levels[i], 5), SKV_OK);
        CHECK_EQ(look(acks, levels[i], 6), SKV_AGAIN);
        skv_acks_local(acks, 3); /* told late by a slower thread */
        CHECK_EQ(look(acks, levels[i], 5), SKV_OK);
        atomic_store(&acks->local, 0);
    }
    skv_acks_free(acks);
}

/* The store's own sync was told to nobody who waited for peers: whose disks were faster slept on. */
static void test_what_becomes_durable_here_is_heard(void)
{
    skv_acks *acks = fresh();
    skv_notifiers all = {0};
    unsigned seen;
    skv_notifiers_create(&all);
    skv_acks_attach(acks, &all);
    add(acks, 1);
    skv_acks_note(acks, 0, 100);
    seen = skv_event_read(&acks->quorum.changed);
    skv_notify_durable(&all, 5);
    CHECK(skv_event_read(&acks->quorum.changed) != seen);
    CHECK_EQ(look(acks, SKV_ACK_QUORUM, 5), SKV_OK);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 6), SKV_AGAIN);
    skv_acks_free(acks);
    skv_notifiers_free(&all);
}

/* The error says that the write is durable here. It came before that was so. */
static void test_nobody_hears_that_a_level_is_out_of_reach_before_the_write_is_durable_here(void)
{
    skv_acks *acks = fresh();
    add(acks, 1);
    skv_acks_set(acks, 0, SKV_PEER_DOWN);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 7), SKV_AGAIN);
    skv_acks_local(acks, 6);
    CHECK_EQ(look(acks, SKV_ACK_QUORUM, 7), SKV_AGAIN);
    skv_acks_local(acks, 7);
    CHECK_EQ(look(acks, SKV_ACK_QUORUM, 7), SKV_ACK);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 7), SKV_ACK);
    skv_acks_free(acks);
}

static void test_peers_that_are_down_make_a_level_unreachable_when_the_others_do_not_suffice(void)
{
    for (int peers = 1; peers <= SKV_PEERS_MAX; peers++)
        for (int down = 0; down <= peers; down++) {
            skv_acks *acks = fresh();
            add(acks, peers);
            skv_acks_local(acks, 1);
            for (int i = 0; i < down; i++)
                skv_acks_set(acks, (uint32_t)i, SKV_PEER_DOWN);
            CHECK_EQ(look(acks, SKV_ACK_ALL, 1), down ? SKV_ACK : SKV_AGAIN);
            CHECK_EQ(look(acks, SKV_ACK_QUORUM, 1), 2 * (1 + peers - down) > peers + 1 ? SKV_AGAIN : SKV_ACK);
            for (int i = 0; i < down; i++) /* what it had, it has */
                skv_acks_note(acks, (uint32_t)i, 1);
            CHECK_EQ(look(acks, SKV_ACK_ALL, 1), down == peers ? SKV_OK : SKV_AGAIN);
            skv_acks_free(acks);
        }
}

static void test_the_error_names_who_is_missing_and_how_far_it_is(void)
{
    skv_acks *acks = fresh();
    skv_error err = {0};
    add(acks, 4);
    skv_acks_local(acks, 9);
    skv_acks_note(acks, 0, 9);
    skv_acks_note(acks, 1, 4);
    skv_acks_set(acks, 1, SKV_PEER_DOWN);
    skv_acks_set(acks, 2, SKV_PEER_COPYING);
    CHECK_EQ(skv_acks_wait(acks, SKV_ACK_ALL, 9, 0, &err), SKV_ACK);
    CHECK_EQ(err.seqno, 9);
    CHECK(strstr(err.text, "seqno 9 is durable here and in 1 of 4 peers, of which it needs 4"));
    CHECK(strstr(err.text, "peer 1 is down at seqno 4; peer 2 is being copied at seqno 0; peer 3 is behind at seqno 0"));
    CHECK(!strstr(err.text, "peer 0"));
    skv_acks_free(acks);
}

/* Longer than an error's text: it is cut, wherever that falls. */
static void test_an_error_that_names_many_peers_is_cut(void)
{
    for (size_t bytes = 1; bytes < SKV_PEER_NAME_BYTES; bytes++) {
        skv_acks *acks = fresh();
        skv_error err = {0};
        char name[SKV_PEER_NAME_BYTES] = {0};
        memset(name, 'n', bytes);
        for (int i = 0; i < SKV_PEERS_MAX; i++)
            CHECK_EQ(skv_acks_add(acks, name, &err), i);
        skv_acks_local(acks, 9);
        CHECK_EQ(skv_acks_wait(acks, SKV_ACK_ALL, 9, 0, &err), SKV_AGAIN);
        CHECK(strstr(err.text, "of which it needs 8: n"));
        skv_acks_free(acks);
    }
}

static void test_without_peers_every_level_is_that_of_the_disk(void)
{
    skv_acks *acks = fresh();
    add(acks, 1);
    skv_acks_local(acks, 5);
    skv_acks_set(acks, 0, SKV_PEER_DOWN);
    skv_acks_remove(acks, 0);
    for (int i = 0; i < LEVELS; i++) {
        CHECK_EQ(skv_acks_reached(acks, levels[i]), UINT64_MAX);
        CHECK_EQ(look(acks, levels[i], 5), SKV_OK);
        CHECK_EQ(look(acks, levels[i], 6), SKV_AGAIN);
    }
    skv_acks_free(acks);
}

static bool hears(skv_notifiers *all, uint64_t *seen)
{
    uint64_t before = *seen;
    *seen = skv_notify_room_read(all);
    return *seen != before;
}

/* Who waits without a thread hears of peers as of room: whatever level moves, and when one may be out of reach. */
static void test_who_waits_without_a_thread_hears_of_peers(void)
{
    skv_acks *acks = fresh();
    skv_notifiers all = {0};
    uint64_t seen = 0;
    skv_notifiers_create(&all);
    skv_acks_attach(acks, &all);
    add(acks, 3);
    CHECK_EQ(hears(&all, &seen), true);
    skv_acks_local(acks, 100);
    skv_acks_note(acks, 0, 10);
    CHECK_EQ(hears(&all, &seen), false); /* of four one more is needed */
    skv_acks_note(acks, 1, 10);
    CHECK_EQ(hears(&all, &seen), true);
    skv_acks_note(acks, 1, 10);
    CHECK_EQ(hears(&all, &seen), false);
    skv_acks_note(acks, 2, 5);
    CHECK_EQ(hears(&all, &seen), true); /* all */
    skv_acks_set(acks, 2, SKV_PEER_CURRENT);
    CHECK_EQ(hears(&all, &seen), false);
    skv_acks_set(acks, 2, SKV_PEER_DOWN);
    CHECK_EQ(hears(&all, &seen), true);
    skv_acks_set(acks, 2, SKV_PEER_DOWN);
    CHECK_EQ(hears(&all, &seen), false);
    skv_acks_remove(acks, 1);
    CHECK_EQ(hears(&all, &seen), true);
    skv_acks_wake(acks);
    CHECK_EQ(hears(&all, &seen), true);
    skv_acks_free(acks);
    skv_notifiers_free(&all);
}

static void test_peers_come_and_go(void)
{
    skv_acks *acks = fresh();
    skv_error err = {0};
    char name[SKV_PEER_NAME_BYTES + 1];
    skv_acks_local(acks, 50);
    CHECK_EQ(skv_acks_reached(acks, SKV_ACK_ALL), UINT64_MAX);
    add(acks, SKV_PEERS_MAX);
    CHECK_EQ(skv_acks_reached(acks, SKV_ACK_ALL), 0);
    CHECK_EQ(skv_acks_add(acks, "one too many", &err), SKV_FULL);
    for (int i = 0; i < SKV_PEERS_MAX - 1; i++)
        skv_acks_note(acks, (uint32_t)i, 50);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 50), SKV_AGAIN);
    skv_acks_remove(acks, SKV_PEERS_MAX - 1);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 50), SKV_OK);
    skv_acks_release(acks, SKV_PEERS_MAX - 1);
    memset(name, 'n', sizeof name);
    name[SKV_PEER_NAME_BYTES] = 0;
    CHECK_EQ(skv_acks_add(acks, name, &err), SKV_INVALID);
    name[SKV_PEER_NAME_BYTES - 1] = 0;
    CHECK_EQ(skv_acks_add(acks, name, &err), SKV_PEERS_MAX - 1);
    CHECK_EQ(skv_acks_reached(acks, SKV_ACK_ALL), 0); /* nothing is left of who was there before */
    skv_acks_free(acks);
}

/* One whose disk hung was removed, another one got its place; when the first came back, its ack counted as the other's. */
static void test_a_place_that_somebody_may_still_tell_of_is_nobody_elses(void)
{
    skv_acks *acks = fresh();
    skv_error err = {0};
    add(acks, 1);
    skv_acks_local(acks, 10);
    skv_acks_remove(acks, 0);
    CHECK_EQ(skv_acks_add(acks, "another", &err), 1);
    skv_acks_note(acks, 0, 10);
    skv_acks_set(acks, 0, SKV_PEER_DOWN);
    CHECK_EQ(look(acks, SKV_ACK_ALL, 10), SKV_AGAIN);
    skv_acks_release(acks, 0);
    CHECK_EQ(skv_acks_add(acks, "a third", &err), 0);
    CHECK_EQ(acks->peers[0].seqno, 0);
    CHECK_EQ(acks->peers[0].state, SKV_PEER_BEHIND);
    skv_acks_free(acks);
}

static void test_the_log_is_kept_for_the_one_that_needs_most(void)
{
    skv_acks *acks = fresh();
    CHECK_EQ(skv_acks_kept(acks), UINT64_MAX);
    add(acks, 3);
    CHECK_EQ(skv_acks_kept(acks), 1); /* nobody knows yet what they need */
    atomic_store(&acks->peers[0].kept_seqno, 7);
    atomic_store(&acks->peers[1].kept_seqno, 0);
    atomic_store(&acks->peers[2].kept_seqno, 5);
    CHECK_EQ(skv_acks_kept(acks), 5);
    skv_acks_remove(acks, 2);
    CHECK_EQ(skv_acks_kept(acks), 7);
    skv_acks_free(acks);
}

int main(void)
{
    RUN(test_a_quorum_is_more_than_half_of_all_directories);
    RUN(test_a_level_has_what_enough_peers_have);
    RUN(test_what_is_not_durable_here_has_reached_no_level);
    RUN(test_what_becomes_durable_here_is_heard);
    RUN(test_nobody_hears_that_a_level_is_out_of_reach_before_the_write_is_durable_here);
    RUN(test_peers_that_are_down_make_a_level_unreachable_when_the_others_do_not_suffice);
    RUN(test_the_error_names_who_is_missing_and_how_far_it_is);
    RUN(test_an_error_that_names_many_peers_is_cut);
    RUN(test_without_peers_every_level_is_that_of_the_disk);
    RUN(test_who_waits_without_a_thread_hears_of_peers);
    RUN(test_peers_come_and_go);
    RUN(test_a_place_that_somebody_may_still_tell_of_is_nobody_elses);
    RUN(test_the_log_is_kept_for_the_one_that_needs_most);
    return 0;
}
