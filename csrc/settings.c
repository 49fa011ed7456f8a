/* L4 house. What can be changed while a store is open: checked, stored in the manifest, then put in force. */
#include "settings.h"

#define BUDGET_LEAST ((uint64_t)1 << 20)
#define BUDGET_SEGMENTS 16

static uint64_t pick(uint64_t asked, uint64_t stored)
{
    return asked == SKV_KEEP ? stored : asked;
}

skv_settings skv_settings_merge(const skv_settings *asked, const skv_settings *stored)
{
    return (skv_settings){.max_writes_per_s = pick(asked->max_writes_per_s, stored->max_writes_per_s),
                          .max_bytes_per_s = pick(asked->max_bytes_per_s, stored->max_bytes_per_s),
                          .retain_log_bytes = pick(asked->retain_log_bytes, stored->retain_log_bytes),
                          .unflushed_bytes = pick(asked->unflushed_bytes, stored->unflushed_bytes)};
}

skv_code skv_settings_check(const skv_settings *asked, skv_error *err)
{
    if (asked->unflushed_bytes && asked->unflushed_bytes < BUDGET_LEAST)
        return skv_fail(err, SKV_INVALID, "unflushed_bytes is %llu; at least %llu",
                        (unsigned long long)asked->unflushed_bytes, (unsigned long long)BUDGET_LEAST);
    return SKV_OK;
}

static skv_settings in_force(const skv_settings *stored)
{
    skv_settings full = *stored;
    full.unflushed_bytes = full.unflushed_bytes ? full.unflushed_bytes : SKV_BUDGET_DEFAULT;
    return full;
}

bool skv_settings_equal(const skv_settings *left, const skv_settings *right)
{
    skv_settings a = in_force(left), b = in_force(right);
    return a.max_writes_per_s == b.max_writes_per_s && a.max_bytes_per_s == b.max_bytes_per_s &&
           a.retain_log_bytes == b.retain_log_bytes && a.unflushed_bytes == b.unflushed_bytes;
}

uint64_t skv_settings_segment_bytes(const skv_settings *stored, uint64_t least)
{
    uint64_t most = SKV_SEGMENT_BYTES_MAX, budget = in_force(stored).unflushed_bytes;
    while (most / 2 >= least && most > budget / BUDGET_SEGMENTS)
        most /= 2;
    return most;
}

void skv_settings_apply(skv_store *store)
{
    skv_settings full = in_force(&store->manifest.settings);
    skv_admission_limit(&store->parts.admission, (skv_rates){full.max_writes_per_s, full.max_bytes_per_s});
    skv_pressure_resize(&store->parts.pressure, full.unflushed_bytes);
    skv_log_retain(store->parts.log, full.retain_log_bytes);
}

skv_code skv_settings_store(skv_store *store, const skv_settings *settings, skv_error *err)
{
    skv_manifest next = store->manifest;
    next.settings = *settings;
    return skv_settings_save(store, &next, err);
}

skv_code skv_settings_save(skv_store *store, skv_manifest *next, skv_error *err)
{
    skv_code code;
    next->generation++;
    code = skv_manifest_save(store->dir, next, err);
    store->manifest.generation++; /* also when it failed: one of the copies may have it by now */
    if (code == SKV_OK)
        store->manifest = *next;
    return code;
}

/* Under the lock of the settings. */
static skv_code change(skv_store *store, const skv_settings *asked, skv_error *err)
{
    skv_settings next = skv_settings_merge(asked, &store->manifest.settings);
    skv_code code = skv_settings_check(&next, err);
    if (code != SKV_OK || skv_settings_equal(&next, &store->manifest.settings))
        return code;
    code = skv_settings_store(store, &next, err);
    if (code == SKV_OK)
        skv_settings_apply(store);
    return code;
}

skv_code skv_configure(skv_store *store, const skv_settings *settings, skv_io *io)
{
    skv_code code = skv_store_enter_to_write(store, &io->error);
    if (code != SKV_OK)
        return code;
    skv_lock(&store->settings_lock);
    code = change(store, settings, &io->error);
    skv_unlock(&store->settings_lock);
    skv_store_leave(store);
    return code;
}

void skv_settings_read(skv_store *store, skv_settings *out)
{
    skv_lock(&store->settings_lock);
    *out = in_force(&store->manifest.settings);
    skv_unlock(&store->settings_lock);
}
