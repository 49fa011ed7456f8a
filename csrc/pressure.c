/* L2 part. Back-pressure. */
#include "pressure.h"

#define FLUSH_PERCENT 50
#define DELAY_PERCENT 70
#define FIRST_RATE ((uint64_t)64 << 20)
#define SLOWEST_RATE ((uint64_t)1 << 20)
#define SHORTEST_NAP_NS (SKV_NS_PER_MS / 5)
#define LONGEST_DEBT_NS (100 * SKV_NS_PER_MS)

void skv_pressure_create(skv_pressure *pressure, uint64_t budget_bytes)
{
    skv_mutex_create(&pressure->why_lock);
    atomic_init(&pressure->flush_rate, FIRST_RATE);
    skv_pressure_resize(pressure, budget_bytes);
}

void skv_pressure_resize(skv_pressure *pressure, uint64_t budget_bytes)
{
    atomic_store(&pressure->budget_bytes, budget_bytes);
    atomic_store(&pressure->delay_bytes, budget_bytes / 100 * DELAY_PERCENT);
    atomic_store(&pressure->flush_bytes, budget_bytes / 100 * FLUSH_PERCENT);
    skv_event_notify(&pressure->wanted);
    skv_event_notify(&pressure->relieved);
}

void skv_pressure_free(skv_pressure *pressure)
{
    skv_mutex_free(&pressure->why_lock);
}

unsigned skv_pressure_level(const skv_pressure *pressure)
{
    return (unsigned)(atomic_load_explicit(&pressure->unflushed_bytes, memory_order_relaxed) * 100 /
                      atomic_load_explicit(&pressure->budget_bytes, memory_order_relaxed));
}

bool skv_pressure_wants_flush(const skv_pressure *pressure)
{
    return atomic_load(&pressure->unflushed_bytes) >= atomic_load(&pressure->flush_bytes);
}

static void nap(skv_pressure *pressure, uint64_t ns)
{
    uint64_t began = skv_now_ns();
    skv_event_wait(&pressure->relieved, skv_event_read(&pressure->relieved), ns);
    atomic_fetch_add(&pressure->stall_ns, skv_now_ns() - began);
}

/* Each delayed write takes its share of a rate that falls from twice to half of what flushes manage. Returns when its turn
 * is; who would have to wait for longer than most_ns takes none. */
static uint64_t take_share(skv_pressure *pressure, size_t bytes, uint64_t now, uint64_t slice_ns, uint64_t most_ns)
{
    uint64_t rate = atomic_load(&pressure->flush_rate), from, next;
    unsigned long long due = atomic_load(&pressure->next_ns);
    unsigned level = skv_pressure_level(pressure);
    level = level > DELAY_PERCENT ? level : DELAY_PERCENT;
    rate = rate * (200 - 5 * ((level < 100 ? level : 100) - DELAY_PERCENT)) / 100;
    do {
        from = due > now ? due : now;
        if (from - now > most_ns)
            return from;
        next = from + bytes * SKV_NS_PER_S / rate;
        next = next < now + slice_ns ? next : now + slice_ns; /* one burst is not paid for longer than it lasts */
    } while (!atomic_compare_exchange_weak(&pressure->next_ns, &due, next));
    return from;
}

static void delay(skv_pressure *pressure, size_t bytes, uint64_t slice_ns)
{
    uint64_t now = skv_now_ns(), from = take_share(pressure, bytes, now, slice_ns, UINT64_MAX);
    if (from > now + SHORTEST_NAP_NS)
        nap(pressure, from - now < slice_ns ? from - now : slice_ns);
}

