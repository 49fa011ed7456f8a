/* What asyncio tasks wait with, made for a thousand of them at once.
 *
 * A Wait is a future as far as a task can see (PEP 3156's protocol: _asyncio_future_blocking, add_done_callback, result,
 * cancel), without what a future's result costs beyond: no handle, no trip through the loop's queue for each task. One
 * pass over those that are due runs each task's next step at once, in the task's context, as the loop would have done. A
 * Wait belongs to the one task that awaits it; all of it runs on the loop's thread. */
#include "waits.h"

#include <stddef.h>
#include <structmember.h>

typedef enum { PENDING, DONE, CANCELLED } state;

typedef struct {
    PyObject_HEAD
    PyObject *loop;
    PyObject *callback, *context; /* how to wake the task; NULL: it does not sleep yet */
    PyObject *error;              /* after DONE: what to raise, NULL: nothing; after CANCELLED: the message */
    unsigned long long seqno;
    char blocking; /* T_BOOL: the protocol's flag */
    char begun;
    char state;
} wait;

/* A queue of Waits, in the order in which they came. */
typedef struct {
    PyObject_HEAD
    PyObject *loop, *wait_type, *run; /* run: the name */
    wait **ring;                      /* owned references from head on, count of them; capacity is a power of two */
    size_t head, count, capacity;
} waits;

/* -- a wait: the future's side -------------------------------------------------------------------------------------- */

static PyObject *wait_loop(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return Py_NewRef(((wait *)object)->loop);
}

static PyObject *wait_on_done(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    wait *self = (wait *)object;
    if (count != 1 || !names || PyTuple_Size(names) != 1 || self->callback) {
        PyErr_SetString(PyExc_TypeError, "one task awaits a Wait");
        return NULL;
    }
    self->callback = Py_NewRef(args[0]);
    self->context = Py_NewRef(args[1]);
    Py_RETURN_NONE;
}

/* The way of a common future, for what is rare. */
static int wake_soon(wait *self)
{
    PyObject *method, *args, *names, *handle = NULL;
    if (!self->callback)
        return 0;
    method = PyObject_GetAttrString(self->loop, "call_soon");
    args = Py_BuildValue("(OO)", self->callback, (PyObject *)self);
    names = Py_BuildValue("{sO}", "context", self->context);
    if (method && args && names)
        handle = PyObject_Call(method, args, names);
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(names);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

static PyObject *wait_cancel(PyObject *object, PyObject *args, PyObject *names)
{
    static char *const words[] = {"msg", NULL};
    wait *self = (wait *)object;
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, names, "|O", (char **)words, &message))
        return NULL;
    if (self->state != PENDING)
        Py_RETURN_FALSE;
    self->state = CANCELLED;
    self->error = message == Py_None ? NULL : Py_NewRef(message);
    return wake_soon(self) < 0 ? NULL : Py_NewRef(Py_True);
}

