/* L4 house. A directory that may be damaged. */
#include "remains.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static skv_code read_manifest(skv_remains *remains, skv_error *err)
{
    for (int copy = 0; copy < 2; copy++) {
        skv_manifest manifest;
        skv_code code = skv_manifest_look(remains->dir, copy, &manifest, err);
        if (code != SKV_OK && code != SKV_NOT_FOUND && code != SKV_CORRUPT)
            return code;
        if (code != SKV_OK || (remains->manifested && manifest.generation <= remains->manifest.generation))
            continue;
        remains->manifested = remains->named = true;
        remains->manifest = manifest;
        memcpy(remains->store_id, manifest.store_id, SKV_STORE_ID_BYTES);
    }
    return SKV_OK;
}

static skv_code find_name(void *context, skv_slice key, skv_slice stored, skv_error *err)
{
    skv_remains *remains = context;
    skv_shard_claim claim;
    (void)err;
    if (!skv_pages_claim(key, stored, &claim))
        return SKV_OK;
    memcpy(remains->store_id, claim.store_id, SKV_STORE_ID_BYTES);
    remains->named = true;
    return SKV_AGAIN;
}

/* Without a manifest, the first shard that says whose it is. */
static skv_code ask_shards(skv_remains *remains, skv_error *err)
{
    for (uint32_t i = 0; i < skv_remains_shards(remains) && !remains->named; i++) {
        skv_pages *pages;
        skv_code code = skv_remains_pages(remains, i, &pages, err);
        for (uint32_t n = 0; pages && n < skv_pages_states(pages) && code == SKV_OK; n++)
            code = skv_pages_walk(pages, n, SKV_PAGES_LISTED, (skv_pages_visitor){find_name, remains}, err);
        skv_pages_free(pages);
        if (code != SKV_OK && code != SKV_AGAIN)
            return code;
    }
    return SKV_OK;
}

skv_code skv_remains_open(const char *path, skv_remains *out, skv_error *err)
{
    skv_code code;
    *out = (skv_remains){.dir = -1, .lock_fd = -1};
    code = skv_os_open_dir(path, &out->dir, err);
    if ((code == SKV_IO && err->sys_errno == ENOENT) ||
        (code == SKV_OK && !skv_manifest_exists(out->dir) &&
         (skv_os_exists(out->dir, SKV_COPY_NAME) || !skv_os_exists(out->dir, "shards"))))
        return skv_fail(err, SKV_INVALID, "%s holds no store", path);
    if (code == SKV_OK)
        code = skv_home_lock_still(out->dir, path, &out->lock_fd, err);
    if (code == SKV_OK)
        code = read_manifest(out, err);
    if (code == SKV_OK && !out->named)
        code = ask_shards(out, err);
    return code == SKV_OK ? skv_log_remains_read(out->dir, out->store_id, &out->log, err) : code;
}

void skv_remains_close(skv_remains *remains)
{
    skv_log_remains_free(&remains->log);
    skv_os_close(remains->lock_fd);
    skv_os_close(remains->dir);
}

skv_code skv_remains_pages(const skv_remains *remains, uint32_t number, skv_pages **out, skv_error *err)
{
    char folder[SKV_NAME_MAX], name[SKV_NAME_MAX + 16];
    skv_code code;
    skv_home_name_shard(number, folder);
    (void)snprintf(name, sizeof name, "%s/data.mdb", folder);
    code = skv_pages_open(remains->dir, name, out, err);
    return code == SKV_NOT_FOUND || code == SKV_CORRUPT ? SKV_OK : code;
}

uint32_t skv_remains_shards(const skv_remains *remains)
{
    uint32_t count = 0;
    char name[SKV_NAME_MAX];
    for (skv_home_name_shard(0, name); count < SKV_SHARDS_MAX && skv_os_exists(remains->dir, name);
         skv_home_name_shard(count, name))
        count++;
    return count;
}
