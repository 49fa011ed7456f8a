/* An LMDB in memory, as far as shards need one that is written, committed and looked at again. An environment lasts as long as its
 * (empty) data file does. Keys and values are all that takes room in its map. */
#ifndef FAKE_LMDB_H
#define FAKE_LMDB_H

#include "lmdb_api.h"
#include "record.h"

extern const skv_lmdb fake_lmdb;

/* What the environment at this path has of a key, committed; false: nothing. */
bool fake_lmdb_find(const char *path, skv_slice key, skv_record *out);
/* Its keys, the shard's own record among them. */
size_t fake_lmdb_count(const char *path);
/* The n-th beginning, write or commit from now fails with EIO; 0: none. */
void fake_lmdb_fail(long nth);
long fake_lmdb_calls(void);
/* Another process makes a map larger: nothing can be begun until it is taken as it is now. */
void fake_lmdb_outgrow(void);
/* Environments say from now on that they hold so many entries less than they do. */
void fake_lmdb_hide(size_t entries);
/* Trees have so many leaves and pages of long values from now on. */
void fake_lmdb_pages(size_t leaves, size_t overflow);
/* How many trees were emptied. */
long fake_lmdb_drops(void);
/* Forget all environments. */
void fake_lmdb_clear(void);

#endif
