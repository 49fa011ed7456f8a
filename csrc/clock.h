/* L1 part. The engine's clock: Unix time in milliseconds that never goes back, whatever the machine's clock does. It is the
 * wall clock, or the highest time it ever gave, carried on by monotonic time, whichever is later; the side file carries it
 * over a reopening. What has expired stays expired. Threads: any. */
#ifndef SKV_CLOCK_H
#define SKV_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    atomic_llong ahead_us;  /* of monotonic time, in microseconds; only grows */
    atomic_llong shift_ms;  /* what is added to the machine's wall clock */
    atomic_ullong told_ms;  /* the latest expiry that somebody was told has passed */
    atomic_ullong saved_ms; /* the side file says at least this much */
} skv_clock;

/* Zeros are a good clock. Never less than what an earlier call gave. */
uint64_t skv_clock_now(skv_clock *clock);
/* Be at least as late as this. */
void skv_clock_raise(skv_clock *clock, uint64_t now_ms);
/* Take the wall clock to be shift_ms away from the machine's. */
void skv_clock_shift(skv_clock *clock, int64_t shift_ms);

/* Has the expiry passed at the moment at_ms, or now? Who is told so is told for good: see skv_clock_unsaved. */
bool skv_clock_passed_at(skv_clock *clock, uint64_t expires_ms, uint64_t at_ms);
bool skv_clock_passed(skv_clock *clock, uint64_t expires_ms);
/* The side file carries this time. */
void skv_clock_saved(skv_clock *clock, uint64_t now_ms);
/* Was somebody told of an expiry that the side file does not carry yet? */
bool skv_clock_unsaved(const skv_clock *clock);

#endif
