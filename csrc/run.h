/* L2 part (index family). A sorted run: positions in key order, newest first among equal keys. Immutable once built,
 * shared by reference. 16 bytes per record. */
#ifndef SKV_RUN_H
#define SKV_RUN_H

#include "hash.h"
#include "segment.h"

typedef struct skv_run {
    atomic_uint references;
    uint32_t count;
    skv_position positions[]; /* 8 bytes each */
} skv_run;

/* Room for `count` positions, to be filled and then sorted. owned: skv_run_release. NULL when memory is out. */
skv_run *skv_run_create(uint32_t count);
/* Put the positions in order. NO_MEMORY leaves them as they were. */
skv_code skv_run_sort(skv_run *run, const skv_slots *slots);
/* Two sorted runs as one. NULL when memory is out. */
skv_run *skv_run_merge(const skv_run *a, const skv_run *b, const skv_slots *slots);
void skv_run_keep(skv_run *run);
void skv_run_release(skv_run *run);
/* The first entry whose key is not before `key`; count when there is none. */
uint32_t skv_run_seek(const skv_run *run, const skv_slots *slots, skv_slice key);

#endif
