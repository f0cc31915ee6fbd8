/*
 * See core/datafile.h.
 */
#include "core/datafile.h"

#include <glib.h>
#include <unistd.h>

#include "core/machine.h"

static const char *const folders[] = {
    "/usr/local/share/emu", "/usr/share/emu", "/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu", "/usr/lib/ipxe", "/usr/share/OVMF",
    "/usr/share/ovmf", "/usr/share/edk2/x64",
};

char *data_file_find(struct machine *m, const char *name)
{
    if (access(name, R_OK) == 0 && !g_file_test(name, G_FILE_TEST_IS_DIR)) {
        return g_strdup(name);
    }
    for (unsigned i = 0; m->spec.data_dirs && m->spec.data_dirs[i]; i++) {
        g_autofree char *path = g_build_filename(m->spec.data_dirs[i], name, NULL);
        if (access(path, R_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = g_build_filename(folders[i], name, NULL);
        if (access(path, R_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

void data_file_help(FILE *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++) {
        fprintf(out, "%s\n", folders[i]);
    }
}
