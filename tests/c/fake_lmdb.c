#include "fake_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define PLACES_MAX 8
#define FREE_LISTS 0

typedef struct {
    skv_slice key, value; /* owned */
} item;

typedef struct {
    item *items; /* in the order of their keys */
    size_t count;
} table;

/* An environment's content, whoever has it open. */
typedef struct {
    char path[256];
    table committed;
    size_t txn_id;
} place;

struct MDB_env {
    place *at;
    int fd;
    size_t map_bytes;
};
struct MDB_txn {
    MDB_env *env;
    bool writes;
    size_t id;
    table data; /* a copy of its own */
};
struct MDB_cursor {
    MDB_txn *txn;
    MDB_dbi dbi;
    size_t found; /* count: beyond the last */
    bool stands;
};

static place places[PLACES_MAX];
static bool outgrown;
static long fail_nth, calls, drops;
static size_t hidden, leaf_pages, overflow_pages;

static int meet_fault(void)
{
    return ++calls == fail_nth ? EIO : 0;
}

static skv_slice copy_slice(skv_slice from)
{
    uint8_t *bytes = calloc(1, from.bytes + 1);
    CHECK(bytes);
    if (from.bytes && from.data)
        memcpy(bytes, from.data, from.bytes);
    return (skv_slice){bytes, from.bytes};
}

static void drop_slice(skv_slice slice)
{
    free((void *)(uintptr_t)slice.data);
}

static void drop_table(table *data)
{
    for (size_t i = 0; i < data->count; i++) {
        drop_slice(data->items[i].key);
        drop_slice(data->items[i].value);
    }
    free(data->items);
    *data = (table){0};
}

static table copy_table(const table *from)
{
    table to = {.items = calloc(from->count + 1, sizeof(item)), .count = from->count};
    CHECK(to.items);
    for (size_t i = 0; i < from->count; i++)
        to.items[i] = (item){copy_slice(from->items[i].key), copy_slice(from->items[i].value)};
    return to;
}

/* The first that is not before the key. */
static size_t search(const table *data, skv_slice key, bool *there)
{
    size_t at = 0;
    while (at < data->count && skv_key_compare(data->items[at].key, key) < 0)
        at++;
    *there = at < data->count && skv_key_compare(data->items[at].key, key) == 0;
    return at;
}

static skv_slice slice_of(const MDB_val *val)
{
    return (skv_slice){val->mv_data, val->mv_size};
}

static MDB_val val_of(skv_slice slice)
{
    return (MDB_val){slice.bytes, (void *)(uintptr_t)slice.data};
}

/* -- environments --------------------------------------------------------------------------------------------------- */

static place *place_at(const char *path)
{
    for (int i = 0; i < PLACES_MAX; i++)
        if (strcmp(places[i].path, path) == 0)
            return &places[i];
    return NULL;
}

static int env_create(MDB_env **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return ENOMEM;
    (*out)->fd = -1;
    return 0;
}

static int env_open(MDB_env *env, const char *path, unsigned flags, mode_t mode)
{
    char name[512];
    bool fresh;
    (void)flags;
    CHECK(snprintf(name, sizeof name, "%s/data.mdb", path) < (int)sizeof name);
    env->at = place_at(path);
    if (!env->at) {
        env->at = place_at("");
        CHECK(env->at);
        CHECK(snprintf(env->at->path, sizeof env->at->path, "%s", path) < (int)sizeof env->at->path);
    }
    fresh = access(name, F_OK) != 0;
    env->fd = open(name, O_RDWR | O_CREAT, mode);
    if (env->fd < 0)
        return errno;
    if (fresh)
        drop_table(&env->at->committed);
    return 0;
}

static void env_close(MDB_env *env)
{
    if (env->fd >= 0)
        (void)close(env->fd);
    free(env);
}

static int set_size(MDB_env *env, size_t bytes)
{
    env->map_bytes = bytes;
    outgrown = outgrown && bytes != 0;
    return 0;
}

static int set_readers(MDB_env *env, unsigned count)
{
    (void)env, (void)count;
    return 0;
}

static int env_info(MDB_env *env, MDB_envinfo *out)
{
    (void)env;
    *out = (MDB_envinfo){.me_mapsize = 1 << 20};
    return 0;
}

