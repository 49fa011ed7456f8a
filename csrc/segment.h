/* L2 part (log family). One segment: a file of fixed size, and the same bytes in memory at one address for its whole life.
 *
 * While it is filled, its range is private memory that appenders copy into; what is durable is then replaced, page by
 * page and at the same address, by the file's own pages. A position therefore always has exactly one pointer, and
 * unflushed records cost page cache, not heap. */
#ifndef SKV_SEGMENT_H
#define SKV_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "frame.h"
#include "os.h"
#include "record.h"

#define SKV_SLOTS_MAX 4096
/* So long may a log get by itself. The rest is for opens, each of which begins a segment before anything can be let go. */
#define SKV_SLOTS_LIVE (SKV_SLOTS_MAX - 256)

/* Where a record lies: the slot of its segment and the offset inside. */
typedef struct {
    uint32_t offset;
    uint16_t slot;
} skv_position;

/* The bases of all live segments. A reader that found a position in an index pins the slot before it lets go of that
 * index; a pinned segment is not unmapped. */
typedef struct {
    _Atomic(const uint8_t *) bases[SKV_SLOTS_MAX];
    atomic_uint pins[SKV_SLOTS_MAX];
} skv_slots;

typedef struct skv_segment {
    struct skv_segment *next; /* the next newer live segment, or the next of a pool list */
    char name[SKV_NAME_MAX];
    int fd;
    int slot; /* -1: none */
    uint64_t number;
    skv_segment_header header;
    uint64_t last_seqno; /* newest record inside; header.first_seqno - 1 when empty */
    uint8_t *base;
    size_t end;      /* append offset: under the log's lock */
    size_t sealed;   /* frames before it carry their checksums: the syncing thread's */
    size_t durable;  /* bytes before it are synced: the syncing thread's */
    size_t remapped; /* pages before it are the file's own */
    bool header_durable;
    unsigned readers; /* cursors that are inside a call: under the log's lock */
} skv_segment;

static inline const uint8_t *skv_slots_at(const skv_slots *slots, skv_position position)
{
    return atomic_load_explicit(&slots->bases[position.slot], memory_order_relaxed) + position.offset;
}
static inline void skv_slots_pin(skv_slots *slots, skv_position position)
{
    atomic_fetch_add_explicit(&slots->pins[position.slot], 1, memory_order_acquire);
}
static inline void skv_slots_unpin(skv_slots *slots, skv_position position)
{
    atomic_fetch_sub_explicit(&slots->pins[position.slot], 1, memory_order_release);
}
/* The record at a position. The log holds only whole records, so decoding cannot fail; the checksum is the caller's. */
void skv_slots_read(const skv_slots *slots, skv_position position, skv_record *out);

/* How a new file is filled: piece by piece, and after each but the last `rest` is told how long it took. */
typedef struct {
    uint64_t bytes;
    void (*rest)(void *context, uint64_t spent_ns);
    void *context;
} skv_segment_fill;
/* A new file, zero-filled and synced; its name is not durable before the caller synced the directory. owned. */
skv_code skv_segment_create(int root, uint64_t number, skv_segment_fill fill, skv_segment **out, skv_error *err);
/* An existing file, opened; nothing is read. NOT_FOUND when it vanished. owned. */
skv_code skv_segment_open(int root, uint64_t number, skv_segment **out, skv_error *err);
/* The same, for reading alone. */
skv_code skv_segment_open_still(int root, uint64_t number, skv_segment **out, skv_error *err);
void skv_segment_free(skv_segment *segment);
/* Reserve the memory for a new life. */
skv_code skv_segment_prepare(skv_segment *segment, skv_error *err);
/* Map the file as it is, for replay. */
skv_code skv_segment_map(skv_segment *segment, skv_error *err);
/* Have one that is mapped be filled on, behind its last frame. */
skv_code skv_segment_go_on(skv_segment *segment, skv_error *err);
void skv_segment_unmap(skv_segment *segment);
/* Give it a slot, so that positions can name it. false: the first `most` are taken. */
bool skv_segment_take_slot(skv_segment *segment, skv_slots *slots, int most);
void skv_segment_give_slot(skv_segment *segment, skv_slots *slots);
bool skv_segment_pinned(const skv_segment *segment, const skv_slots *slots);
/* Write [durable, to) as whole pages, zeros after `to`. Everything before `to` must be sealed. */
skv_code skv_segment_write(skv_segment *segment, size_t to, skv_error *err);
/* Write the header sector; frames must be durable before it, so that a header never promises what is not there. */
skv_code skv_segment_write_header(skv_segment *segment, skv_error *err);
/* Give the durable pages back to the page cache, when at least `least` bytes of them are still private. */
void skv_segment_remap(skv_segment *segment, size_t least);

#endif
