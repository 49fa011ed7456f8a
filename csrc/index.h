/* L2 part (index family). The index of one shard's unflushed records, of one generation: key to the position of its
 * newest record in the log. No copy of the record: 12 bytes per key at a load between one half and three quarters.
 *
 * A generation is active (it takes inserts), then sealed (a flush writes it to LMDB), then let go; snapshots and scans
 * keep the generations that they need. Threads: insert and every change under the owning shard's lock; find too. */
#ifndef SKV_INDEX_H
#define SKV_INDEX_H

#include "run.h"

#define SKV_INDEX_RUNS_MAX 16

typedef struct skv_index skv_index;

typedef struct {
    uint64_t keys;         /* distinct */
    uint64_t bytes;        /* of all records that were inserted, replaced ones too */
    uint64_t heap_bytes;
    uint64_t first_seqno;  /* of the oldest record; 0 when empty */
    uint64_t last_seqno;
    uint64_t first_ns;     /* when the oldest record came */
    uint32_t deletes_met;  /* by readers, see skv_index_meet */
} skv_index_size;

/* owned: skv_index_release. NULL when memory is out. */
skv_index *skv_index_create(const skv_slots *slots);
void skv_index_keep(skv_index *index);
/* Frees the index with its last reference. */
void skv_index_release(skv_index *index);

/* So many keys are likely to come: tables that grow become large enough for them at once. Memory is used as they come. */
void skv_index_prepare(skv_index *index, uint64_t keys);
/* A live snapshot: it sees records with a seqno up to this. */
typedef struct skv_cut {
    const struct skv_cut *older; /* the next; NULL: none */
    uint64_t seqno;
} skv_cut;

/* Make sure that one more insert of this hash cannot fail; each reservation is used up by one insert or given back.
 * cuts: of all live snapshots, the newest first; NULL: none. A replaced record that one of them sees is kept findable. */
skv_code skv_index_reserve(skv_index *index, uint64_t key_hash, const skv_cut *cuts);
/* The cache line that an insert of this hash will want, for one who reserves many before the first insert. */
void skv_index_prefetch(const skv_index *index, uint64_t key_hash);
void skv_index_unreserve(skv_index *index, uint64_t key_hash, const skv_cut *cuts);
/* Point the key at its newest record; cuts as it was reserved. */
void skv_index_insert(skv_index *index, uint64_t key_hash, skv_position position, const skv_record *record,
                      const skv_cut *cuts);
/* The newest record of the key with seqno <= upto. */
bool skv_index_find(const skv_index *index, skv_key key, uint64_t upto, skv_position *position, skv_record *out);
/* Did the generations and the shard below hold the key before? Answers are remembered: a count need not ask twice. */
typedef struct {
    bool (*ask)(void *context, skv_key key, skv_code *code);
    void *context;
} skv_index_below;
/* Ask for at most `most` keys that are not known yet. *left: how many are unknown then. */
skv_code skv_index_resolve(skv_index *index, uint64_t most, skv_index_below below, uint64_t *left);
/* How many keys this generation adds to what lies below, or takes from it; of the known ones. Reserved keys do not count. */
int64_t skv_index_delta(const skv_index *index);

skv_index_size skv_index_measure(const skv_index *index);
/* Readers stepped over so many more of its deletes. Returns how many ever. Without the lock. */
uint32_t skv_index_meet(skv_index *index, uint32_t deletes);
/* Of the oldest record; 0 when empty. */
uint64_t skv_index_first_seqno(const skv_index *index);
#define SKV_INDEX_PARTS 64
/* The newest positions of one part, in no order; owned: skv_run_release. OK with NULL: it is empty. NO_MEMORY. */
skv_code skv_index_copy_part(const skv_index *index, uint32_t part, skv_run **out);
/* The earliest expiry of what was inserted since this was said last, or what was said; UINT64_MAX: none. */
uint64_t skv_index_soonest(const skv_index *index);
void skv_index_expect(skv_index *index, uint64_t soonest_ms);
/* All newest positions, in no order. out has room for skv_index_measure().keys. */
void skv_index_copy(const skv_index *index, skv_position *out);

/* -- order: sorting is done by the caller, outside the lock, one thread at a time -- */

/* The positions that are in no run yet, unsorted: to be given back as a run. OK with NULL: there are none. */
skv_code skv_index_take_unsorted(skv_index *index, skv_run **out);
/* Give what was taken back as a sorted run; false (and it is released): the order was dropped meanwhile, begin again.
 * NULL: it could not be sorted, and the order is dropped. */
bool skv_index_add_run(skv_index *index, skv_run *run);
/* Two runs that should become one, the larger first; kept for the caller. false: all is well. */
bool skv_index_mergeable(const skv_index *index, skv_run *pair[2]);
/* Put `merged` in their place, unless they are gone; takes all three references. */
void skv_index_replace_runs(skv_index *index, skv_run *pair[2], skv_run *merged);
/* Do the runs hold every record that is not newer than the last taking of positions? Inserts may drop the order. */
bool skv_index_has_order(const skv_index *index);
/* The same for every record, and there is nothing to merge. */
bool skv_index_in_order(const skv_index *index);
/* The runs, with an order: records, and replaced versions that a snapshot may need too. Kept for the caller. */
uint32_t skv_index_runs(skv_index *index, skv_run *out[SKV_INDEX_RUNS_MAX]);
/* Forget all runs; the next order begins from nothing. */
void skv_index_drop_order(skv_index *index);

#endif
