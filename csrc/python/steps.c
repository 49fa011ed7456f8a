/* Part of the second door: one key, read and written in one step. As in calls.c only the plain case is handled; whatever
 * else happens, nothing was appended, or the caller learns the seqno to wait for. */
#include "calls.h"

#define VERSION_BITS 56 /* larger ones no key can have: the other way explains that */

static int plain_int(PyObject *object, int64_t *value)
{
    int overflow = 0;
    if (!PyLong_CheckExact(object))
        return 0;
    *value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return !overflow;
}

static PyObject *entry_of(const skv_io *io, int64_t bytes)
{
    return Py_BuildValue("NKK", PyBytes_FromStringAndSize((const char *)io->data, (Py_ssize_t)bytes),
                         (unsigned long long)io->version, (unsigned long long)io->expires_ms);
}

/* (value, version, expires_ms); None when the key is absent; NotImplemented for the other way. */
PyObject *skv_calls_get_entry(PyObject *object, PyObject *key)
{
    return skv_calls_read((skv_calls *)object, key, entry_of);
}

/* args: key, value, version, ack. As put; None when the key's version is another one. */
PyObject *skv_calls_put_if(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    skv_calls *self = (skv_calls *)object;
    PyObject *result;
    skv_io *io;
    int64_t version, ack, code;
    if (count != 4 || !PyBytes_CheckExact(args[0]) || !PyBytes_CheckExact(args[1]) || !plain_int(args[2], &version) ||
        version >> VERSION_BITS || !plain_int(args[3], &ack) || skv_calls_in_line(self) || !(io = skv_calls_take(self)))
        return PyLong_FromLong(0);
    {
        const skv_terms terms = {.ack = (int32_t)ack};
        const char *key = PyBytes_AsString(args[0]), *value = PyBytes_AsString(args[1]);
        size_t key_bytes = (size_t)PyBytes_Size(args[0]), value_bytes = (size_t)PyBytes_Size(args[1]);
        Py_BEGIN_ALLOW_THREADS
        code = skv_put_if(self->store, key, key_bytes, value, value_bytes, (uint64_t)version, &terms, io);
        Py_END_ALLOW_THREADS
    }
    if (code == SKV_CONFLICT && !io->wait_seqno)
        result = Py_NewRef(Py_None);
    else
        result = skv_calls_outcome(code, io);
    skv_calls_give(self, io);
    return result;
}

/* args: key, delta, initial, ack, number. The sum; (sum, seqno) when it has to be waited for; NotImplemented when nothing
 * was appended. */
PyObject *skv_calls_incr(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    skv_calls *self = (skv_calls *)object;
    PyObject *result;
    skv_io *io;
    int64_t delta, initial, ack, number, code;
    if (count != 5 || !PyBytes_CheckExact(args[0]) || !plain_int(args[1], &delta) || !plain_int(args[2], &initial) ||
        !plain_int(args[3], &ack) || !plain_int(args[4], &number) || skv_calls_in_line(self) || !(io = skv_calls_take(self)))
        Py_RETURN_NOTIMPLEMENTED;
    {
        const skv_terms terms = {.ack = (int32_t)ack, .number = (int32_t)number};
        const char *key = PyBytes_AsString(args[0]);
        size_t key_bytes = (size_t)PyBytes_Size(args[0]);
        Py_BEGIN_ALLOW_THREADS
        code = skv_incr(self->store, key, key_bytes, delta, initial, &terms, io);
        Py_END_ALLOW_THREADS
    }
    if (code >= 0 && !io->wait_seqno && !io->wait_ack)
        result = PyLong_FromLongLong(io->number);
    else if (code >= 0 || code == SKV_AGAIN || code == SKV_ACK)
        result = Py_BuildValue("LK", (long long)io->number, (unsigned long long)io->seqno);
    else
        result = Py_NewRef(Py_NotImplemented);
    skv_calls_give(self, io);
    return result;
}