static PyObject *wait_fail(PyObject *object, PyObject *error)
{
    wait *self = (wait *)object;
    if (self->state != PENDING)
        Py_RETURN_NONE;
    self->state = DONE;
    self->error = Py_NewRef(error);
    return wake_soon(self) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *raise_cancelled(const wait *self)
{
    PyObject *module = PyImport_ImportModule("asyncio.exceptions"), *kind = NULL, *error = NULL;
    if (module)
        kind = PyObject_GetAttrString(module, "CancelledError");
    if (kind)
        error = PyObject_CallFunctionObjArgs(kind, self->error, NULL);
    if (error)
        PyErr_SetObject(kind, error);
    Py_XDECREF(module);
    Py_XDECREF(kind);
    Py_XDECREF(error);
    return NULL;
}

static PyObject *wait_result(PyObject *object, PyObject *nothing)
{
    const wait *self = (const wait *)object;
    (void)nothing;
    if (self->state == CANCELLED)
        return raise_cancelled(self);
    if (self->error) {
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- a wait: the awaiting side -------------------------------------------------------------------------------------- */

/* First the Wait itself, for the task to sleep on; then its result. */
static PyObject *wait_next(PyObject *object)
{
    wait *self = (wait *)object;
    PyObject *result;
    if (self->state == PENDING) {
        if (self->begun) {
            PyErr_SetString(PyExc_RuntimeError, "a Wait is awaited by one task");
            return NULL;
        }
        self->begun = self->blocking = 1;
        return Py_NewRef(object);
    }
    result = wait_result(object, NULL);
    Py_XDECREF(result);
    return NULL; /* without an exception: the end */
}

static PyObject *wait_self(PyObject *object)
{
    return Py_NewRef(object);
}

static int wait_traverse(PyObject *object, visitproc visit, void *arg)
{
    wait *self = (wait *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->error);
    return 0;
}

static int wait_clear(PyObject *object)
{
    wait *self = (wait *)object;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    Py_CLEAR(self->error);
    return 0;
}

static void release(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static void wait_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    (void)wait_clear(object);
    release(object);
}

static PyMemberDef wait_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(wait, blocking), 0, NULL},
    {"seqno", T_ULONGLONG, offsetof(wait, seqno), READONLY, "What is waited for."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef wait_methods[] = {
    {"get_loop", wait_loop, METH_NOARGS, "Return the loop."},
    {"add_done_callback", (PyCFunction)(void (*)(void))wait_on_done, METH_FASTCALL | METH_KEYWORDS,
     "Call back when it is over."},
    {"cancel", (PyCFunction)(void (*)(void))wait_cancel, METH_VARARGS | METH_KEYWORDS, "Give up waiting."},
    {"fail", wait_fail, METH_O, "End the wait with an exception."},
    {"result", wait_result, METH_NOARGS, "Return None, or raise."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot wait_slots[] = {
    {Py_tp_doc, "One task's wait for a seqno, made by Waits."},
    {Py_tp_dealloc, wait_dealloc},
    {Py_tp_traverse, wait_traverse},
    {Py_tp_clear, wait_clear},
    {Py_tp_members, wait_members},
    {Py_tp_methods, wait_methods},
    {Py_tp_iter, wait_self},
    {Py_tp_iternext, wait_next},
    {Py_am_await, wait_self},
    {0, NULL},
};

static PyType_Spec wait_spec = {"shardkv._calls.Wait", sizeof(wait), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, wait_slots};

/* -- the queue ------------------------------------------------------------------------------------------------------ */

static int grow(waits *self)
{
    size_t capacity = self->capacity ? 2 * self->capacity : 64;
    wait **larger = PyMem_Malloc(capacity * sizeof larger[0]);
    if (!larger) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < self->count; i++)
        larger[i] = self->ring[(self->head + i) & (self->capacity - 1)];
    PyMem_Free(self->ring);
    self->ring = larger;
    self->head = 0;
    self->capacity = capacity;
    return 0;
}

static wait *pop(waits *self)
{
    wait *first = self->ring[self->head];
    self->head = (self->head + 1) & (self->capacity - 1);
    self->count--;
    return first;
}

static PyObject *waits_wait(PyObject *object, PyObject *number)
{
    waits *self = (waits *)object;
    unsigned long long seqno = PyLong_AsUnsignedLongLong(number);
    wait *made;
    if ((seqno == (unsigned long long)-1 && PyErr_Occurred()) || (self->count == self->capacity && grow(self) < 0))
        return NULL;
    made = (wait *)PyType_GenericAlloc((PyTypeObject *)self->wait_type, 0);
    if (!made)
        return NULL;
    made->loop = Py_NewRef(self->loop);
    made->seqno = seqno;
    self->ring[(self->head + self->count++) & (self->capacity - 1)] = (wait *)Py_NewRef((PyObject *)made);
    return (PyObject *)made;
}

/* Run the next step of the task that sleeps on it. */
static int wake(const waits *self, wait *due)
{
    PyObject *done = PyObject_CallMethodObjArgs(due->context, self->run, due->callback, (PyObject *)due, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Wake those in front that wait for no more than that, one after the other. From a callback of the loop, never from a task,
 * since no task steps inside another. Those that are woken may append. What ends the program ends the pass: call it again. */
static PyObject *waits_resolve(PyObject *object, PyObject *number)
{
    waits *self = (waits *)object;
    unsigned long long durable = PyLong_AsUnsignedLongLong(number);
    if (durable == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    while (self->count && self->ring[self->head]->seqno <= durable) {
        wait *due = pop(self);
        int failed = 0;
        if (due->state == PENDING) {
            due->state = DONE;
            failed = due->callback ? wake(self, due) : 0;
        }
        Py_DECREF((PyObject *)due);
        if (failed)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *waits_pop(PyObject *object, PyObject *nothing)
{
    waits *self = (waits *)object;
    (void)nothing;
    if (self->count)
        return (PyObject *)pop(self);
    PyErr_SetString(PyExc_IndexError, "nobody waits");
    return NULL;
}

static PyObject *waits_first(PyObject *object, void *nothing)
{
    const waits *self = (const waits *)object;
    (void)nothing;
    return PyLong_FromUnsignedLongLong(self->count ? self->ring[self->head]->seqno : 0);
}

static Py_ssize_t waits_length(PyObject *object)
{
    return (Py_ssize_t)((waits *)object)->count;
}

static PyObject *waits_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    PyObject *loop, *wait_type;
    waits *self;
    (void)names;
    if (!PyArg_ParseTuple(args, "OO!", &loop, &PyType_Type, &wait_type))
        return NULL;
    self = (waits *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    self->loop = Py_NewRef(loop);
    self->wait_type = Py_NewRef(wait_type);
    self->run = PyUnicode_InternFromString("run");
    if (self->run)
        return (PyObject *)self;
    Py_DECREF((PyObject *)self);
    return NULL;
}

static int waits_traverse(PyObject *object, visitproc visit, void *arg)
{
    waits *self = (waits *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->wait_type);
    for (size_t i = 0; i < self->count; i++)
        Py_VISIT((PyObject *)self->ring[(self->head + i) & (self->capacity - 1)]);
    return 0;
}

static int waits_clear(PyObject *object)
{
    waits *self = (waits *)object;
    while (self->count)
        Py_DECREF((PyObject *)pop(self));
    Py_CLEAR(self->loop);
    Py_CLEAR(self->wait_type);
    return 0;
}

static void waits_dealloc(PyObject *object)
{
    waits *self = (waits *)object;
    PyObject_GC_UnTrack(object);
    (void)waits_clear(object);
    Py_CLEAR(self->run);
    PyMem_Free(self->ring);
    release(object);
}

static PyMethodDef waits_methods[] = {
    {"wait", waits_wait, METH_O, "wait(seqno, /)\n--\n\nReturn a new last one, to be awaited."},
    {"resolve", waits_resolve, METH_O, "resolve(durable, /)\n--\n\nWake those in front that are due."},
    {"pop", waits_pop, METH_NOARGS, "pop()\n--\n\nTake the first one out."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef waits_getters[] = {
    {"first", waits_first, NULL, "What the first one waits for; 0: there is none.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot waits_slots[] = {
    {Py_tp_doc, "Waits(loop, Wait): the waits of one loop's tasks, in the order in which they came."},
    {Py_tp_new, waits_new},
    {Py_tp_dealloc, waits_dealloc},
    {Py_tp_traverse, waits_traverse},
    {Py_tp_clear, waits_clear},
    {Py_tp_methods, waits_methods},
    {Py_tp_getset, waits_getters},
    {Py_sq_length, waits_length},
    {0, NULL},
};

static PyType_Spec waits_spec = {"shardkv._calls.Waits", sizeof(waits), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                 waits_slots};

int skv_add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int failed = type ? PyModule_AddObjectRef(module, name, type) : -1;
    Py_XDECREF(type);
    return failed;
}

int skv_add_waits(PyObject *module)
{
    int failed = skv_add_type(module, "Wait", &wait_spec);
    return failed ? failed : skv_add_type(module, "Waits", &waits_spec);
}
