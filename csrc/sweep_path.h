/* L3 path. Sweeping: expired records are removed by deletes in the log, each on condition that the record is still its key's
 * newest, so that all who follow the log see them go as they see any delete. In bounded rounds, which find by themselves
 * where the last one ended; what nobody gave an expiry is never looked at. */
#ifndef SKV_SWEEP_PATH_H
#define SKV_SWEEP_PATH_H

#include "read_path.h"

/* One round over what pays most: the generation or the shard whose earliest expiry has passed longest. NOT_FOUND: nothing has
 * expired, or a flush is about to be needed. BUSY, FULL, POISONED: as a write. The flush's thread
 * alone; it has other work: its workspace does not wait. */
skv_code skv_sweep_step(skv_parts *parts, skv_io *io);
/* One round over a part of a lane's shard, behind at->key; the records of its generations are not looked at. NOT_FOUND: that was
 * its end. As a write; CORRUPT. A record that fails its checksum stays. Any thread, each with a place of its own. */
skv_code skv_sweep_shard(skv_parts *parts, skv_lane *lane, skv_sweep_place *at, skv_io *io);

#endif
