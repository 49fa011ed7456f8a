/* L4 house. Open, stop, close. FORMAT.md 2 has the order in which a store comes into being. */
#include "store.h"

#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "keep_path.h"
#include "memory.h"
#include "os.h"
#include "replay_path.h"
#include "settings.h"
#include "snapshot.h"

#define SHARDS_DEFAULT 8
#define SEGMENT_BYTES_LEAST ((uint64_t)64 << 10)

/* -- calls ---------------------------------------------------------------------------------------------------------- */

skv_code skv_store_enter(skv_store *store, skv_error *err)
{
    if (atomic_load_explicit(&store->forked, memory_order_relaxed))
        return skv_fail(err, SKV_FORKED, "the store was opened before a fork; open it again in this process");
    atomic_fetch_add(&store->calls, 1);
    if (atomic_load(&store->state) == SKV_STATE_OPEN)
        return SKV_OK;
    skv_store_leave(store);
    return skv_fail(err, SKV_CLOSED, "the store %s is closed", store->path);
}

skv_code skv_store_enter_to_write(skv_store *store, skv_error *err)
{
    skv_code code = skv_store_enter(store, err);
    if (code != SKV_OK || !store->readonly)
        return code;
    skv_store_leave(store);
    return skv_fail(err, SKV_READ_ONLY, "the store %s was opened read-only", store->path);
}

void skv_store_leave(skv_store *store)
{
    if (atomic_fetch_sub(&store->calls, 1) == 1 && atomic_load(&store->state) != SKV_STATE_OPEN)
        skv_event_notify(&store->left);
}

/* -- directory ------------------------------------------------------------------------------------------------------ */

static skv_code no_store(const skv_store *store, skv_error *err)
{
    return skv_fail(err, SKV_INVALID, "%s holds no store, and %s", store->path,
                    store->readonly ? "opening it readonly makes none" : "create is off");
}

static skv_code open_root(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_code code = options->create ? skv_os_make_dir(SKV_OS_HERE, store->path, err) : SKV_OK;
    if (code != SKV_OK)
        return code;
    code = skv_os_open_dir(store->path, &store->dir, err);
    if (code == SKV_IO && err->sys_errno == ENOENT && !options->create)
        return no_store(store, err);
    return code;
}

/* What is not a store, and shall not become one, stays as it is: not even a lock file is left in it. */
static skv_code look_first(const skv_store *store, const skv_options *options, skv_error *err)
{
    if (skv_manifest_exists(store->dir) || skv_os_exists(store->dir, SKV_BIRTH_NAME))
        return SKV_OK;
    if (options->create || skv_os_exists(store->dir, SKV_COPY_NAME))
        return skv_home_refuse(store->dir, store->path, err);
    return no_store(store, err);
}

/* -- parts ---------------------------------------------------------------------------------------------------------- */

static skv_code open_lane(skv_store *store, uint32_t number, bool create, skv_error *err)
{
    char name[SKV_NAME_MAX];
    skv_shard_place place = {.lmdb = store->lmdb, .number = number, .map_bytes = store->in_force.map_bytes};
    size_t bytes = strlen(store->path) + SKV_NAME_MAX;
    char *path = skv_alloc(bytes);
    skv_shard *shard = NULL;
    skv_code code;
    if (!path)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    skv_home_name_shard(number, name);
    (void)snprintf(path, bytes, "%s/%s", store->path, name);
    place.path = path;
    memcpy(place.store_id, store->manifest.store_id, SKV_STORE_ID_BYTES);
    if (!create && !skv_os_exists(store->dir, name))
        code = skv_fail_at(err, SKV_CORRUPT, name, 0, 0, "the shard is missing");
    else
        code = skv_shard_open(&place, create, &shard, err);
    if (code == SKV_OK && create)
        code = skv_os_sync_dir(store->dir, name, err);
    skv_release(path);
    if (code != SKV_OK) {
        skv_shard_free(shard);
        return code;
    }
    return skv_lane_create(&store->parts.lanes[number], shard, &store->parts.clock, skv_log_slots(store->parts.log), err);
}

