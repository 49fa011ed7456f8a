/* L4 house. A store's directory: what stands in it, and who holds it. FORMAT.md 2. */
#ifndef SKV_HOME_H
#define SKV_HOME_H

#include "os.h"

#define SKV_LOCK_NAME "LOCK"
#define SKV_BIRTH_NAME "CREATING"
#define SKV_COPY_NAME "COPYING"
#define SKV_ORIGIN_NAME "ORIGIN"

/* Hold the directory against other processes, and say so in its lock file. out: descriptor, owned: skv_home_unlock; in a forked
 * child skv_os_close, for the parent still has it. LOCKED: err->offset is the holder's process id. */
skv_code skv_home_lock(int dir, const char *path, int *out, skv_error *err);
void skv_home_unlock(int fd);
/* The same, with nothing written: for one who only reads. *out -1: there is no lock file, and nobody who holds it. */
skv_code skv_home_lock_still(int dir, const char *path, int *out, skv_error *err);
/* "shards/0000" and so on. */
void skv_home_name_shard(uint32_t number, char out[SKV_NAME_MAX]);

/* What lies there, good or bad: a copy is a store that nobody has written to since it was made. */
typedef enum { SKV_NO_STORE, SKV_A_STORE, SKV_A_COPY } skv_dweller;
skv_dweller skv_home_dweller(const char *path);
/* FORMAT when the directory holds what is not ours, or an unfinished copy. Changes nothing. */
skv_code skv_home_refuse(int dir, const char *path, skv_error *err);
/* The directories of a new store: refuses what is not ours, clears what an interrupted attempt left. marker: the name that
 * says that one is under way; it stays. */
skv_code skv_home_found(int dir, const char *path, const char *marker, uint32_t shards, skv_error *err);
/* The directories of a copy that is gone on with: its shards stay, the log is empty. */
skv_code skv_home_resume(int dir, uint32_t shards, skv_error *err);
/* Remove all files of a shard's directory. */
skv_code skv_home_empty_shard(int dir, uint32_t number, skv_error *err);
/* Remove logs and shards of what never was a store. */
skv_code skv_home_clear(int dir, skv_error *err);

#endif
