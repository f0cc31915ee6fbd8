/*
 * The host's own vector, x87, MMX and integer instructions on guest state in place.
 */
#include "tcg/x86_64/cg_priv.h"

#include <glib.h>

void em_native(struct cg *c, const struct ir_op *op)
{
    (void)op;
    c->failed = true;
    g_error("not supported: native ops");
}
