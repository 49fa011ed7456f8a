/* L2 part. Admission: no more writes and bytes per second than the limits say, in the order in which they came. A write that
 * may not go yet reserves its place on the line and waits for its moment, over several calls if need be; nobody overtakes.
 * Up to a tenth of a second's worth that was not used may be made up for at once. Threads: any. */
#ifndef SKV_ADMISSION_H
#define SKV_ADMISSION_H

#include "error.h"
#include "sync.h"

#define SKV_ADMISSION_BURST_NS (100 * SKV_NS_PER_MS)

typedef struct {
    uint64_t writes_per_s; /* 0: no limit */
    uint64_t bytes_per_s;
} skv_rates;

/* What one write asks for. */
typedef struct {
    uint64_t writes;
    uint64_t bytes;
} skv_demand;

typedef struct {
    atomic_bool limited; /* all that a write of an unlimited store looks at */
    skv_mutex lock;
    skv_rates rates;       /* under the lock, as all below */
    uint64_t epoch;        /* counts changes of the rates: a change begins a new line */
    uint64_t writes_due_ns; /* when what was admitted so far is paid for */
    uint64_t bytes_due_ns;
    atomic_ullong stall_ns; /* time that writers waited for their turn */
    skv_event changed;
} skv_admission;

void skv_admission_create(skv_admission *admission);
void skv_admission_free(skv_admission *admission);
/* From now on; who waits is judged anew. */
void skv_admission_limit(skv_admission *admission, skv_rates rates);
/* Wait for the turn of a write, at most slice_ns. Returns 0 when it has come; else how far it is away: come back with the
 * same turn, which keeps the place. A turn of another demand is given back first. */
uint64_t skv_admission_wait(skv_admission *admission, skv_turn *turn, skv_demand demand, uint64_t slice_ns);
/* The write was made. Until then its turn stays good for another try, or for another write of its size. */
static inline void skv_admission_spend(skv_turn *turn)
{
    turn->epoch = 0;
}
/* It will not be made: those who come later need not wait for it. */
void skv_admission_withdraw(skv_admission *admission, skv_turn *turn);

static inline bool skv_admission_limited(const skv_admission *admission)
{
    return atomic_load_explicit(&admission->limited, memory_order_relaxed);
}

#endif
