/* Store directories to be made, damaged and put back. Names are inside the working directory. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define SCRATCH_FILES_MAX 64

/* Every file of a store's log directory, in memory. */
typedef struct {
    int count;
    struct {
        char name[64];
        uint8_t *data;
        size_t bytes;
    } files[SCRATCH_FILES_MAX];
} scratch_copy;

/* An empty directory with an empty "log" inside; what was there goes. Returns a descriptor. */
int scratch_make(const char *name);
/* Close the descriptor, remove the directory. */
void scratch_remove(int dir, const char *name);

/* A whole file. The caller frees. */
uint8_t *scratch_read(int dir, const char *file, size_t *bytes);
/* Overwrite a part of a file, making the file when there is none. */
void scratch_write(int dir, const char *file, const void *data, size_t bytes, size_t offset);
void scratch_zero(int dir, const char *file, size_t bytes, size_t offset);
void scratch_flip(int dir, const char *file, size_t bit);
void scratch_cut(int dir, const char *file, size_t bytes);
/* -1 when there is no such file. */
long scratch_size(int dir, const char *file);

void scratch_save(int dir, scratch_copy *out);
/* Make the log directory what it was. */
void scratch_restore(int dir, const scratch_copy *copy);
void scratch_drop(scratch_copy *copy);

#endif
