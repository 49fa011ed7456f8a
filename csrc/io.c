/* L0. Workspace. */
#include "io.h"

#include "memory.h"
#include "msgpack.h"

skv_io *skv_io_new(uint64_t capacity)
{
    skv_io *io = skv_alloc(sizeof *io);
    if (!io)
        return NULL;
    io->data = skv_alloc((size_t)capacity);
    io->capacity = capacity;
    if (!io->data) {
        skv_release(io);
        return NULL;
    }
    return io;
}

void skv_io_free(skv_io *io)
{
    if (!io)
        return;
    skv_release(io->data);
    skv_release(io);
}

skv_code skv_io_room(skv_io *io, size_t bytes)
{
    uint64_t need = io->bytes + bytes, capacity = io->capacity;
    uint8_t *larger;
    if (need <= capacity)
        return SKV_OK;
    while (capacity < need)
        capacity += capacity / 2 + 64;
    larger = skv_resize(io->data, (size_t)capacity);
    if (!larger)
        return skv_fail(&io->error, SKV_NO_MEMORY, "out of memory: a result of %llu bytes", (unsigned long long)need);
    io->data = larger;
    io->capacity = capacity;
    return SKV_OK;
}

void skv_io_append(skv_io *io, const void *data, size_t bytes)
{
    if (bytes)
        memcpy(io->data + io->bytes, data, bytes);
    io->bytes += bytes;
}

skv_code skv_io_append_bin(skv_io *io, skv_slice value)
{
    skv_code code = skv_io_room(io, SKV_MP_HEAD_MAX + value.bytes);
    if (code != SKV_OK)
        return code;
    io->bytes += skv_pack_bin_head(io->data + io->bytes, value.bytes);
    skv_io_append(io, value.data, value.bytes);
    return SKV_OK;
}
