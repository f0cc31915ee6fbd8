/*
 * SMBIOS tables: what -smbios says, and the machine as built. See smbios.c.
 */
#ifndef HW_BOARDS_SMBIOS_H
#define HW_BOARDS_SMBIOS_H

#include <glib.h>
#include <stdbool.h>

struct machine;

struct smbios {
    GByteArray *tables, *anchor;       /* the anchor's table address is firmware's to fill in */
};

/* options: every -smbios as given, NULL-terminated (NULL: none). False: a mistake in one of them. */
bool smbios_make(struct machine *m, const char *const *options, struct smbios *s, GError **err);
void smbios_free(struct smbios *s);

#endif