skv_code skv_pressure_admit(skv_pressure *pressure, size_t bytes, uint64_t slice_ns)
{
    if (atomic_load_explicit(&pressure->unflushed_bytes, memory_order_relaxed) <
        atomic_load_explicit(&pressure->delay_bytes, memory_order_relaxed))
        return SKV_OK;
    if (skv_pressure_level(pressure) >= 100) {
        uint64_t end = skv_now_ns() + slice_ns, now;
        while (skv_pressure_level(pressure) >= 100 && (now = skv_now_ns()) < end) {
            unsigned seen = skv_event_read(&pressure->relieved);
            if (atomic_load(&pressure->failure) != SKV_OK)
                return atomic_load(&pressure->failure);
            skv_event_notify(&pressure->wanted);
            skv_event_wait(&pressure->relieved, seen, end - now);
            atomic_fetch_add(&pressure->stall_ns, skv_now_ns() - now);
        }
        return skv_pressure_level(pressure) >= 100 ? SKV_BUSY : SKV_OK;
    }
    delay(pressure, bytes, slice_ns);
    return SKV_OK;
}

skv_code skv_pressure_try(skv_pressure *pressure, size_t bytes, uint64_t *retry_ns)
{
    uint64_t now, turn;
    *retry_ns = 0;
    if (atomic_load_explicit(&pressure->unflushed_bytes, memory_order_relaxed) < pressure->delay_bytes)
        return SKV_OK;
    if (skv_pressure_level(pressure) >= 100) {
        skv_code failure = atomic_load(&pressure->failure);
        skv_event_notify(&pressure->wanted);
        return failure == SKV_OK ? SKV_BUSY : failure;
    }
    now = skv_now_ns();
    turn = take_share(pressure, bytes, now, LONGEST_DEBT_NS, SHORTEST_NAP_NS);
    if (turn <= now + SHORTEST_NAP_NS)
        return SKV_OK;
    *retry_ns = turn - now;
    atomic_fetch_add(&pressure->stall_ns, *retry_ns);
    return SKV_BUSY;
}

void skv_pressure_add(skv_pressure *pressure, uint64_t bytes)
{
    uint64_t before = atomic_fetch_add_explicit(&pressure->unflushed_bytes, bytes, memory_order_relaxed);
    uint64_t flush_bytes = atomic_load_explicit(&pressure->flush_bytes, memory_order_relaxed);
    if (before < flush_bytes && before + bytes >= flush_bytes)
        skv_event_notify(&pressure->wanted);
}

static void tell(skv_pressure *pressure)
{
    skv_event_notify(&pressure->relieved);
    skv_notify_room(pressure->notifiers);
}

void skv_pressure_relieve(skv_pressure *pressure, uint64_t bytes, uint64_t spent_ns)
{
    uint64_t old = atomic_load(&pressure->flush_rate), rate;
    atomic_fetch_sub(&pressure->unflushed_bytes, bytes);
    if (bytes > SLOWEST_RATE && spent_ns) { /* small flushes say little about the rate */
        rate = (uint64_t)((double)bytes * 1e9 / (double)spent_ns);
        rate = (3 * old + rate) / 4;
        atomic_store(&pressure->flush_rate, rate > SLOWEST_RATE ? rate : SLOWEST_RATE);
    }
    atomic_store(&pressure->failure, SKV_OK);
    tell(pressure);
}

void skv_pressure_fail(skv_pressure *pressure, skv_code code, const skv_error *why)
{
    skv_lock(&pressure->why_lock);
    pressure->why = *why;
    skv_unlock(&pressure->why_lock);
    atomic_store(&pressure->failure, code);
    tell(pressure);
}

void skv_pressure_forget(skv_pressure *pressure)
{
    atomic_store(&pressure->failure, SKV_OK);
}

skv_code skv_pressure_failure(skv_pressure *pressure, const char *what, skv_error *err)
{
    skv_code code = atomic_load(&pressure->failure);
    skv_error why;
    if (code == SKV_OK)
        return SKV_OK;
    skv_lock(&pressure->why_lock);
    why = pressure->why;
    skv_unlock(&pressure->why_lock);
    code = skv_fail_at(err, code, why.file, why.offset, why.seqno, "%s: %.300s", what, why.text);
    if (err)
        err->sys_errno = why.sys_errno;
    return code;
}
