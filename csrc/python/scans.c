/* Part of the second door: the beginning of a scan, which of a short one is all of it, and the rows of the rest. */
#include "calls.h"

#define HEAD_BYTES 5 /* of the array */

/* The next bin of what skv_scan_first packed. */
static PyObject *take_bin(const uint8_t **in)
{
    const uint8_t *payload = *in + 1 + (1u << (**in - 0xc4));
    size_t bytes = 0;
    for (const uint8_t *at = *in + 1; at < payload; at++)
        bytes = bytes << 8 | *at;
    *in = payload + bytes;
    return PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)bytes);
}

static PyObject *list_of(const skv_io *io, Py_ssize_t count)
{
    const uint8_t *in = io->data + HEAD_BYTES;
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *made = take_bin(&in);
        if (made) {
            PyList_SetItem(list, i, made);
        } else {
            Py_DECREF(list);
            list = NULL;
        }
    }
    return list;
}

static int plain_bound(PyObject *object, const char **data, size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    if (object == Py_None)
        return 1;
    if (!PyBytes_CheckExact(object))
        return 0;
    *data = PyBytes_AsString(object);
    *bytes = (size_t)PyBytes_Size(object);
    return 1;
}

/* args: snapshot, start, stop, flags, rows_max, bytes_max. (flat list, rest, seqno); NotImplemented for the other way. */
PyObject *skv_calls_scan(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    skv_calls *self = (skv_calls *)object;
    skv_scan_terms terms;
    skv_scan *rest = NULL;
    PyObject *result, *list;
    skv_io *io;
    int64_t rows;
    if (count != 6 || !plain_bound(args[1], &terms.start, &terms.start_bytes) ||
        !plain_bound(args[2], &terms.stop, &terms.stop_bytes) || !(io = skv_calls_take(self)))
        Py_RETURN_NOTIMPLEMENTED;
    terms.snapshot = PyLong_AsVoidPtr(args[0]);
    terms.flags = (int)PyLong_AsLong(args[3]);
    terms.rows_max = (uint32_t)PyLong_AsUnsignedLong(args[4]);
    terms.bytes_max = (uint32_t)PyLong_AsUnsignedLong(args[5]);
    if (PyErr_Occurred()) {
        skv_calls_give(self, io);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rows = skv_scan_first(self->store, &terms, &rest, io);
    Py_END_ALLOW_THREADS
    if (rows < 0) {
        skv_calls_give(self, io);
        Py_RETURN_NOTIMPLEMENTED;
    }
    list = list_of(io, (Py_ssize_t)(terms.flags & SKV_SCAN_KEYS_ONLY ? rows : 2 * rows));
    result = list ? Py_BuildValue("NNK", list, PyLong_FromVoidPtr(rest), (unsigned long long)io->seqno) : NULL;
    if (!result)
        skv_scan_free(rest);
    skv_calls_give(self, io);
    return result;
}

/* args: the address of a workspace, and how many bins the packed rows in it have. */
PyObject *skv_calls_rows(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    const skv_io *io = count == 2 ? PyLong_AsVoidPtr(args[0]) : NULL;
    Py_ssize_t bins = io ? PyLong_AsSsize_t(args[1]) : -1;
    (void)object;
    if (PyErr_Occurred())
        return NULL;
    return bins < 0 ? Py_NewRef(Py_NotImplemented) : list_of(io, bins);
}
