/* The calls that programs make a million times, made without cffi: for one put the crossing falls from 139 ns to 40, for the
 * 100 bytes of a value from 162 to 30, for a pair of put_many from 53 to a few.
 *
 * Only the plain case is handled here: exact types, an answer at once. Whatever else happens, nothing was appended, or the
 * caller learns the seqno to wait for, and it goes the way through cffi, which waits, retries and explains.
 * PyInit__calls lies in the same shared object as cffi's module: one engine, two doors. */
#include "calls.h"

#include <stddef.h>
#include <structmember.h>

#include "waits.h"

#define WORKSPACE_BYTES 65536
#define WORKSPACE_BYTES_KEPT 1048576
#define PAIRS_MAX 8192
#define PAIRS_BYTES_MAX 4194304
#define PAIRS_AHEAD 4

typedef skv_calls calls;

skv_io *skv_calls_take(calls *self)
{
    skv_io *io;
    if (!self->store)
        return NULL;
    if (self->idle_count) {
        io = self->idle[--self->idle_count];
        io->wait_seqno = 0;
        io->wait_ack = 0;
        return io;
    }
    io = skv_io_new(WORKSPACE_BYTES);
    if (io)
        io->flags = self->flags;
    return io;
}

void skv_calls_give(calls *self, skv_io *io)
{
    if (self->idle_count < SKV_CALLS_IDLE_MAX && io->capacity <= WORKSPACE_BYTES_KEPT)
        self->idle[self->idle_count++] = io;
    else
        skv_io_free(io);
}

/* -- get ------------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(get_doc, "get(key, /)\n--\n\nReturn the value, None when the key is absent, NotImplemented for the other way.");

PyObject *skv_calls_read(calls *self, PyObject *key, PyObject *(*found)(const skv_io *io, int64_t bytes))
{
    PyObject *answer;
    skv_io *io;
    int64_t n;
    if (!PyBytes_CheckExact(key) || !(io = skv_calls_take(self)))
        Py_RETURN_NOTIMPLEMENTED;
    {
        const char *data = PyBytes_AsString(key);
        size_t bytes = (size_t)PyBytes_Size(key);
        Py_BEGIN_ALLOW_THREADS
        n = skv_get(self->store, NULL, data, bytes, io);
        Py_END_ALLOW_THREADS
    }
    if (io->wait_seqno)
        answer = Py_NewRef(Py_NotImplemented);
    else if (n >= 0)
        answer = found(io, n);
    else
        answer = Py_NewRef(n == SKV_NOT_FOUND ? Py_None : Py_NotImplemented);
    skv_calls_give(self, io);
    return answer;
}

static PyObject *value_of(const skv_io *io, int64_t bytes)
{
    return PyBytes_FromStringAndSize((const char *)io->data, (Py_ssize_t)bytes);
}

static PyObject *calls_get(PyObject *object, PyObject *key)
{
    return skv_calls_read((calls *)object, key, value_of);
}

/* -- ticket --------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *engine;
    unsigned long long seqno;
} ticket;

/* A subclass without a constructor of its own: what Python would spend on __init__ is a tenth of a submit. */
static PyObject *make_ticket(PyTypeObject *type, PyObject *engine, unsigned long long seqno)
{
    ticket *made = (ticket *)PyType_GenericAlloc(type, 0);
    if (!made)
        return NULL;
    made->engine = Py_NewRef(engine);
    made->seqno = seqno;
    return (PyObject *)made;
}

static PyObject *ticket_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *engine;
    unsigned long long seqno;
    (void)keywords;
    return PyArg_ParseTuple(args, "OK", &engine, &seqno) ? make_ticket(type, engine, seqno) : NULL;
}

