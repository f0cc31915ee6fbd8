/*
 * What main/displays.c and its monitor commands share.
 */
#ifndef MAIN_DISPLAYS_PRIV_H
#define MAIN_DISPLAYS_PRIV_H

#include "ui/display.h"

struct machine;

struct displays {
    struct machine *machine;
    GPtrArray *open;                    /* struct ui_display * */
    struct ui_host host;
};

#endif
