/* L1. The LMDB inside the process: the functions we call, resolved by name from the extension module of the `lmdb`
 * package, so that there is exactly one LMDB. Names, numbers and structs are those of lmdb.h 0.9. */
#ifndef SKV_LMDB_API_H
#define SKV_LMDB_API_H

#include <sys/types.h>

#include "error.h"

typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef struct MDB_cursor MDB_cursor;
typedef unsigned MDB_dbi;
typedef struct {
    size_t mv_size;
    void *mv_data;
} MDB_val;
typedef struct {
    unsigned ms_psize, ms_depth;
    size_t ms_branch_pages, ms_leaf_pages, ms_overflow_pages, ms_entries;
} MDB_stat;
typedef struct {
    void *me_mapaddr;
    size_t me_mapsize, me_last_pgno, me_last_txnid;
    unsigned me_maxreaders, me_numreaders;
} MDB_envinfo;

enum { MDB_FIRST = 0, MDB_GET_CURRENT = 4, MDB_LAST = 6, MDB_NEXT = 8, MDB_PREV = 12, MDB_SET = 15, MDB_SET_RANGE = 17 };
enum { MDB_NOOVERWRITE = 0x10, MDB_CURRENT = 0x40, MDB_RESERVE = 0x10000, MDB_APPEND = 0x20000 };
enum { MDB_RDONLY = 0x20000, MDB_NOTLS = 0x200000, MDB_NOLOCK = 0x400000, MDB_NORDAHEAD = 0x800000 };
enum { MDB_KEYEXIST = -30799, MDB_NOTFOUND = -30798, MDB_PANIC = -30795, MDB_MAP_FULL = -30792, MDB_READERS_FULL = -30790,
       MDB_MAP_RESIZED = -30785 };

/* One line per function: name in lmdb.h without mdb_, type. */
#define SKV_LMDB_FUNCTIONS(X)                                                                                          \
    X(version, char *(*)(int *, int *, int *))                                                                         \
    X(strerror, char *(*)(int))                                                                                        \
    X(env_create, int (*)(MDB_env **))                                                                                 \
    X(env_open, int (*)(MDB_env *, const char *, unsigned, mode_t))                                                    \
    X(env_close, void (*)(MDB_env *))                                                                                  \
    X(env_set_mapsize, int (*)(MDB_env *, size_t))                                                                     \
    X(env_set_maxreaders, int (*)(MDB_env *, unsigned))                                                                \
    X(env_info, int (*)(MDB_env *, MDB_envinfo *))                                                                     \
    X(env_get_fd, int (*)(MDB_env *, int *))                                                                           \
    X(reader_check, int (*)(MDB_env *, int *))                                                                         \
    X(txn_begin, int (*)(MDB_env *, MDB_txn *, unsigned, MDB_txn **))                                                  \
    X(txn_commit, int (*)(MDB_txn *))                                                                                  \
    X(txn_abort, void (*)(MDB_txn *))                                                                                  \
    X(txn_id, size_t (*)(MDB_txn *))                                                                                   \
    X(txn_reset, void (*)(MDB_txn *))                                                                                  \
    X(txn_renew, int (*)(MDB_txn *))                                                                                   \
    X(dbi_open, int (*)(MDB_txn *, const char *, unsigned, MDB_dbi *))                                                 \
    X(stat, int (*)(MDB_txn *, MDB_dbi, MDB_stat *))                                                                   \
    X(get, int (*)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *))                                                          \
    X(put, int (*)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned))                                                \
    X(cursor_open, int (*)(MDB_txn *, MDB_dbi, MDB_cursor **))                                                         \
    X(cursor_renew, int (*)(MDB_txn *, MDB_cursor *))                                                                  \
    X(cursor_close, void (*)(MDB_cursor *))                                                                            \
    X(cursor_get, int (*)(MDB_cursor *, MDB_val *, MDB_val *, int))                                                    \
    X(cursor_put, int (*)(MDB_cursor *, MDB_val *, MDB_val *, unsigned))                                               \
    X(cursor_del, int (*)(MDB_cursor *, unsigned))                                                                     \
    X(drop, int (*)(MDB_txn *, MDB_dbi, int))

struct skv_lmdb {
    void *module; /* owned: a reference of the loader */
    int found_version;
#define SKV_LMDB_FIELD(name, type) __typeof__((type)0) name;
    SKV_LMDB_FUNCTIONS(SKV_LMDB_FIELD)
#undef SKV_LMDB_FIELD
};

#endif