static void ticket_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(((ticket *)object)->engine);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyMemberDef ticket_members[] = {
    {"_engine", T_OBJECT_EX, offsetof(ticket, engine), READONLY, NULL},
    {"seqno", T_ULONGLONG, offsetof(ticket, seqno), READONLY, "Sequence number of the write."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot ticket_slots[] = {
    {Py_tp_doc, "TicketBase(engine, seqno): a write that was appended."},
    {Py_tp_new, ticket_new},
    {Py_tp_dealloc, ticket_dealloc},
    {Py_tp_members, ticket_members},
    {0, NULL},
};

static PyType_Spec ticket_spec = {"shardkv._calls.TicketBase", sizeof(ticket), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, ticket_slots};

/* -- put ------------------------------------------------------------------------------------------------------------ */

int skv_calls_in_line(const calls *self)
{
    return self->store && skv_is_limited(self->store);
}

PyObject *skv_calls_outcome(int64_t code, const skv_io *io)
{
    if (code >= 0 && !io->wait_seqno && !io->wait_ack)
        return PyLong_FromUnsignedLongLong(io->seqno);
    return PyLong_FromLongLong(code >= 0 || code == SKV_AGAIN || code == SKV_ACK ? -(long long)io->seqno : 0);
}

/* args: key and value. False: they are not plain bytes, or memory is out; io is then NULL. */
static int put_plain(calls *self, PyObject *const *args, int ack, skv_io **io, int64_t *code)
{
    const char *key, *value;
    size_t key_bytes, value_bytes;
    *io = NULL;
    if (!PyBytes_CheckExact(args[0]) || !PyBytes_CheckExact(args[1]) || skv_calls_in_line(self) ||
        !(*io = skv_calls_take(self)))
        return 0;
    key = PyBytes_AsString(args[0]);
    value = PyBytes_AsString(args[1]);
    key_bytes = (size_t)PyBytes_Size(args[0]);
    value_bytes = (size_t)PyBytes_Size(args[1]);
    Py_BEGIN_ALLOW_THREADS
    *code = skv_put(self->store, key, key_bytes, value, value_bytes, ack, 0, *io);
    Py_END_ALLOW_THREADS
    return 1;
}

PyDoc_STRVAR(put_doc, "put(key, value, ack, /)\n--\n\nAppend a put. Return its seqno; 0: ask the other way; "
                      "negative: appended, wait for minus it.");

static PyObject *calls_put(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    PyObject *result;
    skv_io *io;
    int64_t code;
    if (count != 3 || !put_plain((calls *)object, args, (int)PyLong_AsLong(args[2]), &io, &code))
        return PyLong_FromLong(0);
    result = skv_calls_outcome(code, io);
    skv_calls_give((calls *)object, io);
    return result;
}

PyDoc_STRVAR(submit_doc, "submit(key, value, kind, engine, /)\n--\n\nAppend a put that nobody waits for yet. Return "
                         "kind(engine, seqno); None: ask the other way.");

static PyObject *calls_submit(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    PyObject *result;
    skv_io *io;
    int64_t code;
    if (count != 4 || !put_plain((calls *)object, args, SKV_ACK_LATER, &io, &code))
        Py_RETURN_NONE;
    result = code > 0 ? make_ticket((PyTypeObject *)args[2], args[3], io->seqno) : Py_NewRef(Py_None);
    skv_calls_give((calls *)object, io);
    return result;
}

/* -- put_many ------------------------------------------------------------------------------------------------------- */

/* Hold both objects, and point at their bytes. */
static int hold(skv_put_item *pair, PyObject **held, PyObject *key, PyObject *value)
{
    if (!PyBytes_CheckExact(key) || !PyBytes_CheckExact(value))
        return 0;
    *pair = (skv_put_item){PyBytes_AsString(key), PyBytes_AsString(value), (size_t)PyBytes_Size(key),
                       (size_t)PyBytes_Size(value)};
    held[0] = Py_NewRef(key);
    held[1] = Py_NewRef(value);
    return 1;
}

/* What will be held soon: the pair far ahead, the bytes of one that is nearer. Objects of a large list are seldom cached. */
static void prefetch_pair(PyObject *list, Py_ssize_t i, Py_ssize_t count)
{
    PyObject *near;
    if (i + 2 * PAIRS_AHEAD >= count)
        return;
    __builtin_prefetch(PyList_GetItem(list, i + 2 * PAIRS_AHEAD));
    near = PyList_GetItem(list, i + PAIRS_AHEAD);
    if (!PyTuple_CheckExact(near) || PyTuple_Size(near) != 2)
        return;
    __builtin_prefetch(PyTuple_GetItem(near, 0));
    __builtin_prefetch(PyTuple_GetItem(near, 1));
}

static Py_ssize_t hold_list(PyObject *list, Py_ssize_t count, skv_put_item *pairs, PyObject **held)
{
    Py_ssize_t i;
    for (i = 0; i < count; i++) {
        PyObject *item = PyList_GetItem(list, i);
        prefetch_pair(list, i, count);
        if (!PyTuple_CheckExact(item) || PyTuple_Size(item) != 2 ||
            !hold(&pairs[i], &held[2 * i], PyTuple_GetItem(item, 0), PyTuple_GetItem(item, 1)))
            break;
    }
    return i;
}

static Py_ssize_t hold_dict(PyObject *dict, Py_ssize_t count, skv_put_item *pairs, PyObject **held)
{
    Py_ssize_t i = 0, at = 0;
    PyObject *key, *value;
    while (i < count && PyDict_Next(dict, &at, &key, &value)) {
        if (!hold(&pairs[i], &held[2 * i], key, value))
            break;
        i++;
    }
    return i;
}

/* Another thread may change the list or the dict meanwhile: what it held then stays until the batch is written. */
static PyObject *put_held(calls *self, const skv_put_item *pairs, Py_ssize_t count, int ack)
{
    PyObject *result;
    size_t bytes = 0;
    int64_t code;
    skv_io *io;
    for (Py_ssize_t i = 0; i < count; i++)
        bytes += pairs[i].key_bytes + pairs[i].value_bytes;
    if ((bytes > PAIRS_BYTES_MAX && count > 1) || skv_calls_in_line(self) || !(io = skv_calls_take(self)))
        return PyLong_FromLong(0);
    Py_BEGIN_ALLOW_THREADS
    code = skv_put_pairs(self->store, pairs, (uint32_t)count, ack, io);
    Py_END_ALLOW_THREADS
    result = skv_calls_outcome(code, io);
    skv_calls_give(self, io);
    return result;
}

PyDoc_STRVAR(put_many_doc, "put_many(items, ack, /)\n--\n\nAppend a list of pairs or a dict as one batch. Returns as put.");

static PyObject *calls_put_many(PyObject *object, PyObject *const *args, Py_ssize_t arg_count)
{
    PyObject *result = NULL, **held;
    Py_ssize_t count = 0, found = 0;
    skv_put_item *pairs;
    if (arg_count == 2 && PyList_CheckExact(args[0]))
        count = PyList_Size(args[0]);
    else if (arg_count == 2 && PyDict_CheckExact(args[0]))
        count = PyDict_Size(args[0]);
    if (count <= 0 || count > PAIRS_MAX)
        return PyLong_FromLong(0);
    pairs = PyMem_Malloc((size_t)count * (sizeof *pairs + 2 * sizeof *held));
    if (!pairs)
        return PyErr_NoMemory();
    held = (PyObject **)(pairs + count);
    found = PyList_CheckExact(args[0]) ? hold_list(args[0], count, pairs, held) : hold_dict(args[0], count, pairs, held);
    result = found == count ? put_held((calls *)object, pairs, count, (int)PyLong_AsLong(args[1])) : PyLong_FromLong(0);
    for (Py_ssize_t i = 0; i < 2 * found; i++)
        Py_DECREF(held[i]);
    PyMem_Free(pairs);
    return result;
}

/* -- the type and the module ---------------------------------------------------------------------------------------- */

static PyObject *calls_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *address, *owner;
    unsigned flags = 0;
    calls *self;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "OO|I", &address, &owner, &flags) || !(self = (calls *)allocate(type, 0)))
        return NULL;
    self->store = PyLong_AsVoidPtr(address);
    self->owner = Py_NewRef(owner);
    self->flags = flags;
    return (PyObject *)self;
}

