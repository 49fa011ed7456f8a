/* Part of the second door: what asyncio tasks wait with. */
#ifndef SKV_PYTHON_WAITS_H
#define SKV_PYTHON_WAITS_H

#ifndef Py_GIL_DISABLED
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

/* Add a type to the module, and the types Wait and Waits; -1 with an exception. */
int skv_add_type(PyObject *module, const char *name, PyType_Spec *spec);
int skv_add_waits(PyObject *module);

#endif
