/* L1. Resolve LMDB. Refuses what is not LMDB 0.9 or older than the fixes we count on. */
#include "lmdb_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "memory.h"

/* 0.9.34 is the first release with the fixes for freed spilled pages and for huge values (its change log). */
#define OLDEST_VERSION 934

static const char *const prefixes[] = {"mdb09_", "mdb_"};

static void *resolve(void *module, const char *prefix, const char *name)
{
    char symbol[64];
    (void)snprintf(symbol, sizeof symbol, "%s%s", prefix, name);
    return dlsym(module, symbol);
}

static const char *find_prefix(void *module)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (resolve(module, prefixes[i], "version"))
            return prefixes[i];
    return NULL;
}

static skv_code fill(skv_lmdb *lmdb, const char *path, skv_error *err)
{
    void *address;
    const char *prefix = find_prefix(lmdb->module);
    if (!prefix)
        return skv_fail_at(err, SKV_FORMAT, path, 0, 0,
                           "looked for mdb09_version and mdb_version in the lmdb package's module and found neither; "
                           "install lmdb>=3.0 with its compiled extension");
#define SKV_LMDB_FILL(name, type)                                                                                      \
    address = resolve(lmdb->module, prefix, #name);                                                                    \
    if (!address)                                                                                                      \
        return skv_fail_at(err, SKV_FORMAT, path, 0, 0, "looked for %s%s in the lmdb package's module: missing",       \
                           prefix, #name);                                                                             \
    memcpy(&lmdb->name, &address, sizeof address);
    SKV_LMDB_FUNCTIONS(SKV_LMDB_FILL)
#undef SKV_LMDB_FILL
    return SKV_OK;
}

static skv_code check_version(skv_lmdb *lmdb, const char *path, skv_error *err)
{
    int major = 0, minor = 0, patch = 0;
    const char *text = lmdb->version(&major, &minor, &patch);
    lmdb->found_version = 10000 * major + 100 * minor + patch;
    if (major != 0 || minor != 9 || lmdb->found_version < OLDEST_VERSION)
        return skv_fail_at(err, SKV_FORMAT, path, 0, 0, "needs LMDB 0.9.%d or a later 0.9, found %s",
                           OLDEST_VERSION % 100, text);
    return SKV_OK;
}

skv_code skv_lmdb_load(const char *module_path, skv_lmdb **out, skv_error *err)
{
    skv_code code = SKV_OK;
    skv_lmdb *lmdb = skv_alloc(sizeof *lmdb);
    *out = NULL;
    if (!lmdb)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    lmdb->module = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
    if (!lmdb->module)
        code = skv_fail_at(err, SKV_FORMAT, module_path, 0, 0, "cannot load the lmdb package's module: %s", dlerror());
    if (code == SKV_OK)
        code = fill(lmdb, module_path, err);
    if (code == SKV_OK)
        code = check_version(lmdb, module_path, err);
    if (code != SKV_OK) {
        skv_lmdb_free(lmdb);
        return code;
    }
    *out = lmdb;
    return SKV_OK;
}

void skv_lmdb_free(skv_lmdb *lmdb)
{
    if (!lmdb)
        return;
    if (lmdb->module)
        (void)dlclose(lmdb->module);
    skv_release(lmdb);
}

int skv_lmdb_version(const skv_lmdb *lmdb)
{
    return lmdb->found_version;
}