static skv_code open_parts(skv_store *store, bool create, skv_error *err)
{
    skv_manifest *manifest = &store->manifest;
    skv_log_sizes sizes = {store->in_force.segment_bytes_min, store->in_force.segment_bytes_max};
    skv_code code;
    if (!sizes.segment_bytes_max)
        sizes.segment_bytes_max = skv_settings_segment_bytes(&manifest->settings, sizes.segment_bytes_min);
    store->in_force.segment_bytes_max = sizes.segment_bytes_max;
    code = skv_log_create(store->dir, manifest->store_id, sizes, &store->parts.clock, &store->parts.log, err);
    if (code != SKV_OK)
        return code;
    skv_settings_apply(store);
    skv_log_attach(store->parts.log, &store->parts.notifiers);
    store->parts.lanes = skv_alloc(manifest->shards * sizeof store->parts.lanes[0]);
    if (!store->parts.lanes)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    store->parts.lane_count = manifest->shards;
    for (uint32_t i = 0; i < manifest->shards && code == SKV_OK; i++)
        code = open_lane(store, i, create, err);
    return code;
}

/* The layout of a new store. */
static skv_code lay_out(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_manifest *manifest = &store->manifest;
    manifest->settings = skv_settings_merge(&options->settings, &(skv_settings){0});
    manifest->generation = 1;
    manifest->shards = options->shards ? options->shards : SHARDS_DEFAULT;
    if (manifest->shards > SKV_SHARDS_MAX)
        return skv_fail(err, SKV_INVALID, "shards is %u; it must be 1..%d", manifest->shards, SKV_SHARDS_MAX);
    for (uint32_t i = 0; i < manifest->shards; i++)
        manifest->weights[i] = options->weights ? options->weights[i] : 1;
    return skv_os_random(manifest->store_id, sizeof manifest->store_id, err);
}

