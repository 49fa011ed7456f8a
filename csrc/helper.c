/* L2. Helpers. */
#include "helper.h"

#include "memory.h"
#include "sync.h"

struct skv_helper {
    void (*work)(void *context);
    void *context;
    atomic_uint given, done; /* ever */
    atomic_bool dismissed;
    skv_event moved; /* one of them */
};

static unsigned left_to_do(const skv_helper *helper)
{
    return atomic_load(&helper->given) - atomic_load(&helper->done);
}

skv_helper *skv_helper_new(void)
{
    return skv_alloc(sizeof(skv_helper));
}

void skv_helper_free(skv_helper *helper)
{
    skv_release(helper);
}

void skv_helper_run(skv_helper *helper)
{
    for (;;) {
        unsigned seen = skv_event_read(&helper->moved);
        if (left_to_do(helper)) {
            helper->work(helper->context);
            atomic_fetch_add(&helper->done, 1);
            skv_event_notify(&helper->moved);
        } else if (atomic_load(&helper->dismissed)) {
            return;
        } else {
            (void)skv_event_wait(&helper->moved, seen, SKV_NS_PER_S);
        }
    }
}

void skv_helper_dismiss(skv_helper *helper)
{
    atomic_store(&helper->dismissed, true);
    skv_event_notify(&helper->moved);
}

void skv_helper_give(skv_helper *helper, void (*work)(void *context), void *context)
{
    if (!left_to_do(helper)) {
        helper->work = work;
        helper->context = context;
    }
    atomic_fetch_add(&helper->given, 1);
    skv_event_notify(&helper->moved);
}

void skv_helper_await(skv_helper *helper, unsigned left)
{
    for (;;) {
        unsigned seen = skv_event_read(&helper->moved);
        if (left_to_do(helper) <= left)
            return;
        (void)skv_event_wait(&helper->moved, seen, SKV_NS_PER_S);
    }
}