static int env_get_fd(MDB_env *env, int *out)
{
    *out = env->fd;
    return 0;
}

static int reader_check(MDB_env *env, int *dead)
{
    (void)env;
    *dead = 0;
    return 0;
}

static char *explain(int code)
{
    return strerror(code > 0 ? code : EIO);
}

/* -- transactions --------------------------------------------------------------------------------------------------- */

static int txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    (void)parent;
    if (meet_fault())
        return EIO;
    if (outgrown)
        return MDB_MAP_RESIZED;
    *out = calloc(1, sizeof **out);
    CHECK(*out);
    **out = (MDB_txn){env, !(flags & MDB_RDONLY), env->at->txn_id, copy_table(&env->at->committed)};
    (*out)->id += (*out)->writes;
    return 0;
}

static void txn_abort(MDB_txn *txn)
{
    drop_table(&txn->data);
    free(txn);
}

static int txn_commit(MDB_txn *txn)
{
    int rc = meet_fault();
    if (rc == 0 && txn->writes) {
        table old = txn->env->at->committed;
        txn->env->at->committed = txn->data;
        txn->env->at->txn_id++;
        txn->data = old;
    }
    txn_abort(txn);
    return rc;
}

static size_t txn_id(MDB_txn *txn)
{
    return txn->id;
}

/* As read transactions do; only the newest state is ever shown to one that was renewed. */
static void txn_reset(MDB_txn *txn)
{
    drop_table(&txn->data);
}

static int txn_renew(MDB_txn *txn)
{
    if (meet_fault())
        return EIO;
    txn->data = copy_table(&txn->env->at->committed);
    txn->id = txn->env->at->txn_id;
    return 0;
}

static int drop(MDB_txn *txn, MDB_dbi dbi, int del)
{
    (void)dbi, (void)del;
    if (meet_fault())
        return EIO;
    drops++;
    drop_table(&txn->data);
    return 0;
}

static int dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *out)
{
    (void)txn, (void)name, (void)flags;
    *out = 1;
    return 0;
}

static int count_entries(MDB_txn *txn, MDB_dbi dbi, MDB_stat *out)
{
    (void)dbi;
    *out = (MDB_stat){.ms_entries = txn->data.count - hidden, .ms_leaf_pages = leaf_pages,
                      .ms_overflow_pages = overflow_pages};
    return 0;
}

static int get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *out)
{
    bool there;
    size_t at = search(&txn->data, slice_of(key), &there);
    (void)dbi;
    if (there)
        *out = val_of(txn->data.items[at].value);
    return there ? 0 : MDB_NOTFOUND;
}

/* -- cursors -------------------------------------------------------------------------------------------------------- */

static int cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **out)
{
    *out = calloc(1, sizeof **out);
    CHECK(*out);
    **out = (MDB_cursor){.txn = txn, .dbi = dbi};
    return 0;
}

static void cursor_close(MDB_cursor *cursor)
{
    free(cursor);
}

static int cursor_renew(MDB_txn *txn, MDB_cursor *cursor)
{
    *cursor = (MDB_cursor){.txn = txn, .dbi = cursor->dbi};
    return 0;
}

/* One list of more free pages than anybody needs. */
static int next_free_list(MDB_cursor *cursor, MDB_val *key, MDB_val *out)
{
    static const uint64_t id, pages = 1 << 30;
    if (cursor->stands)
        return MDB_NOTFOUND;
    cursor->stands = true;
    *key = (MDB_val){sizeof id, (void *)(uintptr_t)&id};
    *out = (MDB_val){sizeof pages, (void *)(uintptr_t)&pages};
    return 0;
}

static int cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *out, int move)
{
    table *data = &cursor->txn->data;
    bool there = true;
    if (cursor->dbi == FREE_LISTS)
        return next_free_list(cursor, key, out);
    if (move == MDB_SET || move == MDB_SET_RANGE)
        cursor->found = search(data, slice_of(key), &there);
    else if (move == MDB_FIRST || move == MDB_LAST)
        cursor->found = move == MDB_FIRST ? 0 : data->count - 1;
    else if (move == MDB_NEXT)
        cursor->found = cursor->stands ? cursor->found + 1 : 0;
    else if (move == MDB_PREV)
        cursor->found = cursor->stands ? cursor->found - 1 : data->count - 1;
    else
        CHECK_EQ(move, MDB_GET_CURRENT);
    cursor->stands = cursor->found < data->count && (there || move == MDB_SET_RANGE);
    if (!cursor->stands)
        return MDB_NOTFOUND;
    *key = val_of(data->items[cursor->found].key);
    *out = val_of(data->items[cursor->found].value);
    return 0;
}

