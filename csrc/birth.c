/* L4 house. How a store comes into being, and how what an interrupted creation left is cleared away. FORMAT.md 2. */
#include "store.h"

#include <stdio.h>

#include "bytes.h"
#include "os.h"

#define SHARDS_DEFAULT 8

static skv_code refuse_foreign(void *context, const char *entry, skv_error *err)
{
    const skv_store *store = context;
    if (strcmp(entry, SKV_LOCK_NAME) == 0)
        return SKV_OK;
    return skv_fail_at(err, SKV_FORMAT, entry, 0, 0,
                       "%s is neither a store nor empty: it has no MANIFEST, but it has this", store->path);
}

skv_code skv_birth_refuse(const skv_store *store, skv_error *err)
{
    return skv_os_list(store->dir, ".", refuse_foreign, (void *)store, err);
}

void skv_store_name_shard(uint32_t number, char out[SKV_NAME_MAX])
{
    (void)snprintf(out, SKV_NAME_MAX, "shards/%04u", number);
}

static skv_code remove_entry_of(void *context, const char *entry, skv_error *err)
{
    const struct {
        const skv_store *store;
        const char *parent;
    } *at = context;
    char name[2 * SKV_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", at->parent, entry);
    return skv_os_remove(at->store->dir, name, err);
}

static skv_code remove_tree(skv_store *store, const char *parent, skv_error *err)
{
    struct {
        const skv_store *store;
        const char *parent;
    } at = {store, parent};
    skv_code code = skv_os_list(store->dir, parent, remove_entry_of, &at, err);
    if (code == SKV_OK)
        code = skv_os_remove_dir(store->dir, parent, err);
    return code == SKV_NOT_FOUND ? SKV_OK : code;
}

/* What an interrupted creation left: it held nothing yet. */
static skv_code remove_unborn(skv_store *store, skv_error *err)
{
    skv_code code = remove_tree(store, "log", err);
    for (uint32_t i = 0; i < SKV_SHARDS_MAX && code == SKV_OK; i++) {
        char name[SKV_NAME_MAX];
        skv_store_name_shard(i, name);
        code = skv_os_exists(store->dir, name) ? remove_tree(store, name, err) : SKV_OK;
    }
    return code == SKV_OK ? skv_os_remove_dir(store->dir, "shards", err) : code;
}

static skv_code make_marker(skv_store *store, skv_error *err)
{
    int fd;
    skv_code code = skv_os_open(store->dir, SKV_BIRTH_NAME, SKV_OPEN_CREATE, &fd, err);
    if (code != SKV_OK)
        return code;
    skv_os_close(fd);
    return skv_os_sync_dir(store->dir, ".", err);
}

skv_code skv_birth_manifest(skv_store *store, const skv_options *options, skv_error *err)
{
    skv_manifest *manifest = &store->manifest;
    manifest->generation = 1;
    manifest->shards = options->shards ? options->shards : SHARDS_DEFAULT;
    if (manifest->shards > SKV_SHARDS_MAX)
        return skv_fail(err, SKV_INVALID, "shards is %u; it must be 1..%d", manifest->shards, SKV_SHARDS_MAX);
    for (uint32_t i = 0; i < manifest->shards; i++)
        manifest->weights[i] = options->weights ? options->weights[i] : 1;
    return skv_os_random(manifest->store_id, sizeof manifest->store_id, err);
}

skv_code skv_birth_directories(skv_store *store, skv_error *err)
{
    skv_code code = SKV_OK;
    if (!skv_os_exists(store->dir, SKV_BIRTH_NAME))
        code = skv_birth_refuse(store, err);
    if (code == SKV_OK)
        code = make_marker(store, err);
    if (code == SKV_OK)
        code = remove_unborn(store, err);
    if (code == SKV_OK)
        code = skv_os_make_dir(store->dir, "log", err);
    if (code == SKV_OK)
        code = skv_os_make_dir(store->dir, "shards", err);
    for (uint32_t i = 0; i < store->manifest.shards && code == SKV_OK; i++) {
        char name[SKV_NAME_MAX];
        skv_store_name_shard(i, name);
        code = skv_os_make_dir(store->dir, name, err);
    }
    return code;
}
