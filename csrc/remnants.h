/* L2 part (log family). What is left of several logs of the same records, as one: of each seqno the best run that has it. */
#ifndef SKV_REMNANTS_H
#define SKV_REMNANTS_H

#include "log_remains.h"

#define SKV_REMNANT_RANKS 3

typedef struct {
    skv_remnant *runs; /* owned; by rank, then by first_seqno */
    size_t ends[SKV_REMNANT_RANKS];
} skv_remnants;

/* One of the logs, believed up to a seqno. */
typedef struct {
    const skv_log_remains *remains; /* kept */
    uint64_t upto;
} skv_remnants_part;

/* owned: skv_remnants_free. NO_MEMORY. */
skv_code skv_remnants_gather(const skv_remnants_part *parts, size_t count, skv_remnants *out, skv_error *err);
void skv_remnants_free(skv_remnants *all);
/* The records from `from` to `upto`, in order; what is in no run is passed by. What take answers but OK ends it. */
typedef skv_code (*skv_remnants_take)(void *context, const skv_record *record, skv_error *err);
typedef struct {
    skv_remnants_take take;
    void *context;
} skv_remnants_taker;
skv_code skv_remnants_visit(const skv_remnants *all, uint64_t from, uint64_t upto, skv_remnants_taker to, skv_error *err);
/* The first seqno from which on up to `upto` none is missing; upto + 1: that one is. */
uint64_t skv_remnants_unbroken(const skv_remnants *all, uint64_t upto);
/* The last record of the tail behind what is proven: whole frames, one following from the other. */
uint64_t skv_remnants_tail(const skv_remnants *all, uint64_t proven_seqno);

#endif