static void calls_dealloc(PyObject *object)
{
    calls *self = (calls *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    while (self->idle_count)
        skv_io_free(self->idle[--self->idle_count]);
    Py_XDECREF(self->owner);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef calls_methods[] = {
    {"get", calls_get, METH_O, get_doc},
    {"put", (PyCFunction)(void (*)(void))calls_put, METH_FASTCALL, put_doc},
    {"submit", (PyCFunction)(void (*)(void))calls_submit, METH_FASTCALL, submit_doc},
    {"get_entry", skv_calls_get_entry, METH_O,
     "get_entry(key, /)\n--\n\nReturn (value, version, expires_ms), None when absent, NotImplemented for the other way."},
    {"put_if", (PyCFunction)(void (*)(void))skv_calls_put_if, METH_FASTCALL,
     "put_if(key, value, version, ack, /)\n--\n\nReturn as put; None when the key has another version."},
    {"incr", (PyCFunction)(void (*)(void))skv_calls_incr, METH_FASTCALL,
     "incr(key, delta, initial, ack, number, /)\n--\n\nReturn the sum, (sum, seqno) to wait for, NotImplemented for the "
     "other way."},
    {"rows", (PyCFunction)(void (*)(void))skv_calls_rows, METH_FASTCALL,
     "rows(address, count, /)\n--\n\nReturn the flat list of count keys and values that a scan left in the workspace there."},
    {"scan", (PyCFunction)(void (*)(void))skv_calls_scan, METH_FASTCALL,
     "scan(snapshot, start, stop, flags, rows_max, bytes_max, /)\n--\n\nReturn a flat list of the first rows, the address of "
     "the scan that has the rest, the seqno to wait for; NotImplemented for the other way."},
    {"put_many", (PyCFunction)(void (*)(void))calls_put_many, METH_FASTCALL, put_many_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot calls_slots[] = {
    {Py_tp_doc, "Calls(address, owner, flags=0): the store at an address, 0 for none; owner keeps it "
                "alive. flags: SKV_IO_."},
    {Py_tp_new, calls_new},
    {Py_tp_dealloc, calls_dealloc},
    {Py_tp_methods, calls_methods},
    {0, NULL},
};

static PyType_Spec calls_spec = {"shardkv._calls.Calls", sizeof(calls), 0, Py_TPFLAGS_DEFAULT, calls_slots};

static int add_types(PyObject *module)
{
    int failed = skv_add_type(module, "Calls", &calls_spec);
    failed = failed ? failed : skv_add_type(module, "TicketBase", &ticket_spec);
    return failed ? failed : skv_add_waits(module);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, add_types}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "shardkv._calls", .m_slots = module_slots};

PyMODINIT_FUNC PyInit__calls(void);
PyMODINIT_FUNC PyInit__calls(void)
{
    return PyModuleDef_Init(&module);
}
