/* L1 part. The engine's clock. */
#include "clock.h"

#include "sync.h"

#define US_PER_MS 1000
#define NS_PER_US 1000

static long long monotonic_us(void)
{
    return (long long)(skv_now_ns() / NS_PER_US);
}

static void raise_signed(atomic_llong *value, long long least)
{
    long long held = atomic_load(value);
    while (held < least && !atomic_compare_exchange_weak(value, &held, least))
        continue;
}

static void raise_unsigned(atomic_ullong *value, uint64_t least)
{
    unsigned long long held = atomic_load(value);
    while (held < least && !atomic_compare_exchange_weak(value, &held, least))
        continue;
}

uint64_t skv_clock_now(skv_clock *clock)
{
    /* The wall clock first: a pause between the two makes the difference smaller, and a larger one is kept for good. */
    long long wall = (long long)skv_wall_us() + US_PER_MS * atomic_load(&clock->shift_ms), steady = monotonic_us();
    if (wall - steady > atomic_load(&clock->ahead_us))
        raise_signed(&clock->ahead_us, wall - steady);
    return (uint64_t)(steady + atomic_load(&clock->ahead_us)) / US_PER_MS;
}

void skv_clock_raise(skv_clock *clock, uint64_t now_ms)
{
    raise_signed(&clock->ahead_us, US_PER_MS * (long long)now_ms - monotonic_us());
}

void skv_clock_shift(skv_clock *clock, int64_t shift_ms)
{
    atomic_store(&clock->shift_ms, shift_ms);
}

bool skv_clock_passed_at(skv_clock *clock, uint64_t expires_ms, uint64_t at_ms)
{
    if (expires_ms > at_ms)
        return false;
    if (expires_ms > atomic_load(&clock->told_ms))
        raise_unsigned(&clock->told_ms, expires_ms);
    return true;
}

bool skv_clock_passed(skv_clock *clock, uint64_t expires_ms)
{
    return skv_clock_passed_at(clock, expires_ms, skv_clock_now(clock));
}

void skv_clock_saved(skv_clock *clock, uint64_t now_ms)
{
    raise_unsigned(&clock->saved_ms, now_ms);
}

bool skv_clock_unsaved(const skv_clock *clock)
{
    return atomic_load(&clock->told_ms) > atomic_load(&clock->saved_ms);
}
