/* Part of the second door: what its files share. */
#ifndef SKV_PYTHON_CALLS_H
#define SKV_PYTHON_CALLS_H

#ifndef Py_GIL_DISABLED
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

#include "shardkv.h"

#define SKV_CALLS_IDLE_MAX 64

typedef struct {
    PyObject_HEAD
    skv_store *store; /* kept alive by owner; NULL: a closed door, where everything goes the other way */
    PyObject *owner;
    uint32_t flags; /* of its workspaces */
    unsigned idle_count;
    skv_io *idle[SKV_CALLS_IDLE_MAX]; /* owned; under the GIL */
} skv_calls;

/* Borrow a workspace; NULL: everything goes the other way. Give it back. */
skv_io *skv_calls_take(skv_calls *self);
void skv_calls_give(skv_calls *self, skv_io *io);

/* Whether a write may have to stand in line: a place there belongs to a workspace that is kept until the write is made, so
 * that it goes the other way. */
int skv_calls_in_line(const skv_calls *self);

/* The plain read of a key: what `found` makes of its record; None when it is absent; NotImplemented for the other way. */
PyObject *skv_calls_read(skv_calls *self, PyObject *key, PyObject *(*found)(const skv_io *io, int64_t bytes));
/* What put answers: the seqno when all is done; minus the seqno when it has to be waited for; 0: nothing was appended. */
PyObject *skv_calls_outcome(int64_t code, const skv_io *io);

/* steps.c: methods that read and write one key in one step. */
PyObject *skv_calls_get_entry(PyObject *object, PyObject *key);
PyObject *skv_calls_put_if(PyObject *object, PyObject *const *args, Py_ssize_t count);
PyObject *skv_calls_incr(PyObject *object, PyObject *const *args, Py_ssize_t count);

/* scans.c: the first rows of a scan; the rows that a call left in a workspace. */
PyObject *skv_calls_scan(PyObject *object, PyObject *const *args, Py_ssize_t count);
PyObject *skv_calls_rows(PyObject *object, PyObject *const *args, Py_ssize_t count);

#endif
