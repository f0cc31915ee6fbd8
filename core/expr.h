/*
 * Expressions as monitors take them: numbers (0x hexadecimal), registers ($pc), + - * / % & | ^ ~ and parentheses.
 */
#ifndef CORE_EXPR_H
#define CORE_EXPR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct cpu;

/*
 * Reads one expression at *at and moves *at behind it; a blank ends it unless an operator follows. cpu NULL: no registers. Registers are those
 * of a vCPU that stands still (cpu_run_on), else only $pc is right.
 */
bool expr_read(const char **at, struct cpu *cpu, uint64_t *value, GError **err);

#endif
