/* L4 house. What can be changed while a store is open. */
#ifndef SKV_SETTINGS_H
#define SKV_SETTINGS_H

#include "store.h"

#define SKV_BUDGET_DEFAULT ((uint64_t)256 << 20)

/* What was asked for, and where nothing was, what is stored. */
skv_settings skv_settings_merge(const skv_settings *asked, const skv_settings *stored);
/* Is in force the same with both? */
bool skv_settings_equal(const skv_settings *left, const skv_settings *right);
/* INVALID. */
skv_code skv_settings_check(const skv_settings *settings, skv_error *err);
/* The largest segment unless one was asked for: the log holds about as much as the budget, and shrinks in whole segments. */
uint64_t skv_settings_segment_bytes(const skv_settings *stored, uint64_t least);
/* Put what the manifest says in force. */
void skv_settings_apply(skv_store *store);
/* Save the manifest with these; on failure the old ones stay in force. Alone, or under the lock of the settings. */
skv_code skv_settings_store(skv_store *store, const skv_settings *settings, skv_error *err);
/* The same for the whole manifest, but for its generation. */
skv_code skv_settings_save(skv_store *store, skv_manifest *next, skv_error *err);

#endif
