/*
 * Files that come with the system: firmware, option ROMs, key maps. Looked for in the folders of -L, then where distributions put them.
 */
#ifndef CORE_DATAFILE_H
#define CORE_DATAFILE_H

#include <stdio.h>

struct machine;

/* The path of `name`: itself when it names a readable file, else the first folder that holds it. NULL: nowhere. Free with g_free(). */
char *data_file_find(struct machine *m, const char *name);
/* The built-in folders, one a line: -L help. */
void data_file_help(FILE *out);

#endif
