/* L2 part (index family). Rooms. The tables of an index are of one size but for chance, so they grow at about the same time;
 * the room that they leave is freed when the last has left. */
#include "index_state.h"

#include "memory.h"
#include "os.h"

static size_t bytes_of(uint32_t tables, uint32_t capacity)
{
    return (size_t)tables * capacity * sizeof(skv_entry);
}

/* Address space comes in whole huge pages; what is less than one stays in small ones, so that no memory is wasted. */
static size_t mapped_bytes(size_t bytes)
{
    return (bytes + SKV_HUGE_BYTES - 1) / SKV_HUGE_BYTES * SKV_HUGE_BYTES;
}

bool skv_room_pays(uint32_t tables, uint32_t capacity)
{
    return bytes_of(tables, capacity) >= SKV_HUGE_BYTES;
}

skv_room *skv_room_create(uint32_t tables, uint32_t capacity)
{
    size_t bytes = bytes_of(tables, capacity);
    skv_room *room = skv_alloc(sizeof *room);
    void *memory = room ? skv_os_map_memory(mapped_bytes(bytes), bytes / SKV_HUGE_BYTES * SKV_HUGE_BYTES) : NULL;
    if (!memory) {
        skv_release(room);
        return NULL;
    }
    *room = (skv_room){.entries = memory, .bytes = bytes, .capacity = capacity, .users = 1};
    return room;
}

size_t skv_room_leave(skv_room *room)
{
    size_t bytes;
    if (!room || --room->users > 0)
        return 0;
    bytes = room->bytes;
    skv_os_unmap((const uint8_t *)room->entries, mapped_bytes(bytes));
    skv_release(room);
    return bytes;
}
