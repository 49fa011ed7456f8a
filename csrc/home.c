/* L4 house. A store's directory. */
#include "home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

static skv_code fail_locked(int fd, const char *path, skv_error *err)
{
    char text[24] = {0};
    uint64_t bytes = 0;
    if (skv_os_size(fd, SKV_LOCK_NAME, &bytes, NULL) == SKV_OK && bytes >= 20)
        (void)skv_os_read(fd, SKV_LOCK_NAME, text, 20, 0, NULL);
    return skv_fail_at(err, SKV_LOCKED, SKV_LOCK_NAME, strtoull(text, NULL, 10), 0,
                       "the store %s is open in process %llu", path, strtoull(text, NULL, 10));
}

skv_code skv_home_lock(int dir, const char *path, int *out, skv_error *err)
{
    char text[24];
    int fd, length = snprintf(text, sizeof text, "%-20ld\n", skv_os_process_id());
    skv_code code = skv_os_open(dir, SKV_LOCK_NAME, SKV_OPEN_CREATE, &fd, err);
    *out = -1;
    if (code != SKV_OK)
        return code;
    code = skv_os_lock(fd, SKV_LOCK_NAME, err);
    if (code == SKV_NOT_FOUND)
        code = fail_locked(fd, path, err);
    else if (code == SKV_OK)
        code = skv_os_write(fd, SKV_LOCK_NAME, text, (size_t)length, 0, err);
    if (code == SKV_OK)
        *out = fd;
    else
        skv_os_close(fd);
    return code;
}

void skv_home_unlock(int fd)
{
    skv_os_unlock(fd);
    skv_os_close(fd);
}

skv_code skv_home_lock_still(int dir, const char *path, int *out, skv_error *err)
{
    skv_code code = skv_os_open(dir, SKV_LOCK_NAME, SKV_OPEN_READ, out, err);
    if (code != SKV_OK) {
        *out = -1;
        return code == SKV_NOT_FOUND ? SKV_OK : code;
    }
    code = skv_os_lock(*out, SKV_LOCK_NAME, err);
    if (code == SKV_NOT_FOUND)
        code = fail_locked(*out, path, err);
    if (code != SKV_OK) {
        skv_os_close(*out);
        *out = -1;
    }
    return code;
}

void skv_home_name_shard(uint32_t number, char out[SKV_NAME_MAX])
{
    (void)snprintf(out, SKV_NAME_MAX, "shards/%04u", number);
}

skv_dweller skv_home_dweller(const char *path)
{
    int dir;
    skv_dweller found = SKV_NO_STORE;
    if (skv_os_open_dir(path, &dir, NULL) != SKV_OK)
        return SKV_NO_STORE;
    if (skv_manifest_exists(dir))
        found = skv_os_exists(dir, SKV_ORIGIN_NAME) ? SKV_A_COPY : SKV_A_STORE;
    skv_os_close(dir);
    return found;
}

/* -- what is not ours ----------------------------------------------------------------------------------------------- */

static skv_code refuse_foreign(void *context, const char *entry, skv_error *err)
{
    if (strcmp(entry, SKV_LOCK_NAME) == 0)
        return SKV_OK;
    return skv_fail_at(err, SKV_FORMAT, entry, 0, 0,
                       "%s is neither a store nor empty: it has no MANIFEST, but it has this", (const char *)context);
}

skv_code skv_home_refuse(int dir, const char *path, skv_error *err)
{
    if (skv_os_exists(dir, SKV_COPY_NAME))
        return skv_fail_at(err, SKV_FORMAT, SKV_COPY_NAME, 0, 0,
                           "%s is a copy of a store that was not finished, and no store: make it again", path);
    return skv_os_list(dir, ".", refuse_foreign, (void *)(uintptr_t)path, err);
}

/* -- coming into being ---------------------------------------------------------------------------------------------- */

typedef struct {
    int dir;
    const char *parent;
} place;

static skv_code remove_entry_of(void *context, const char *entry, skv_error *err)
{
    const place *at = context;
    char name[2 * SKV_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", at->parent, entry);
    return skv_os_remove(at->dir, name, err);
}

static skv_code remove_tree(int dir, const char *parent, skv_error *err)
{
    place at = {dir, parent};
    skv_code code = skv_os_list(dir, parent, remove_entry_of, &at, err);
    if (code == SKV_OK)
        code = skv_os_remove_dir(dir, parent, err);
    return code == SKV_NOT_FOUND ? SKV_OK : code;
}

/* What an interrupted attempt left: nobody ever used it. */
skv_code skv_home_clear(int dir, skv_error *err)
{
    skv_code code = remove_tree(dir, "log", err);
    for (uint32_t i = 0; i < SKV_SHARDS_MAX && code == SKV_OK; i++) {
        char name[SKV_NAME_MAX];
        skv_home_name_shard(i, name);
        code = skv_os_exists(dir, name) ? remove_tree(dir, name, err) : SKV_OK;
    }
    return code == SKV_OK ? skv_os_remove_dir(dir, "shards", err) : code;
}

static skv_code make_marker(int dir, const char *marker, skv_error *err)
{
    int fd;
    skv_code code = skv_os_open(dir, marker, SKV_OPEN_CREATE, &fd, err);
    if (code != SKV_OK)
        return code;
    skv_os_close(fd);
    return skv_os_sync_dir(dir, ".", err);
}

static skv_code make_dirs(int dir, uint32_t shards, skv_error *err)
{
    skv_code code = skv_os_make_dir(dir, "log", err);
    if (code == SKV_OK)
        code = skv_os_make_dir(dir, "shards", err);
    for (uint32_t i = 0; i < shards && code == SKV_OK; i++) {
        char name[SKV_NAME_MAX];
        skv_home_name_shard(i, name);
        code = skv_os_make_dir(dir, name, err);
    }
    return code;
}

skv_code skv_home_resume(int dir, uint32_t shards, skv_error *err)
{
    skv_code code = remove_tree(dir, "log", err);
    return code == SKV_OK ? make_dirs(dir, shards, err) : code;
}

skv_code skv_home_empty_shard(int dir, uint32_t number, skv_error *err)
{
    char name[SKV_NAME_MAX];
    skv_code code;
    skv_home_name_shard(number, name);
    code = remove_tree(dir, name, err);
    return code == SKV_OK ? skv_os_make_dir(dir, name, err) : code;
}

skv_code skv_home_found(int dir, const char *path, const char *marker, uint32_t shards, skv_error *err)
{
    skv_code code = SKV_OK;
    if (!skv_os_exists(dir, marker))
        code = skv_home_refuse(dir, path, err);
    if (code == SKV_OK)
        code = make_marker(dir, marker, err);
    if (code == SKV_OK)
        code = skv_home_clear(dir, err);
    return code == SKV_OK ? make_dirs(dir, shards, err) : code;
}