/* The manifest comes last: a store exists once it is there. */
static skv_code found_store(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_code code = lay_out(store, options, err);
    if (code == SKV_OK) /* refuses bad weights before anything is made */
        code = skv_ring_create(store->manifest.weights, store->manifest.shards, &store->parts.ring, err);
    if (code == SKV_OK)
        code = skv_home_found(store->dir, store->path, SKV_BIRTH_NAME, store->manifest.shards, err);
    if (code == SKV_OK)
        code = open_parts(store, true, err);
    if (code == SKV_OK)
        code = skv_replay_nothing(&store->parts, err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(store->dir, "shards", err);
    if (code == SKV_OK)
        code = skv_os_sync_dir(store->dir, "..", err);
    if (code == SKV_OK) /* the names that the manifest speaks of are there before it is */
        code = skv_os_sync_dir(store->dir, ".", err);
    if (code == SKV_OK)
        code = skv_manifest_save(store->dir, &store->manifest, err);
    return code;
}

static skv_code refuse_other_layout(const skv_manifest *manifest, const skv_options *options, skv_error *err)
{
    if (options->shards && options->shards != manifest->shards)
        return skv_fail(err, SKV_INVALID, "shards=%u, but the store has %u; leave it out to adopt what is stored",
                        options->shards, manifest->shards);
    for (uint32_t i = 0; options->weights && i < manifest->shards; i++)
        if (options->weights[i] != manifest->weights[i])
            return skv_fail(err, SKV_INVALID, "weights[%u] is %u, but the store has %u", i, options->weights[i],
                            manifest->weights[i]);
    return SKV_OK;
}

/* Such a store may learn that it has gone its own way: what only it has is read from its log, which is let go of by flushes
 * alone, and not by an open that is refused. */
static bool in_family(const skv_store *store)
{
    return store->manifest.lineage_bytes > 0;
}

/* The layout is what it is; settings are what they were, or what is asked for, which is stored when all else went well. */
static skv_code adopt_store(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_manifest *manifest = &store->manifest;
    skv_settings settings = skv_settings_merge(&options->settings, &manifest->settings);
    bool changed = !skv_settings_equal(&settings, &manifest->settings);
    skv_code code = refuse_other_layout(manifest, options, err);
    if (code == SKV_OK && changed && store->readonly)
        code = skv_fail(err, SKV_READ_ONLY, "other settings than those of the store, but it is opened read-only");
    if (code == SKV_OK)
        code = skv_ring_create(manifest->weights, manifest->shards, &store->parts.ring, err);
    manifest->settings = settings;
    if (code == SKV_OK)
        code = open_parts(store, false, err);
    if (code == SKV_OK)
        code = skv_replay(&store->parts, options->helper, &store->replayed_records, err);
    if (code == SKV_OK && changed)
        code = skv_settings_store(store, &settings, err);
    if (code == SKV_OK && !in_family(store))
        skv_keep_retire(&store->parts);
    return code;
}

static skv_options fill_options(const skv_options *asked)
{
    skv_options full = *asked;
    full.helper = NULL; /* is for the opening alone */
    full.segment_bytes_min = asked->segment_bytes_min ? asked->segment_bytes_min : SKV_SEGMENT_BYTES_MIN;
    full.map_bytes = asked->map_bytes ? asked->map_bytes : SKV_MAP_BYTES_DEFAULT;
    return full;
}

static skv_code check_options(const skv_options *full, skv_error *err)
{
    uint64_t least = full->segment_bytes_min, most = full->segment_bytes_max ? full->segment_bytes_max : SKV_SEGMENT_BYTES_MAX;
    if (least < SEGMENT_BYTES_LEAST || most < least || most > (uint64_t)1 << 31 || least % SKV_PAGE_BYTES || most % SKV_PAGE_BYTES)
        return skv_fail(err, SKV_INVALID, "log segments of %llu to %llu bytes: from 64 KiB to 2 GiB, whole pages",
                        (unsigned long long)least, (unsigned long long)most);
    if (full->weights && !full->shards)
        return skv_fail(err, SKV_INVALID, "weights need shards");
    return skv_settings_check(&full->settings, err);
}

/* What may be written to is no backup any more. Durable before the first write is. */
static skv_code forget_origin(skv_store *store, skv_error *err)
{
    skv_code code;
    if (!skv_os_exists(store->dir, SKV_ORIGIN_NAME))
        return SKV_OK;
    code = skv_os_remove(store->dir, SKV_ORIGIN_NAME, err);
    return code == SKV_OK ? skv_os_sync_dir(store->dir, ".", err) : code;
}

static skv_code open_store(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_code code = open_root(store, options, err);
    if (code == SKV_OK)
        code = look_first(store, options, err);
    if (code == SKV_OK)
        code = skv_home_lock(store->dir, store->path, &store->lock_fd, err);
    if (code != SKV_OK)
        return code;
    code = skv_manifest_load(store->dir, &store->manifest, err);
    if (code == SKV_NOT_FOUND && !options->create)
        return no_store(store, err);
    if (code == SKV_NOT_FOUND)
        code = found_store(store, options, err);
    else if (code == SKV_OK)
        code = adopt_store(store, options, err);
    if (code == SKV_OK)
        code = skv_os_remove(store->dir, SKV_BIRTH_NAME, err);
    if (code == SKV_OK)
        code = skv_os_remove(store->dir, SKV_COPY_NAME, err);
    if (code == SKV_OK && (!store->readonly || store->in_force.following))
        code = forget_origin(store, err);
    return code;
}

skv_code skv_open(const skv_options *options, skv_store **out, skv_error *err)
{
    skv_options full = fill_options(options);
    skv_code code = check_options(&full, err);
    skv_store *store;
    *out = NULL;
    if (code != SKV_OK)
        return code;
    store = skv_alloc(sizeof *store);
    if (store)
        store->path = skv_alloc(strlen(options->path) + 1);
    if (!store || !store->path) {
        skv_release(store);
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    }
    memcpy(store->path, options->path, strlen(options->path));
    store->dir = store->lock_fd = -1;
    store->lmdb = options->lmdb;
    store->in_force = full;
    store->readonly = options->readonly || options->following;
    skv_notifiers_create(&store->parts.notifiers);
    skv_acks_create(&store->parts.acks);
    skv_acks_attach(&store->parts.acks, &store->parts.notifiers);
    skv_admission_create(&store->parts.admission);
    skv_mutex_create(&store->settings_lock);
    skv_pressure_create(&store->parts.pressure, SKV_BUDGET_DEFAULT);
    store->parts.pressure.notifiers = &store->parts.notifiers;
    code = open_store(store, options, err);
    if (code != SKV_OK) {
        atomic_store(&store->state, SKV_STATE_STOPPING);
        skv_free(store);
        return code;
    }
    *out = store;
    return SKV_OK;
}

/* -- the end -------------------------------------------------------------------------------------------------------- */

static void wake_everybody(skv_store *store)
{
    skv_log_wake_loops(store->parts.log);
    skv_event_notify(&store->parts.pressure.wanted);
    skv_event_notify(&store->parts.pressure.relieved);
    skv_event_notify(&store->parts.flushed);
    skv_acks_wake(&store->parts.acks);
    skv_event_notify(&store->left);
}

skv_code skv_stop(skv_store *store, skv_error *err)
{
    skv_error closed;
    int open = SKV_STATE_OPEN;
    if (atomic_load(&store->forked))
        return skv_fail(err, SKV_FORKED, "the store belongs to the parent process");
    if (!atomic_compare_exchange_strong(&store->state, &open, SKV_STATE_STOPPING))
        return SKV_OK;
    while (atomic_load(&store->calls)) {
        unsigned seen = skv_event_read(&store->left);
        wake_everybody(store);
        if (atomic_load(&store->calls))
            skv_event_wait(&store->left, seen, 10 * SKV_NS_PER_MS);
    }
    atomic_store(&store->stopping, true);
    wake_everybody(store);
    (void)skv_log_wait_all(store->parts.log, &store->stop_error);
    *err = store->stop_error;
    atomic_store(&store->last_durable, skv_log_durable(store->parts.log));
    atomic_store(&store->stopped, true);
    skv_event_notify(&store->left);
    skv_notify_durable(&store->parts.notifiers, atomic_load(&store->last_durable));
    (void)skv_fail(&closed, SKV_CLOSED, "the store %s is closed", store->path);
    skv_notify_over(&store->parts.notifiers, &closed);
    return err->code;
}

static void free_parts(skv_store *store)
{
    for (uint32_t i = 0; i < store->parts.lane_count; i++)
        skv_lane_free(&store->parts.lanes[i]);
    skv_release(store->parts.lanes);
    store->parts.lanes = NULL;
    store->parts.lane_count = 0;
    skv_log_free(store->parts.log);
    store->parts.log = NULL;
    skv_ring_free(store->parts.ring);
    skv_pressure_free(&store->parts.pressure);
    skv_admission_free(&store->parts.admission);
    skv_acks_free(&store->parts.acks);
    skv_mutex_free(&store->settings_lock);
    store->parts.ring = NULL;
    skv_home_unlock(store->lock_fd);
    skv_os_close(store->dir);
    store->dir = store->lock_fd = -1;
}

skv_code skv_close(skv_store *store, skv_error *err)
{
    skv_code code;
    int stopping = SKV_STATE_STOPPING;
    if (atomic_load(&store->forked) || !atomic_compare_exchange_strong(&store->state, &stopping, SKV_STATE_CLOSED))
        return SKV_OK;
    while (store->parts.snapshots)
        skv_snapshot_end(store->parts.snapshots);
    if (!in_family(store))
        skv_keep_retire(&store->parts);
    code = skv_log_finish(store->parts.log, err);
    free_parts(store);
    return code;
}

void skv_free(skv_store *store)
{
    skv_error ignored;
    if (!store)
        return;
    if (!atomic_load(&store->forked)) { /* a child must not touch locks or LMDB: what the parent mapped stays mapped */
        if (atomic_load(&store->state) == SKV_STATE_OPEN && skv_stop(store, &ignored) == SKV_OK)
            (void)skv_close(store, &ignored);
        if (atomic_load(&store->state) != SKV_STATE_CLOSED)
            free_parts(store);
        skv_notifiers_free(&store->parts.notifiers);
    }
    skv_release(store->path);
    skv_release(store);
}

void skv_forked(skv_store *store)
{
    atomic_store(&store->forked, true);
    if (atomic_load(&store->state) == SKV_STATE_CLOSED)
        return;
    if (store->parts.log)
        skv_log_forget(store->parts.log);
    skv_os_close(store->lock_fd);
    skv_os_close(store->dir);
}

