/* L4 house. The contract's half for peers: their places, their acks, the loop that ships to one. */
#include <errno.h>

#include "keep_path.h"
#include "memory.h"
#include "settings.h"
#include "ship_path.h"
#include "write_path.h"

#define SYNC_BYTES ((size_t)1 << 20) /* a peer that is behind syncs after so much */
#define IDLE_NS SKV_NS_PER_S
#define RETIRE_NS (100 * SKV_NS_PER_MS)

struct skv_ship {
    skv_store *store, *peer; /* kept */
    uint32_t place;
    atomic_bool over;
    bool taken; /* a frame that is not in the peer yet */
    skv_shipment shipment;
    uint64_t retired_ns;
};

/* -- lineage -------------------------------------------------------------------------------------------------------- */

static int64_t hand_over(const skv_manifest *manifest, skv_io *io)
{
    skv_code code;
    io->bytes = 0;
    code = skv_io_room(io, manifest->lineage_bytes + 1);
    if (code != SKV_OK)
        return skv_fail(&io->error, code, "out of memory");
    skv_io_append(io, manifest->lineage, manifest->lineage_bytes);
    return manifest->lineage_bytes;
}

int64_t skv_lineage_read(skv_store *store, skv_io *io)
{
    int64_t bytes = skv_store_enter(store, &io->error);
    if (bytes != SKV_OK)
        return bytes;
    skv_lock(&store->settings_lock);
    bytes = hand_over(&store->manifest, io);
    skv_unlock(&store->settings_lock);
    skv_store_leave(store);
    return bytes;
}

static skv_code save(skv_store *store, skv_slice lineage, skv_error *err)
{
    skv_manifest next = store->manifest;
    if (lineage.bytes > SKV_LINEAGE_BYTES_MAX)
        return skv_fail(err, SKV_INVALID, "the lineage has %zu bytes; at most %d", lineage.bytes, SKV_LINEAGE_BYTES_MAX);
    memcpy(next.lineage, lineage.data, lineage.bytes);
    next.lineage_bytes = (uint32_t)lineage.bytes;
    return skv_settings_save(store, &next, err);
}

skv_code skv_lineage_save(skv_store *store, const char *lineage, size_t bytes, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    if (store->readonly && !store->in_force.following)
        code = skv_fail(&io->error, SKV_READ_ONLY, "the store %s was opened read-only", store->path);
    skv_lock(&store->settings_lock);
    if (code == SKV_OK)
        code = save(store, (skv_slice){(const uint8_t *)lineage, bytes}, &io->error);
    skv_unlock(&store->settings_lock);
    skv_store_leave(store);
    return code;
}

int64_t skv_lineage_look(const char *path, skv_io *io)
{
    skv_manifest manifest;
    int dir;
    skv_code code = skv_os_open_dir(path, &dir, &io->error);
    if (code == SKV_IO && io->error.sys_errno == ENOENT)
        return SKV_NOT_FOUND;
    if (code != SKV_OK)
        return code;
    code = skv_manifest_peek(dir, &manifest, &io->error);
    skv_os_close(dir);
    return code == SKV_OK ? hand_over(&manifest, io) : code;
}

/* -- places --------------------------------------------------------------------------------------------------------- */

int64_t skv_peer_add(skv_store *store, const char *name, skv_io *io)
{
    int64_t place = skv_store_enter(store, &io->error);
    if (place != SKV_OK)
        return place;
    place = skv_acks_add(&store->parts.acks, name, &io->error);
    skv_store_leave(store);
    return place;
}

void skv_peer_remove(skv_store *store, uint32_t place)
{
    if (skv_store_enter(store, NULL) != SKV_OK)
        return;
    skv_acks_remove(&store->parts.acks, place);
    skv_store_leave(store);
}

void skv_peer_release(skv_store *store, uint32_t place)
{
    if (skv_store_enter(store, NULL) != SKV_OK)
        return;
    skv_acks_release(&store->parts.acks, place);
    skv_store_leave(store);
}

void skv_peer_set(skv_store *store, uint32_t place, int state, uint64_t seqno)
{
    if (skv_store_enter(store, NULL) != SKV_OK)
        return;
    skv_acks_note(&store->parts.acks, place, seqno);
    skv_acks_set(&store->parts.acks, place, state);
    if (atomic_exchange(&store->parts.acks.peers[place].kept_seqno, 0))
        skv_keep_retire(&store->parts);
    skv_store_leave(store);
}

void skv_peer_stats_read(skv_store *store, uint32_t place, skv_peer_stats *out)
{
    const skv_ack_peer *peer = &store->parts.acks.peers[place];
    *out = (skv_peer_stats){.seqno = atomic_load(&peer->seqno),
                            .shipped_bytes = atomic_load(&peer->shipped_bytes),
                            .syncs = atomic_load(&peer->syncs),
                            .current_ns = atomic_load(&peer->current_ns),
                            .state = atomic_load(&peer->state)};
}

