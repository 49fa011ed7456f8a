/* L2 part (log family). Segments. */
#include "segment.h"

#include <assert.h>
#include <stdio.h>

#include "memory.h"
#include "sync.h"

#define ZERO_BYTES ((size_t)1 << 20) /* on their way to the device at once: a sync that comes meanwhile waits for as many */

static size_t page_floor(size_t offset)
{
    return offset & ~(size_t)(SKV_PAGE_BYTES - 1);
}

void skv_slots_read(const skv_slots *slots, skv_position position, skv_record *out)
{
    size_t bytes = skv_record_decode(skv_slots_at(slots, position), SIZE_MAX, out);
    assert(bytes > 0);
    (void)bytes;
}

static skv_segment *segment_new(uint64_t number)
{
    skv_segment *segment = skv_alloc(sizeof *segment);
    if (!segment)
        return NULL;
    segment->number = number;
    segment->fd = -1;
    segment->slot = -1;
    (void)snprintf(segment->name, sizeof segment->name, "log/%08llu.log", (unsigned long long)number);
    return segment;
}

static skv_code fill_with_zeros(const skv_segment *segment, const skv_segment_fill *fill, skv_error *err)
{
    skv_code code = SKV_OK;
    uint8_t *zeros = skv_alloc(ZERO_BYTES);
    if (!zeros)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    for (uint64_t at = 0; code == SKV_OK && at < fill->bytes; at += ZERO_BYTES) {
        uint64_t began = skv_now_ns(), left = fill->bytes - at;
        code = skv_os_write(segment->fd, segment->name, zeros, (size_t)(left < ZERO_BYTES ? left : ZERO_BYTES), at, err);
        if (code == SKV_OK && left > ZERO_BYTES) {
            code = skv_os_write_out(segment->fd, segment->name, at, ZERO_BYTES, err);
            if (code == SKV_OK)
                fill->rest(fill->context, skv_now_ns() - began);
        }
    }
    skv_release(zeros);
    return code;
}

skv_code skv_segment_create(int root, uint64_t number, skv_segment_fill fill, skv_segment **out, skv_error *err)
{
    skv_code code;
    skv_segment *segment = segment_new(number);
    *out = NULL;
    if (!segment)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    segment->header.file_bytes = fill.bytes;
    code = skv_os_open(root, segment->name, SKV_OPEN_CREATE_NEW, &segment->fd, err);
    if (code == SKV_OK) {
        code = fill_with_zeros(segment, &fill, err);
        if (code == SKV_OK)
            code = skv_os_sync(segment->fd, segment->name, err);
        if (code != SKV_OK)
            (void)skv_os_remove(root, segment->name, NULL); /* give the space back at once: the disk may be full */
    }
    if (code != SKV_OK) {
        skv_segment_free(segment);
        return code;
    }
    *out = segment;
    return SKV_OK;
}

static skv_code open_file(int root, uint64_t number, skv_open_mode mode, skv_segment **out, skv_error *err)
{
    skv_segment *segment = segment_new(number);
    skv_code code;
    *out = NULL;
    if (!segment)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory");
    code = skv_os_open(root, segment->name, mode, &segment->fd, err);
    if (code == SKV_OK)
        code = skv_os_size(segment->fd, segment->name, &segment->header.file_bytes, err);
    if (code != SKV_OK) {
        skv_segment_free(segment);
        return code;
    }
    *out = segment;
    return SKV_OK;
}

skv_code skv_segment_open(int root, uint64_t number, skv_segment **out, skv_error *err)
{
    return open_file(root, number, SKV_OPEN_WRITE, out, err);
}

skv_code skv_segment_open_still(int root, uint64_t number, skv_segment **out, skv_error *err)
{
    return open_file(root, number, SKV_OPEN_READ, out, err);
}

void skv_segment_free(skv_segment *segment)
{
    if (!segment)
        return;
    skv_segment_unmap(segment);
    skv_os_close(segment->fd);
    skv_release(segment);
}

skv_code skv_segment_prepare(skv_segment *segment, skv_error *err)
{
    skv_code code = skv_os_random(&segment->header.salt, sizeof segment->header.salt, err);
    if (code != SKV_OK)
        return code;
    segment->base = skv_os_map_memory((size_t)segment->header.file_bytes, (size_t)segment->header.file_bytes);
    if (!segment->base)
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: no address range for a log segment");
    segment->end = segment->sealed = segment->durable = SKV_SEGMENT_FRAMES;
    segment->remapped = 0;
    segment->header_durable = false;
    return SKV_OK;
}

skv_code skv_segment_map(skv_segment *segment, skv_error *err)
{
    const uint8_t *base = NULL;
    skv_code code = skv_os_map_file(segment->fd, segment->name, (size_t)segment->header.file_bytes, &base, err);
    segment->base = (uint8_t *)(uintptr_t)base; /* read only, until it is gone on with */
    segment->header_durable = true;
    return code;
}

skv_code skv_segment_go_on(skv_segment *segment, skv_error *err)
{
    if (!skv_os_own(segment->base, (size_t)segment->header.file_bytes, segment->fd))
        return skv_fail(err, SKV_NO_MEMORY, "out of memory: a log segment cannot be mapped");
    segment->remapped = 0;
    return SKV_OK;
}

void skv_segment_unmap(skv_segment *segment)
{
    skv_os_unmap(segment->base, (size_t)segment->header.file_bytes);
    segment->base = NULL;
}

bool skv_segment_take_slot(skv_segment *segment, skv_slots *slots, int most)
{
    for (int slot = 0; slot < most; slot++) {
        if (atomic_load_explicit(&slots->bases[slot], memory_order_relaxed))
            continue;
        segment->slot = slot;
        atomic_store_explicit(&slots->bases[slot], segment->base, memory_order_release);
        return true;
    }
    return false;
}

void skv_segment_give_slot(skv_segment *segment, skv_slots *slots)
{
    if (segment->slot >= 0)
        atomic_store_explicit(&slots->bases[segment->slot], NULL, memory_order_release);
    segment->slot = -1;
}

bool skv_segment_pinned(const skv_segment *segment, const skv_slots *slots)
{
    return segment->slot >= 0 && atomic_load_explicit(&slots->pins[segment->slot], memory_order_acquire) != 0;
}

skv_code skv_segment_write(skv_segment *segment, size_t to, skv_error *err)
{
    uint8_t last[SKV_PAGE_BYTES] = {0};
    size_t from = page_floor(segment->durable), whole = page_floor(to);
    struct iovec pieces[2] = {{segment->base + from, whole - from}, {last, to > whole ? SKV_PAGE_BYTES : 0}};
    /* Appenders are filling the memory after `to`; the last page is copied so that none of theirs goes out. */
    memcpy(last, segment->base + whole, to - whole);
    return skv_os_write2(segment->fd, segment->name, pieces, from, err);
}

skv_code skv_segment_write_header(skv_segment *segment, skv_error *err)
{
    skv_segment_header_write(segment->base, &segment->header);
    return skv_os_write(segment->fd, segment->name, segment->base, SKV_SEGMENT_FRAMES, 0, err);
}

void skv_segment_remap(skv_segment *segment, size_t least)
{
    size_t to = page_floor(segment->durable);
    if (to < segment->remapped + least || to == segment->remapped)
        return;
    if (skv_os_remap(segment->base + segment->remapped, to - segment->remapped, segment->fd, segment->remapped))
        segment->remapped = to;
}
