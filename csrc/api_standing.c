/* L4 house. The contract's word on how far a store is that nobody has open. */
#include "still.h"

skv_code skv_standing_look(const skv_lmdb *lmdb, const char *path, skv_standing *out, skv_io *io)
{
    skv_still *still;
    skv_code code = skv_still_open(lmdb, path, &still, &io->error);
    if (code != SKV_OK)
        return code;
    code = skv_still_read_log(still, &io->error);
    if (code == SKV_OK)
        *out = (skv_standing){.first_seqno = still->tail.first_seqno, .last_seqno = still->tail.last_seqno};
    skv_still_free(still);
    return code;
}