uint64_t skv_ack_reached(skv_store *store, int ack)
{
    uint64_t seqno = 0;
    if (skv_store_enter(store, NULL) != SKV_OK)
        return 0;
    seqno = skv_acks_reached(&store->parts.acks, ack);
    skv_store_leave(store);
    return seqno;
}

skv_code skv_wait_ack(skv_store *store, uint64_t seqno, int ack, uint32_t slice_ms, skv_io *io)
{
    skv_code code = skv_store_enter(store, &io->error);
    if (code != SKV_OK)
        return code;
    skv_acks_local(&store->parts.acks, skv_log_durable(store->parts.log));
    io->room = skv_notify_room_read(&store->parts.notifiers); /* before anybody looks: what comes meanwhile is not missed */
    if (ack >= SKV_ACK_QUORUM)
        code = skv_acks_wait(&store->parts.acks, ack, seqno, slice_ms * SKV_NS_PER_MS, &io->error);
    skv_store_leave(store);
    return code;
}

/* -- shipping ------------------------------------------------------------------------------------------------------- */

static void keep_from(const skv_ship *ship, uint64_t seqno)
{
    atomic_store(&ship->store->parts.acks.peers[ship->place].kept_seqno, seqno);
}

/* Both stores are entered. The log is kept first, then looked at. */
static skv_code begin(skv_ship *ship, skv_error *err)
{
    uint64_t last = skv_log_last(ship->peer->parts.log);
    keep_from(ship, last + 1);
    if (last > skv_last_seqno(ship->store))
        return skv_fail_at(err, SKV_INVALID, "", 0, last, "the peer has seqno %llu already, which was not written here yet",
                           (unsigned long long)last);
    skv_acks_set(&ship->store->parts.acks, ship->place, SKV_PEER_BEHIND);
    skv_acks_note(&ship->store->parts.acks, ship->place, skv_log_durable(ship->peer->parts.log));
    return skv_ship_begin(&ship->store->parts, &ship->peer->parts, &ship->shipment, err);
}

skv_ship *skv_ship_open(skv_store *store, uint32_t place, skv_store *peer, skv_io *io)
{
    skv_ship *ship = skv_alloc(sizeof *ship);
    skv_code code = SKV_OK;
    if (!ship) {
        (void)skv_fail(&io->error, SKV_NO_MEMORY, "out of memory");
        return NULL;
    }
    ship->store = store;
    ship->peer = peer;
    ship->place = place;
    code = skv_store_enter(store, &io->error);
    if (code == SKV_OK) {
        code = skv_store_enter(peer, &io->error);
        if (code == SKV_OK) {
            code = begin(ship, &io->error);
            skv_store_leave(peer);
        }
        if (code == SKV_OK)
            skv_log_count_ahead(store->parts.log, 1);
        else
            keep_from(ship, 0);
        skv_store_leave(store);
    }
    if (code == SKV_OK)
        return ship;
    skv_release(ship);
    return NULL;
}

void skv_ship_free(skv_ship *ship)
{
    if (!ship)
        return;
    if (skv_store_enter(ship->store, NULL) == SKV_OK) {
        skv_log_count_ahead(ship->store->parts.log, -1);
        keep_from(ship, 0);
        skv_keep_retire(&ship->store->parts);
        skv_store_leave(ship->store);
    }
    skv_ship_end(&ship->shipment);
    skv_release(ship);
}

static skv_code take(skv_ship *ship, skv_error *err)
{
    skv_code code = skv_store_enter(ship->store, err);
    if (code != SKV_OK)
        return code;
    code = skv_ship_take(&ship->shipment, true, err);
    skv_store_leave(ship->store);
    ship->taken = code == SKV_OK;
    return code;
}

/* The store is not entered here: what the peer's disk does must not keep it from being closed. */
static skv_code put(skv_ship *ship, skv_error *err)
{
    skv_code code = skv_store_enter(ship->peer, err);
    if (code != SKV_OK)
        return code;
    code = skv_ship_put(&ship->shipment, SKV_SLICE_NS, err);
    skv_store_leave(ship->peer);
    if (code == SKV_OK)
        ship->taken = false;
    return code == SKV_BUSY ? SKV_OK : code; /* it stays taken, and is put by the next round */
}

static skv_code sync_peer(skv_ship *ship, uint64_t *durable, skv_error *err)
{
    skv_code code = skv_store_enter(ship->peer, err);
    if (code != SKV_OK)
        return code;
    skv_clock_raise(&ship->peer->parts.clock, skv_clock_now(&ship->store->parts.clock));
    code = skv_log_wait_all(ship->peer->parts.log, err);
    *durable = skv_log_durable(ship->peer->parts.log);
    if (skv_log_is_unlinked(ship->peer->parts.log))
        code = skv_fail(err, SKV_IO, "the files of the peer's log were removed");
    skv_store_leave(ship->peer);
    return code;
}

