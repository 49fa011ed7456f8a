/* L3 path. Ordered scan over all lanes: a loser tree merges every lane's shard and sorted runs; the newest version of a
 * key that the snapshot may see wins. A scan from end to end, with the reserved keys or up to them, also proves each
 * shard's digest and count. */
#ifndef SKV_SCAN_PATH_H
#define SKV_SCAN_PATH_H

#include "io.h"
#include "scan_source.h"

/* The bounds are copied; a NULL start or stop is open. snapshot: kept until skv_scan_end. owned: skv_scan_end. */
skv_code skv_scan_begin(skv_snapshot *snapshot, skv_slice start, skv_slice stop, int flags, skv_scan **out,
                        skv_error *err);
/* Rows as a msgpack array in io->data: key, value, key, value ... or keys alone. Returns how many, 0 at the end; or what failed. */
int64_t skv_scan_rows(skv_scan *scan, uint32_t rows_max, uint32_t bytes_max, skv_io *io);
/* Are there no more rows? After skv_scan_rows. */
bool skv_scan_ended(const skv_scan *scan);
/* What has to be durable before anybody is shown the rows so far: of the records that were met; 0: nothing. */
uint64_t skv_scan_rests_on(const skv_scan *scan);
skv_snapshot *skv_scan_snapshot(const skv_scan *scan);
/* Close its cursors, and end; both under the snapshot's lock. Detached, it can only be ended. */
void skv_scan_detach(skv_scan *scan);
void skv_scan_end(skv_scan *scan);

#endif
