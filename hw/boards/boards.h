/*
 * The boards, for main/'s list.
 */
#ifndef HW_BOARDS_BOARDS_H
#define HW_BOARDS_BOARDS_H

#include "core/machine.h"

extern const struct board board_pc, board_q35;

#endif
