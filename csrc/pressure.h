/* L2 part. Back-pressure: how much is unflushed, and what a writer has to do about it. Below 70 % of the budget nothing;
 * then a delay that brings writers down to what the flush manages; at 100 % they wait. Threads: any. */
#ifndef SKV_PRESSURE_H
#define SKV_PRESSURE_H

#include "error.h"
#include "notify.h"
#include "sync.h"

typedef struct {
    atomic_ullong budget_bytes;
    atomic_ullong delay_bytes; /* from here on writers are slowed down */
    atomic_ullong flush_bytes; /* from here on a flush pays */
    atomic_ullong unflushed_bytes;
    atomic_ullong flush_rate;  /* bytes per second that flushes manage, smoothed */
    atomic_ullong next_ns;     /* when the delayed writers' share of that rate is used up */
    atomic_ullong stall_ns;    /* time that writers were held back */
    atomic_int failure;        /* the code with which flushes fail; SKV_OK */
    skv_mutex why_lock;
    skv_error why;             /* explains the newest failure; under why_lock */
    skv_event relieved;
    skv_event wanted; /* for the flush loop */
    skv_notifiers *notifiers; /* kept; NULL: nobody; told when writers may go on */
} skv_pressure;

void skv_pressure_create(skv_pressure *pressure, uint64_t budget_bytes);
/* Another budget, from now on. */
void skv_pressure_resize(skv_pressure *pressure, uint64_t budget_bytes);
void skv_pressure_free(skv_pressure *pressure);
/* Before an append of `bytes`. BUSY: still no room after slice_ns; FULL, IO, CORRUPT: there will be none, flushes fail. */
skv_code skv_pressure_admit(skv_pressure *pressure, size_t bytes, uint64_t slice_ns);
/* The same for who may not wait. BUSY: call again after *retry_ns, or, when that is 0, once there may be room. */
skv_code skv_pressure_try(skv_pressure *pressure, size_t bytes, uint64_t *retry_ns);
/* After it. */
void skv_pressure_add(skv_pressure *pressure, uint64_t bytes);
/* After a flush of `bytes` that took spent_ns. */
void skv_pressure_relieve(skv_pressure *pressure, uint64_t bytes, uint64_t spent_ns);
/* Flushing fails, and why: the admissions that are refused for it tell. */
void skv_pressure_fail(skv_pressure *pressure, skv_code code, const skv_error *why);
/* OK, or the code of the newest failure with its explanation behind `what`. */
skv_code skv_pressure_failure(skv_pressure *pressure, const char *what, skv_error *err);
/* Do not hold an earlier failure against the next try. */
void skv_pressure_forget(skv_pressure *pressure);
/* Share of the budget in use, in percent. */
unsigned skv_pressure_level(const skv_pressure *pressure);
/* Is there enough for a flush to pay? */
bool skv_pressure_wants_flush(const skv_pressure *pressure);

#endif
