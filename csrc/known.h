/* L0. A set of seqnos between two bounds: which records of a stretch of the log are known. Pure. */
#ifndef SKV_KNOWN_H
#define SKV_KNOWN_H

#include <stdbool.h>

#include "error.h"

typedef struct {
    uint64_t after_seqno, last_seqno;
    uint8_t *bits; /* owned */
    uint64_t count;
} skv_known;

/* Empty, for seqnos behind after_seqno up to last_seqno. owned: skv_known_free. NO_MEMORY. */
skv_code skv_known_create(uint64_t after_seqno, uint64_t last_seqno, skv_known *out, skv_error *err);
void skv_known_free(skv_known *known);
/* Those outside the bounds are passed by. */
void skv_known_add(skv_known *known, uint64_t seqno);
/* The next stretch behind `after`, inside the bounds, that is not in the set. false: there is none. */
bool skv_known_gap(const skv_known *known, uint64_t after, uint64_t *first, uint64_t *last);

#endif
