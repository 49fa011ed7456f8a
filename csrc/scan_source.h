/* L3 path. What a scan merges: the records that one shard, or one sorted run, has in a range, as a snapshot sees them. */
#ifndef SKV_SCAN_SOURCE_H
#define SKV_SCAN_SOURCE_H

#include "snapshot.h"

/* What all sources of a scan share; kept by them. A NULL start or stop is open. */
typedef struct {
    skv_snapshot *snapshot; /* kept */
    skv_slice start, stop;  /* kept */
    skv_slice end;          /* that of the two where the scan ends */
    uint64_t end_prefix;
    bool reversed;
    bool proving; /* from end to end of a range: every shard's digest of it can be proved */
    skv_shard_range part;
} skv_scan_range;

typedef struct {
    skv_record record; /* where it stands; the bytes stay for as long as the snapshot lives */
    uint64_t prefix;   /* of the record's key */
    bool ended;
    uint32_t lane;
    uint32_t at;              /* in the run */
    skv_run *run;             /* owned reference; NULL: the shard */
    skv_index *generation;    /* the run's; kept by the snapshot */
    uint32_t deletes;         /* of the run's that hid a key, not told yet */
    skv_shard_cursor *cursor; /* owned */
    skv_shard_sum passed;     /* by the cursor */
} skv_scan_source;

skv_scan_range skv_scan_range_of(skv_snapshot *snapshot, skv_slice start, skv_slice stop, bool reversed);
/* Stand on the first record. owned: skv_source_detach, then skv_source_close, also after a failure. */
skv_code skv_source_open_shard(const skv_scan_range *range, uint32_t lane, skv_scan_source *out, skv_error *err);
/* Takes the reference. */
void skv_source_open_run(const skv_scan_range *range, uint32_t lane, skv_run *run, skv_scan_source *out);
skv_code skv_source_advance(const skv_scan_range *range, skv_scan_source *source, skv_error *err);
/* Where its records come from, for an error. */
const char *skv_source_file(const skv_scan_range *range, const skv_scan_source *source);
/* Let go of the snapshot's transaction; of the run. */
void skv_source_detach(const skv_scan_range *range, skv_scan_source *source);
void skv_source_close(skv_scan_source *source);

#endif
