/* L2. Helpers. */
#include "helper.h"

#include "memory.h"
#include "sync.h"

struct skv_helper {
    void (*work)(void *context);
    void *context;
    atomic_bool given, dismissed;
    skv_event moved; /* one of the two */
};

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
        if (atomic_load(&helper->given)) {
            helper->work(helper->context);
            atomic_store(&helper->given, false);
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
    helper->work = work;
    helper->context = context;
    atomic_store(&helper->given, true);
    skv_event_notify(&helper->moved);
}

void skv_helper_await(skv_helper *helper)
{
    for (;;) {
        unsigned seen = skv_event_read(&helper->moved);
        if (!atomic_load(&helper->given))
            return;
        (void)skv_event_wait(&helper->moved, seen, SKV_NS_PER_S);
    }
}