static bool fits(const MDB_cursor *cursor, size_t bytes)
{
    const table *data = &cursor->txn->data;
    for (size_t i = 0; i < data->count; i++)
        bytes += data->items[i].key.bytes + data->items[i].value.bytes;
    return !cursor->txn->env->map_bytes || bytes <= cursor->txn->env->map_bytes;
}

static int cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *value, unsigned flags)
{
    table *data = &cursor->txn->data;
    bool there;
    size_t at = search(data, slice_of(key), &there);
    if (meet_fault())
        return EIO;
    if (!fits(cursor, key->mv_size + value->mv_size))
        return MDB_MAP_FULL;
    if ((flags & MDB_APPEND) && (there || at < data->count))
        return MDB_KEYEXIST;
    if (there && (flags & MDB_NOOVERWRITE)) {
        *value = val_of(data->items[at].value);
        return MDB_KEYEXIST;
    }
    if (there) {
        drop_slice(data->items[at].value);
    } else {
        data->items = realloc(data->items, (data->count + 2) * sizeof(item));
        CHECK(data->items);
        memmove(data->items + at + 1, data->items + at, (data->count++ - at) * sizeof(item));
        data->items[at].key = copy_slice(slice_of(key));
    }
    data->items[at].value = copy_slice((skv_slice){flags & MDB_RESERVE ? NULL : value->mv_data, value->mv_size});
    *value = val_of(data->items[at].value);
    return 0;
}

static int cursor_del(MDB_cursor *cursor, unsigned flags)
{
    table *data = &cursor->txn->data;
    (void)flags;
    drop_slice(data->items[cursor->found].key);
    drop_slice(data->items[cursor->found].value);
    memmove(data->items + cursor->found, data->items + cursor->found + 1, (--data->count - cursor->found) * sizeof(item));
    return 0;
}

const skv_lmdb fake_lmdb = {
    .strerror = explain,       .env_create = env_create,         .env_open = env_open,         .env_close = env_close,
    .env_set_mapsize = set_size, .env_set_maxreaders = set_readers, .env_info = env_info,       .env_get_fd = env_get_fd,
    .reader_check = reader_check, .txn_begin = txn_begin,         .txn_commit = txn_commit,     .txn_abort = txn_abort,
    .txn_id = txn_id,          .txn_reset = txn_reset,           .txn_renew = txn_renew,       .dbi_open = dbi_open,
    .stat = count_entries,     .get = get,                       .cursor_open = cursor_open,   .cursor_renew = cursor_renew,
    .cursor_close = cursor_close, .cursor_get = cursor_get,       .cursor_put = cursor_put,     .cursor_del = cursor_del,
    .drop = drop,
};

/* -- for tests ------------------------------------------------------------------------------------------------------ */

bool fake_lmdb_find(const char *path, skv_slice key, skv_record *out)
{
    place *at = place_at(path);
    bool there = false;
    size_t found = at ? search(&at->committed, key, &there) : 0;
    return there && skv_stored_decode(key, at->committed.items[found].value, out);
}

size_t fake_lmdb_count(const char *path)
{
    place *at = place_at(path);
    return at ? at->committed.count : 0;
}

void fake_lmdb_fail(long nth)
{
    fail_nth = nth;
    calls = 0;
}

void fake_lmdb_outgrow(void)
{
    outgrown = true;
}

long fake_lmdb_calls(void)
{
    return calls;
}

void fake_lmdb_hide(size_t entries)
{
    hidden = entries;
}

void fake_lmdb_pages(size_t leaves, size_t overflow)
{
    leaf_pages = leaves;
    overflow_pages = overflow;
}

long fake_lmdb_drops(void)
{
    return drops;
}

void fake_lmdb_clear(void)
{
    hidden = leaf_pages = overflow_pages = 0;
    drops = 0;
    for (int i = 0; i < PLACES_MAX; i++) {
        drop_table(&places[i].committed);
        places[i] = (place){.txn_id = 0};
    }
}
