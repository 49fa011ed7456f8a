/* L2 part. Admission: one line of time for each limit, as the generic cell rate algorithm has it (ITU-T I.371). */
#include "admission.h"

void skv_admission_create(skv_admission *admission)
{
    skv_mutex_create(&admission->lock);
    admission->epoch = 1;
}

void skv_admission_free(skv_admission *admission)
{
    skv_mutex_free(&admission->lock);
}

void skv_admission_limit(skv_admission *admission, skv_rates rates)
{
    skv_lock(&admission->lock);
    admission->rates = rates;
    admission->epoch++;
    admission->writes_due_ns = admission->bytes_due_ns = 0;
    atomic_store_explicit(&admission->limited, rates.writes_per_s || rates.bytes_per_s, memory_order_relaxed);
    skv_unlock(&admission->lock);
    skv_event_notify(&admission->changed);
}

/* What an amount takes of a line. */
static uint64_t cost_ns(uint64_t amount, uint64_t per_s)
{
    return per_s ? amount * SKV_NS_PER_S / per_s : 0;
}

/* The moment at which something new may go on a line, in the past when it is free. */
static uint64_t free_from(uint64_t due_ns, uint64_t now)
{
    uint64_t earliest = now > SKV_ADMISSION_BURST_NS ? now - SKV_ADMISSION_BURST_NS : 0;
    return due_ns > earliest ? due_ns : earliest;
}

static uint64_t give_back(uint64_t due_ns, uint64_t cost)
{
    return due_ns > cost ? due_ns - cost : 0;
}

/* Under the lock. */
static void reserve(skv_admission *admission, skv_turn *turn, skv_demand demand)
{
    uint64_t now = skv_now_ns(), writes_from = free_from(admission->writes_due_ns, now),
             bytes_from = free_from(admission->bytes_due_ns, now);
    *turn = (skv_turn){.epoch = admission->epoch, .writes = demand.writes, .bytes = demand.bytes};
    turn->at_ns = writes_from > bytes_from ? writes_from : bytes_from;
    admission->writes_due_ns = writes_from + cost_ns(demand.writes, admission->rates.writes_per_s);
    admission->bytes_due_ns = bytes_from + cost_ns(demand.bytes, admission->rates.bytes_per_s);
}

/* Under the lock. */
static void withdraw(skv_admission *admission, skv_turn *turn)
{
    if (turn->epoch == admission->epoch) {
        admission->writes_due_ns =
            give_back(admission->writes_due_ns, cost_ns(turn->writes, admission->rates.writes_per_s));
        admission->bytes_due_ns = give_back(admission->bytes_due_ns, cost_ns(turn->bytes, admission->rates.bytes_per_s));
    }
    *turn = (skv_turn){0};
}

/* When the turn comes; one that is no longer good is changed for a new one. */
static uint64_t take_turn(skv_admission *admission, skv_turn *turn, skv_demand demand)
{
    skv_lock(&admission->lock);
    if (turn->epoch != admission->epoch || turn->writes != demand.writes || turn->bytes != demand.bytes) {
        withdraw(admission, turn);
        reserve(admission, turn, demand);
    }
    skv_unlock(&admission->lock);
    return turn->at_ns;
}

uint64_t skv_admission_wait(skv_admission *admission, skv_turn *turn, skv_demand demand, uint64_t slice_ns)
{
    uint64_t began = skv_now_ns(), end = began + slice_ns, now, at;
    for (;;) {
        unsigned seen = skv_event_read(&admission->changed);
        at = take_turn(admission, turn, demand);
        now = skv_now_ns();
        if (at <= now || now >= end)
            break;
        skv_event_wait(&admission->changed, seen, at < end ? at - now : end - now);
    }
    atomic_fetch_add_explicit(&admission->stall_ns, now - began, memory_order_relaxed);
    return at > now ? at - now : 0;
}

void skv_admission_withdraw(skv_admission *admission, skv_turn *turn)
{
    skv_lock(&admission->lock);
    withdraw(admission, turn);
    skv_unlock(&admission->lock);
}
