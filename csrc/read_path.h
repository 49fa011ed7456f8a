/* L3 path. Reading one key: the lane's generations, then the shard. Every record is verified before it is believed. */
#ifndef SKV_READ_PATH_H
#define SKV_READ_PATH_H

#include "snapshot.h"
#include "write_path.h"

/* What a read does with a found record while its bytes are sure to stay. */
typedef skv_code (*skv_read_use)(void *context, const skv_record *record, skv_error *err);

/* The newest record of key. wait_seqno (out) is raised to the record's seqno when its writer waits for the disk and the
 * disk has not got it yet: the caller waits for it before it answers. OK, NOT_FOUND, or what failed. */
skv_code skv_read_latest(skv_parts *parts, skv_slice key, skv_read_use use, void *context, uint64_t *wait_seqno,
                         skv_error *err);
/* The record of key in a snapshot. */
skv_code skv_read_snapshot(skv_snapshot *snapshot, skv_slice key, skv_read_use use, void *context, skv_error *err);
/* The key's version, for a conditional write. `use` sees the record when there is one; NULL: nobody wants it. */
skv_code skv_read_version(skv_parts *parts, skv_slice key, skv_read_use use, void *context, skv_version *out,
                          skv_error *err);
/* Number of keys, exact at one moment: under concurrent writes the last step holds the log's lock. */
skv_code skv_read_count(skv_parts *parts, uint64_t slice_ns, uint64_t *out, uint64_t *wait_seqno, skv_error *err);

#endif