/* Tell how far the peer is, and give back what the log kept for it. */
static skv_code tell(skv_ship *ship, uint64_t durable, size_t shipped)
{
    skv_acks *acks = &ship->store->parts.acks;
    uint64_t now = skv_now_ns();
    skv_code code = skv_store_enter(ship->store, NULL);
    if (code != SKV_OK)
        return code;
    atomic_fetch_add(&acks->peers[ship->place].shipped_bytes, shipped);
    atomic_fetch_add(&acks->peers[ship->place].syncs, shipped > 0);
    keep_from(ship, skv_log_cursor_next(ship->shipment.cursor));
    /* The state first: who is woken by the ack finds it as it is. */
    skv_acks_set(acks, ship->place, durable >= skv_durable_seqno(ship->store) ? SKV_PEER_CURRENT : SKV_PEER_BEHIND);
    skv_acks_note(acks, ship->place, durable);
    if (now - ship->retired_ns > RETIRE_NS) {
        skv_keep_retire(&ship->store->parts);
        ship->retired_ns = now;
    }
    skv_store_leave(ship->store);
    return SKV_OK;
}

/* Ship what there is, up to a stretch that is worth a sync. AGAIN: that was all. */
static skv_code round_of(skv_ship *ship, skv_error *err)
{
    size_t shipped = 0;
    uint64_t durable = 0;
    skv_code code = SKV_OK, end;
    while (code == SKV_OK && shipped < SYNC_BYTES) {
        if (atomic_load(&ship->over) || atomic_load(&ship->store->state) != SKV_STATE_OPEN)
            return skv_fail(err, SKV_CLOSED, "the shipping was stopped");
        if (!ship->taken)
            code = take(ship, err);
        if (code == SKV_OK)
            code = put(ship, err);
        if (code == SKV_OK && ship->taken)
            break; /* no room yet: what was put is not kept waiting for it */
        if (code == SKV_OK)
            shipped += ship->shipment.body_bytes;
    }
    if ((code != SKV_OK && code != SKV_AGAIN) || !shipped)
        return code;
    end = sync_peer(ship, &durable, err);
    if (end == SKV_OK)
        end = tell(ship, durable, shipped);
    return end == SKV_OK ? code : end;
}

/* Before a round: what comes from here on is not missed by the rest after it. */
static skv_code look_up(skv_ship *ship, unsigned *seen, skv_error *err)
{
    skv_code code = skv_store_enter(ship->store, err);
    if (code != SKV_OK)
        return code;
    *seen = skv_log_ahead_read(ship->store->parts.log);
    skv_store_leave(ship->store);
    return SKV_OK;
}

/* Everything is shipped: say so, and wait for more. */
static skv_code rest(skv_ship *ship, unsigned seen, skv_error *err)
{
    skv_code code = skv_store_enter(ship->store, err);
    if (code != SKV_OK)
        return code;
    (void)tell(ship, atomic_load(&ship->store->parts.acks.peers[ship->place].seqno), 0);
    skv_log_ahead_wait(ship->store->parts.log, seen, IDLE_NS);
    skv_store_leave(ship->store);
    return SKV_OK;
}

skv_code skv_ship_run(skv_ship *ship, skv_io *io)
{
    skv_code code = SKV_OK;
    unsigned seen = 0;
    while (code == SKV_OK || code == SKV_AGAIN) {
        if (code == SKV_AGAIN)
            code = rest(ship, seen, &io->error);
        if (code == SKV_OK)
            code = look_up(ship, &seen, &io->error);
        if (code == SKV_OK)
            code = round_of(ship, &io->error);
    }
    return code;
}

void skv_ship_stop(skv_ship *ship)
{
    atomic_store(&ship->over, true);
    if (skv_store_enter(ship->store, NULL) != SKV_OK)
        return;
    skv_log_wake_watchers(ship->store->parts.log);
    skv_store_leave(ship->store);
}

skv_code skv_ship_back(skv_store *store, skv_store *peer, skv_io *io)
{
    skv_shipment shipment;
    skv_code code = skv_ship_begin(&peer->parts, &store->parts, &shipment, &io->error);
    while (code == SKV_OK) {
        code = skv_ship_take(&shipment, false, &io->error);
        if (code == SKV_OK)
            do
                code = skv_ship_put(&shipment, SKV_SLICE_NS, &io->error);
            while (code == SKV_BUSY);
    }
    skv_ship_end(&shipment);
    return code == SKV_AGAIN ? skv_log_wait_all(store->parts.log, &io->error) : code;
}
