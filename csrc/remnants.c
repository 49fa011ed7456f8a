/* L2 part (log family). What is left of several logs. */
#include "remnants.h"

#include <stdlib.h>

#include "memory.h"

static int by_rank_and_seqno(const void *a, const void *b)
{
    const skv_remnant *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->first_seqno > y->first_seqno) - (x->first_seqno < y->first_seqno);
}

skv_code skv_remnants_gather(const skv_remnants_part *parts, size_t count, skv_remnants *out, skv_error *err)
{
    size_t runs = 0;
    *out = (skv_remnants){0};
    for (size_t i = 0; i < count; i++)
        runs += parts[i].remains->count;
    out->runs = skv_alloc((runs + 1) * sizeof *out->runs);
    if (!out->runs)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    runs = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < parts[i].remains->count; n++) {
            skv_remnant run = parts[i].remains->runs[n];
            run.last_seqno = run.last_seqno < parts[i].upto ? run.last_seqno : parts[i].upto;
            if (run.first_seqno <= run.last_seqno)
                out->runs[runs++] = run;
        }
    qsort(out->runs, runs, sizeof *out->runs, by_rank_and_seqno);
    for (size_t n = 0; n < runs; n++)
        for (size_t rank = out->runs[n].rank; rank < SKV_REMNANT_RANKS; rank++)
            out->ends[rank] = n + 1;
    return SKV_OK;
}

void skv_remnants_free(skv_remnants *all)
{
    skv_release(all->runs);
    *all = (skv_remnants){0};
}

/* -- walking -------------------------------------------------------------------------------------------------------- */

/* Records of one run that come next. */
typedef struct {
    uint64_t first_seqno, last_seqno;
    const skv_remnant *run;
} stretch;

typedef struct {
    const skv_remnants *all;
    size_t at[SKV_REMNANT_RANKS]; /* the first run of each rank that does not end before what is next */
} walk;

static walk begin(const skv_remnants *all)
{
    return (walk){.all = all, .at = {0, all->ends[0], all->ends[1]}};
}

/* The run of this rank that has `next`, or begins first behind it. */
static const skv_remnant *run_of(walk *on, size_t rank, uint64_t next)
{
    while (on->at[rank] < on->all->ends[rank] && on->all->runs[on->at[rank]].last_seqno < next)
        on->at[rank]++;
    return on->at[rank] < on->all->ends[rank] ? &on->all->runs[on->at[rank]] : NULL;
}

/* The best run that has `next`, up to where a better one begins; else the nearest behind it. false: there is none. */
static bool next_stretch(walk *on, uint64_t next, stretch *out)
{
    uint64_t better = UINT64_MAX;
    for (size_t rank = 0; rank < SKV_REMNANT_RANKS; rank++) {
        const skv_remnant *run = run_of(on, rank, next);
        if (!run)
            continue;
        if (run->first_seqno <= next) {
            *out = (stretch){next, run->last_seqno < better ? run->last_seqno : better - 1, run};
            return true;
        }
        better = run->first_seqno < better ? run->first_seqno : better;
    }
    return better != UINT64_MAX && next_stretch(on, better, out);
}

static skv_code take_stretch(const stretch *part, skv_remnants_taker to, skv_error *err)
{
    const uint8_t *at = part->run->records;
    skv_code code = SKV_OK;
    for (uint64_t seqno = 0; code == SKV_OK && seqno < part->last_seqno;) {
        skv_record record;
        at += skv_record_decode(at, SIZE_MAX, &record); /* whole, as was seen when it was found */
        seqno = record.seqno;
        if (seqno >= part->first_seqno)
            code = to.take(to.context, &record, err);
    }
    return code;
}

skv_code skv_remnants_visit(const skv_remnants *all, uint64_t from, uint64_t upto, skv_remnants_taker to, skv_error *err)
{
    walk on = begin(all);
    stretch part;
    skv_code code = SKV_OK;
    for (uint64_t next = from; code == SKV_OK && next <= upto; next = part.last_seqno + 1) {
        if (!next_stretch(&on, next, &part) || part.first_seqno > upto)
            break;
        part.last_seqno = part.last_seqno < upto ? part.last_seqno : upto;
        code = take_stretch(&part, to, err);
    }
    return code;
}

uint64_t skv_remnants_unbroken(const skv_remnants *all, uint64_t upto)
{
    walk on = begin(all);
    stretch part;
    uint64_t from = 1, next = 1;
    while (next <= upto && next_stretch(&on, next, &part)) {
        if (part.first_seqno > next)
            from = part.first_seqno;
        next = part.last_seqno + 1;
    }
    return next > upto && from <= upto ? from : upto + 1;
}

uint64_t skv_remnants_tail(const skv_remnants *all, uint64_t proven_seqno)
{
    uint64_t last = proven_seqno;
    for (size_t n = 0; n < all->ends[SKV_REMNANT_FRAME]; n++) {
        const skv_remnant *run = &all->runs[n];
        if (run->joined && run->first_seqno <= last + 1 && run->last_seqno > last)
            last = run->last_seqno;
    }
    return last;
}
