/* L0. A set of seqnos. */
#include "known.h"

#include "memory.h"

skv_code skv_known_create(uint64_t after_seqno, uint64_t last_seqno, skv_known *out, skv_error *err)
{
    *out = (skv_known){.after_seqno = after_seqno, .last_seqno = last_seqno};
    out->bits = skv_alloc((size_t)((last_seqno - after_seqno) / 8 + 1));
    return out->bits ? SKV_OK : skv_fail(err, SKV_NO_MEMORY, "out of memory");
}

void skv_known_free(skv_known *known)
{
    skv_release(known->bits);
    *known = (skv_known){0};
}

static bool has(const skv_known *known, uint64_t seqno)
{
    uint64_t bit = seqno - known->after_seqno - 1;
    return (known->bits[bit / 8] >> (bit % 8) & 1) != 0;
}

void skv_known_add(skv_known *known, uint64_t seqno)
{
    uint64_t bit = seqno - known->after_seqno - 1;
    if (seqno <= known->after_seqno || seqno > known->last_seqno || has(known, seqno))
        return;
    known->bits[bit / 8] |= (uint8_t)(1U << (bit % 8));
    known->count++;
}

bool skv_known_gap(const skv_known *known, uint64_t after, uint64_t *first, uint64_t *last)
{
    uint64_t seqno = after > known->after_seqno ? after : known->after_seqno;
    while (seqno < known->last_seqno && has(known, seqno + 1))
        seqno++;
    if (seqno >= known->last_seqno)
        return false;
    *first = seqno + 1;
    while (seqno < known->last_seqno && !has(known, seqno + 1))
        seqno++;
    *last = seqno;
    return true;
}
