/*
 * insngen: cpu/x86/insn.def -> C tables, at build time.   usage: insngen insn.def OUTDIR
 *
 * Writes OUTDIR/insn_features.h  (features, handlers, handler arguments as enums)
 *        OUTDIR/insn_handlers.h  (prototypes of the handlers and the dispatch table)
 *        OUTDIR/insn_rows.h      (rows, operand letters, index by map and opcode; only for cpu/x86/decode.c)
 * The format is explained at the top of insn.def. This program knows the columns and the operand letters; it refuses unknown
 * words, two rows that claim the same bytes, and rows that nothing can reach, naming the line.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 4096, MAX_WORDS = 512, MAPS = 7, VEX_MAPS = 4, COLUMNS = 11 };

/* A growing list of distinct words; the position is the number. */
struct words {
    char *word[MAX_WORDS];
    int count;
};

struct row {
    int line;
    char *name;
    int map, opcode;
    int prefix;               /* index into prefix_name */
    int modrm_mask, modrm_val; /* ModRM constraint, without ModRM.mod */
    int mod;                  /* 0 any, 1 memory, 2 register */
    int w, b;                 /* -1 any, else REX.W, REX.B; in VEX maps VEX.W, VEX.L */
    int mode;                 /* index into mode_name */
    int opnd[4], opnds;
    bool has_modrm, mod_ignored, has_vvvv, vsib;
    int handler;
    char arg[48];
    int need;
    unsigned long marks;
    char *flags[3];
    int wins;                 /* encodings that select this row */
};

struct def {
    const char *path;
    int line;
    struct row row[MAX_ROWS];
    int rows;
    struct words handler, opnd;
    struct words arg[MAX_WORDS]; /* by handler */
    struct words feature;
    char *feature_loc[MAX_WORDS];
    int errors;
};

static const char *const map_name[] = { "0", "0F", "0F38", "0F3A", "v0F", "v0F38", "v0F3A" };
static const char *const map_enum[] = { "X86_MAP_0", "X86_MAP_0F", "X86_MAP_0F38", "X86_MAP_0F3A",
                                        "X86_MAP_V0F", "X86_MAP_V0F38", "X86_MAP_V0F3A" };
static const char *const prefix_name[] = { "-", "np", "66", "f3", "f2", "n6" };
static const char *const prefix_enum[] = { "X86_RP_ANY", "X86_RP_NP", "X86_RP_66", "X86_RP_F3", "X86_RP_F2", "X86_RP_N6" };
/* accepted prefix classes: bit 0 none, 1 66, 2 F3, 3 F2 (the order of VEX.pp) */
static const int prefix_mask[] = { 15, 1, 2, 4, 8, 3 };
static const char *const mode_name[] = { "all", "no64", "only64" };
static const char *const mode_enum[] = { "X86_ROW_ALL", "X86_ROW_NO64", "X86_ROW_ONLY64" };
static const char *const mark_name[] = { "lock", "sys", "vec", "mmx", "x87", "nowait", "align16", "d64", "f64", "else_np",
                                         "string", "ends", "shift", "fpexc", "rand" };
static const char *const mark_enum[] = { "LOCK", "SYS", "VEC", "MMX", "X87", "NOWAIT", "ALIGN16", "D64", "F64", "ELSE_NP",
                                         "STRING", "ENDS", "SHIFT", "FPEXC", "RAND" };
static const char *const cc_name[] = { "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };
static const char *const cc_flags[] = { "o", "c", "z", "zc", "s", "p", "os", "osz" };
static const char *const size_name[] = { "", "b", "w", "d", "q", "dq", "t", "v", "z", "y", "n", "p", "s", "a",
                                         "ps", "pd", "ss", "sd", "env", "sav", "x", "h", "f", "e", "qq" };
static const char *const size_enum[] = { "0", "b", "w", "d", "q", "dq", "t", "v", "z", "y", "n", "p", "s", "a",
                                         "dq", "dq", "d", "q", "env", "sav", "x", "h", "f", "e", "qq" };
/* Operand letters: register kind and place (decode.h) where the operand is a register or memory, else kind is NULL. */
static const struct {
    char letter;
    bool uses_modrm;
    int mod; /* implied: 1 memory, 2 register */
    const char *kind, *place;
    int mask;    /* of the register number: 7 = REX does not extend it */
    bool memory; /* ModRM.mod != 3 makes it memory */
} method[] = {
    { 'E', true, 0, "REG", "RM", 15, true },   { 'G', true, 0, "REG", "REG", 15, false },
    { 'M', true, 1, "MEM", "RM", 15, true },   { 'R', true, 0, "REG", "RM", 15, false },
    { 'Z', false, 0, "REG", "OPCODE", 15, false }, { 'B', false, 0, "REG", "VVVV", 15, false },
    { 'V', true, 0, "XMM", "REG", 15, false }, { 'W', true, 0, "XMM", "RM", 15, true },
    { 'U', true, 2, "XMM", "RM", 15, false },  { 'H', false, 0, "XMM", "VVVV", 15, false },
    { 'T', true, 1, "MEM", "RM", 15, true },   { 'L', false, 0, NULL, "IMM", 15, false },
    { 'P', true, 0, "MMX", "REG", 7, false },
    { 'Q', true, 0, "MMX", "RM", 7, true },    { 'N', true, 2, "MMX", "RM", 7, false },
    { 'C', true, 0, NULL, "REG", 15, false },  { 'D', true, 0, NULL, "REG", 15, false },
    { 'S', true, 0, NULL, "REG", 7, false },   { 'X', false, 0, NULL, "FIXED", 0, false },
    { 'Y', false, 0, NULL, "FIXED", 0, false }, { 'O', false, 0, NULL, "IMM", 0, false },
    { 'A', false, 0, NULL, "IMM", 0, false },  { 'J', false, 0, NULL, "IMM", 0, false },
    { 'I', false, 0, NULL, "IMM", 0, false },
};
/* Operands that are whole words: {word, register kind or NULL, method if NULL, size, register}. */
static const struct {
    const char *word, *kind, *method, *size;
    int reg;
    bool uses_modrm;
} fixed[] = {
    { "AL", "REG", NULL, "b", 0, false },  { "AX", "REG", NULL, "w", 0, false },  { "CL", "REG", NULL, "b", 1, false },
    { "DX", "REG", NULL, "w", 2, false },  { "rAX", "REG", NULL, "v", 0, false }, { "eAX", "REG", NULL, "z", 0, false },
    { "ST0", "ST", NULL, "t", 0, false },  { "STi", "ST", NULL, "t", 0, true },   { "XMM0", "XMM", NULL, "dq", 0, false },
    { "ES", "SEG", NULL, "w", 0, false },  { "CS", "SEG", NULL, "w", 1, false },  { "SS", "SEG", NULL, "w", 2, false },
    { "DS", "SEG", NULL, "w", 3, false },  { "FS", "SEG", NULL, "w", 4, false },  { "GS", "SEG", NULL, "w", 5, false },
    { "1", NULL, "ONE", "b", 0, false },   { "Bx", NULL, "BX", "b", 3, false },   { "Dim", NULL, "DI", "0", 7, false },
};
static const char *const fixed_methods[] = { "ONE", "BX", "DI" };
static const struct {
    char letter;
    const char *name;
} flag[] = {
    { 'o', "O" }, { 's', "S" }, { 'z', "Z" }, { 'a', "A" }, { 'p', "P" }, { 'c', "C" }, { 'd', "D" }, { 'i', "I" },
    { 't', "T" }, { 'n', "N" }, { 'l', "IOPL" }, { 'x', "AC" }, { 'f', "VIF" }, { 'g', "VIP" }, { 'r', "R" }, { 'v', "V" },
    { 'k', "ID" },
};
static const char all_flags[] = "oszapcditnlxfgk";

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static void fail(struct def *d, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void fail(struct def *d, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: ", d->path, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    d->errors++;
}

static int find(const char *const *list, int count, const char *word)
{
    for (int k = 0; k < count; k++)
        if (!strcmp(list[k], word))
            return k;
    return -1;
}

static char *copy(const char *s)
{
    char *c = strdup(s);

    if (!c) {
        fputs("insngen: out of memory\n", stderr);
        exit(1);
    }
    return c;
}

static int words_find(const struct words *w, const char *word)
{
    for (int k = 0; k < w->count; k++)
        if (!strcmp(w->word[k], word))
            return k;
    return -1;
}

static int words_add(struct words *w, const char *word)
{
    int k = words_find(w, word);

    if (k >= 0)
        return k;
    if (w->count == MAX_WORDS) {
        fputs("insngen: MAX_WORDS is too small\n", stderr);
        exit(1);
    }
    w->word[w->count] = copy(word);
    return w->count++;
}

/* ---- operand letters ---- */

/* Splits "Edw" into method index and the sizes of the register and of the memory form; false if it is no such operand. */
static bool operand_parse(const char *word, int *m, int *size, int *mem_size)
{
    const char *rest = word + 1;

    if (word[0] == 's' && word[1] == 'I')
        rest = word + 2;
    char letter = word[0] == 's' ? 'I' : word[0];
    for (*m = 0; *m < COUNT(method) && method[*m].letter != letter; ++*m)
        ;
    if (*m == COUNT(method))
        return false;
    *size = *mem_size = find(size_name, COUNT(size_name), rest);
    if (*size >= 0)
        return true;
    if (strlen(rest) != 2)
        return false;
    char one[2] = { rest[0], 0 };
    *size = find(size_name, COUNT(size_name), one);
    *mem_size = find(size_name, COUNT(size_name), rest + 1);
    return *size >= 0 && *mem_size >= 0;
}

static bool is_fixed(const char *word, int *k)
{
    for (*k = 0; *k < COUNT(fixed); ++*k)
        if (!strcmp(fixed[*k].word, word))
            return true;
    return false;
}

static void row_operands(struct def *d, struct row *r, char *text)
{
    char *save = NULL;
    int k, m, size, mem_size;

    if (!strcmp(text, "-"))
        return;
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (r->opnds == 4) {
            fail(d, r->line, "more than four operands");
            return;
        }
        r->opnd[r->opnds++] = words_add(&d->opnd, word);
        if (is_fixed(word, &k)) {
            r->has_modrm |= fixed[k].uses_modrm;
        } else if (operand_parse(word, &m, &size, &mem_size)) {
            r->has_modrm |= method[m].uses_modrm;
            r->mod_ignored |= method[m].letter == 'R';
            r->has_vvvv |= method[m].letter == 'B' || method[m].letter == 'H';
            r->vsib |= method[m].letter == 'T';
            if (method[m].mod && r->mod && r->mod != method[m].mod)
                fail(d, r->line, "operand %s contradicts the /n column", word);
            if (method[m].mod)
                r->mod = method[m].mod;
        } else {
            fail(d, r->line, "unknown operand '%s'", word);
        }
    }
}

/* ---- columns ---- */

static void row_condition(struct def *d, struct row *r, const char *text)
{
    const char *s = text;

    r->w = r->b = -1;
    if (!strcmp(s, "-"))
        return;
    if (*s == '/' && s[1] >= '0' && s[1] <= '7') {
        r->modrm_mask = 0x38;
        r->modrm_val = (s[1] - '0') << 3;
        r->has_modrm = true;
        s += 2;
    } else if (*s == '=' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
        r->modrm_mask = 0xff;
        r->modrm_val = (int)strtol(s + 1, NULL, 16);
        r->has_modrm = true;
        s += 3;
    }
    if (!strncmp(s, "mem", 3) || !strncmp(s, "reg", 3)) {
        r->mod = *s == 'm' ? 1 : 2;
        r->has_modrm = true;
        s += 3;
    }
    while (*s) {
        if (*s == '.')
            s++;
        bool vex = r->map >= VEX_MAPS;
        if ((*s != 'w' && *s != (vex ? 'l' : 'b')) || (s[1] != '0' && s[1] != '1')) {
            fail(d, r->line, "bad /n column '%s'", text);
            return;
        }
        *(*s == 'w' ? &r->w : &r->b) = s[1] - '0';
        s += 2;
    }
}

static void row_handler(struct def *d, struct row *r, char *text)
{
    char *open = strchr(text, '('), *close = open ? strchr(open, ')') : NULL;

    for (char *s = text; *s && s != open; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_') {
            fail(d, r->line, "bad handler '%s'", text);
            return;
        }
    if (open && (!close || close[1] || close == open + 1)) {
        fail(d, r->line, "bad handler argument in '%s'", text);
        return;
    }
    if (open)
        *open = *close = 0;
    r->handler = words_add(&d->handler, text);
    if (open) {
        words_add(&d->arg[r->handler], open + 1);
        snprintf(r->arg, sizeof(r->arg), "X86_%s_%s", text, open + 1);
        for (char *s = r->arg; *s; s++)
            *s = (char)toupper((unsigned char)*s);
    }
}

static void row_flags(struct def *d, struct row *r, char *text)
{
    char *part[3] = { text, NULL, NULL };

    for (int k = 1; k < 3; k++) {
        part[k] = strchr(part[k - 1], '/');
        if (!part[k]) {
            fail(d, r->line, "flags column '%s' is not read/written/undefined", text);
            r->flags[0] = r->flags[1] = r->flags[2] = copy("");
            return;
        }
        *part[k]++ = 0;
    }
    for (int k = 0; k < 3; k++) {
        if (!strcmp(part[k], "-"))
            part[k] = "";
        else if (!strcmp(part[k], "all"))
            part[k] = (char *)all_flags;
        r->flags[k] = copy(part[k]);
        if (!strcmp(part[k], "cc"))
            continue;
        for (const char *s = part[k]; *s; s++) {
            int f = 0;
            while (f < COUNT(flag) && flag[f].letter != *s)
                f++;
            if (f == COUNT(flag))
                fail(d, r->line, "unknown flag '%c'", *s);
        }
    }
    for (const char *s = r->flags[1]; *s; s++)
        if (strchr(r->flags[2], *s))
            fail(d, r->line, "flag '%c' is both written and undefined", *s);
}

static int row_word(struct def *d, struct row *r, const char *const *list, int count, const char *word, const char *what)
{
    int k = find(list, count, word);

    if (k < 0)
        fail(d, r->line, "unknown %s '%s'", what, word);
    return k < 0 ? 0 : k;
}

/* Replaces '*' in a name by the condition, '_' by a blank. */
static char *row_name(const char *pattern, int cc)
{
    char buf[128], *out = buf;

    for (const char *s = pattern; *s && out < buf + sizeof(buf) - 4; s++) {
        if (*s == '*')
            out += sprintf(out, "%s", cc_name[cc]);
        else
            *out++ = *s == '_' ? ' ' : *s;
    }
    *out = 0;
    return copy(buf);
}

static struct row *row_new(struct def *d)
{
    if (d->rows == MAX_ROWS) {
        fputs("insngen: MAX_ROWS is too small\n", stderr);
        exit(1);
    }
    return &d->row[d->rows++];
}

/* Expands "70+cc" into sixteen rows and "50+r" into eight (same facts, next opcode). */
static void row_expand(struct def *d, struct row *proto, const char *name, const char *kind)
{
    bool cc = !strcmp(kind, "+cc");
    int count = cc ? 16 : !strcmp(kind, "+r") ? 8 : 1;

    if (*kind && count == 1)
        fail(d, proto->line, "bad opcode suffix '%s'", kind);
    for (int k = 0; k < count; k++) {
        struct row *r = row_new(d);
        *r = *proto;
        r->opcode = proto->opcode + k;
        r->name = row_name(name, k);
        if (cc) {
            snprintf(r->arg, sizeof(r->arg), "X86_CC_%s", cc_name[k]);
            for (char *s = r->arg; *s; s++)
                *s = (char)toupper((unsigned char)*s);
            if (!strcmp(r->flags[0], "cc"))
                r->flags[0] = copy(cc_flags[k >> 1]);
        }
    }
}

static void row_parse(struct def *d, char **col, int cols)
{
    struct row r = { .line = d->line };
    char *end;

    if (cols < COLUMNS) {
        fail(d, d->line, "%d columns, need at least %d", cols, COLUMNS);
        return;
    }
    r.map = row_word(d, &r, map_name, COUNT(map_name), col[1], "map");
    r.opcode = (int)strtol(col[2], &end, 16);
    if (end != col[2] + 2)
        fail(d, d->line, "bad opcode '%s'", col[2]);
    r.prefix = row_word(d, &r, prefix_name, COUNT(prefix_name), col[3], "prefix");
    row_condition(d, &r, col[4]);
    row_operands(d, &r, col[5]);
    row_handler(d, &r, col[6]);
    r.need = words_find(&d->feature, col[7]);
    if (r.need < 0)
        fail(d, d->line, "unknown feature '%s'", col[7]);
    r.mode = row_word(d, &r, mode_name, COUNT(mode_name), col[8], "modes");
    if (!strcmp(col[9], "yes"))
        r.marks |= 1;
    else if (strcmp(col[9], "-"))
        fail(d, d->line, "lock column is neither yes nor -");
    row_flags(d, &r, col[10]);
    for (int k = COLUMNS; k < cols; k++)
        r.marks |= 1UL << row_word(d, &r, mark_name, COUNT(mark_name), col[k], "mark");
    row_expand(d, &r, col[0], end);
}

static void feature_parse(struct def *d, char **col, int cols)
{
    static const char *const regs[] = { "eax", "ebx", "ecx", "edx" };
    char buf[96];
    int reg = cols == 6 ? find(regs, 4, col[4]) : -1;

    if (reg < 0 || words_find(&d->feature, col[1]) >= 0) {
        fail(d, d->line, reg < 0 ? "want %%feature NAME leaf subleaf register bit" : "feature named twice");
        return;
    }
    size_t n = strlen(col[2]);
    bool hex = n && col[2][n - 1] == 'h';
    snprintf(buf, sizeof(buf), "\"%s\", 0x%lxu, %s, %d, %s", col[1], strtoul(col[2], NULL, hex ? 16 : 10), col[3], reg, col[5]);
    d->feature_loc[words_add(&d->feature, col[1])] = copy(buf);
}

static bool def_read(struct def *d)
{
    char line[512], *col[32];
    FILE *f = fopen(d->path, "r");

    if (!f) {
        perror(d->path);
        return false;
    }
    words_add(&d->feature, "-");
    d->feature_loc[0] = copy("\"-\", 0, 0, 0, 0");
    while (fgets(line, sizeof(line), f)) {
        char *save = NULL;
        int cols = 0;

        d->line++;
        for (char *s = strtok_r(line, " \t\r\n", &save); s && *s != '#' && cols < 32; s = strtok_r(NULL, " \t\r\n", &save))
            col[cols++] = s;
        if (cols && !strcmp(col[0], "%feature"))
            feature_parse(d, col, cols);
        else if (cols)
            row_parse(d, col, cols);
    }
    fclose(f);
    return !d->errors;
}

/* ---- overlap and reach ---- */

/* Bits of accepted (W, B, 64-bit mode) states: state = W | B << 1 | is64 << 2; in VEX maps L stands in B's place, and W counts in every mode. */
static int row_states(const struct row *r)
{
    int mask = 0;

    for (int s = 0; s < 8; s++) {
        bool w = s & 1, b = s & 2, is64 = s & 4;
        if ((r->w < 0 || r->w == w) && (r->b < 0 || r->b == b) && (is64 ? r->mode != 1 : r->mode != 2) &&
            (is64 || r->map >= VEX_MAPS || (!w && !b)))
            mask |= 1 << s;
    }
    return mask;
}

static bool row_takes(const struct row *r, int pfx, int modrm, int state)
{
    return (prefix_mask[r->prefix] >> pfx & 1) && (row_states(r) >> state & 1) && (modrm & r->modrm_mask) == r->modrm_val &&
           (!r->mod || (r->mod == 2) == (modrm >= 0xc0));
}

static int row_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->map != y->map)
        return x->map - y->map;
    if (x->opcode != y->opcode)
        return x->opcode - y->opcode;
    if (!x->prefix != !y->prefix)
        return !x->prefix - !y->prefix; /* rows with "-" last */
    return x->line - y->line;
}

/* Rows [first, last) share an opcode: each encoding must select at most one, and each row must be selected by some. */
static void check_opcode(struct def *d, int first, int last)
{
    for (int k = first; k < last; k++)
        if (d->row[k].has_modrm != d->row[first].has_modrm)
            fail(d, d->row[k].line, "has %s ModRM byte, unlike line %d", d->row[k].has_modrm ? "a" : "no", d->row[first].line);
    for (int e = 0; e < 4 * 256 * 8; e++) {
        int pfx = e & 3, modrm = e >> 2 & 255, state = e >> 10;
        struct row *won = NULL;

        for (int k = first; k < last; k++) {
            struct row *r = &d->row[k];
            if (!row_takes(r, pfx, modrm, state))
                continue;
            if (won && !won->prefix == !r->prefix) {
                fail(d, r->line, "overlaps line %d (prefix class %d, ModRM %02x)", won->line, pfx, modrm);
                return;
            }
            if (!won) {
                won = r;
                won->wins++;
            }
        }
    }
    for (int k = first; k < last; k++)
        if (!d->row[k].wins)
            fail(d, d->row[k].line, "cannot be reached");
}

static int opcode_end(const struct def *d, int first)
{
    int last = first;

    while (last < d->rows && d->row[last].map == d->row[first].map && d->row[last].opcode == d->row[first].opcode)
        last++;
    return last;
}

static bool def_check(struct def *d)
{
    static const int is_prefix[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

    qsort(d->row, (size_t)d->rows, sizeof(d->row[0]), row_order);
    for (int k = 0; k < d->rows; k = opcode_end(d, k))
        check_opcode(d, k, opcode_end(d, k));
    for (int k = 0; k < d->rows; k++) {
        struct row *r = &d->row[k];
        for (int p = 0; p < COUNT(is_prefix); p++)
            if (r->map == 0 && r->opcode == is_prefix[p])
                fail(d, r->line, "cannot be reached: opcode %02X is a prefix", r->opcode);
        if (r->map == 0 && r->opcode >= 0x40 && r->opcode <= 0x4f && r->mode != 1)
            fail(d, r->line, "opcode %02X is REX in 64-bit mode: want no64", r->opcode);
        if (r->has_vvvv && r->map < VEX_MAPS)
            fail(d, r->line, "VEX.vvvv operand without a VEX map");
        if ((r->marks & 1) && !r->opnds)
            fail(d, r->line, "lock without an operand");
    }
    if (d->handler.count > 255)
        fail(d, 0, "more than 255 handlers");
    return !d->errors;
}

/* ---- output ---- */

static FILE *out_open(const char *dir, const char *name, const char *what)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fprintf(f, "/* Made by tools/insngen from insn.def: %s. Numbers in comments are lines of insn.def. */\n\n", what);
    return f;
}

static void out_close(FILE *f, const char *name)
{
    if (ferror(f) | fclose(f)) {
        perror(name);
        exit(1);
    }
}

static void out_upper(FILE *f, const char *s)
{
    for (; *s; s++)
        fputc(toupper((unsigned char)*s), f);
}

static void out_features(const struct def *d, const char *dir)
{
    FILE *f = out_open(dir, "insn_features.h", "features, handlers and their arguments");

    fprintf(f, "#ifndef CPU_X86_INSN_FEATURES_H\n#define CPU_X86_INSN_FEATURES_H\n\nenum x86_feature {\n    X86_FEAT_NONE,\n");
    for (int k = 1; k < d->feature.count; k++)
        fprintf(f, "    X86_FEAT_%s,\n", d->feature.word[k]);
    fprintf(f, "    X86_FEAT_COUNT,\n};\n\nenum x86_handler {\n");
    for (int k = 0; k < d->handler.count; k++)
        fprintf(f, "    X86_H_%s,\n", d->handler.word[k]);
    fprintf(f, "    X86_H_COUNT,\n};\n");
    for (int k = 0; k < d->handler.count; k++) {
        if (!d->arg[k].count)
            continue;
        fprintf(f, "\nenum x86_%s_arg {\n", d->handler.word[k]);
        for (int a = 0; a < d->arg[k].count; a++) {
            fprintf(f, "    X86_");
            out_upper(f, d->handler.word[k]);
            fputc('_', f);
            out_upper(f, d->arg[k].word[a]);
            fprintf(f, ",\n");
        }
        fprintf(f, "};\n");
    }
    fprintf(f, "\n#endif\n");
    out_close(f, "insn_features.h");
}

static void out_handlers(const struct def *d, const char *dir)
{
    FILE *f = out_open(dir, "insn_handlers.h", "the handlers of the translator");

    fprintf(f, "#ifndef CPU_X86_INSN_HANDLERS_H\n#define CPU_X86_INSN_HANDLERS_H\n\n#include <stdbool.h>\n\n"
               "#include \"cpu/x86/insn_features.h\"\n\nstruct x86_tr;\nstruct x86_insn;\n\n"
               "/* A handler: translates one instruction; true = go on, false = the region ends here. */\n"
               "typedef bool x86_tr_fn(struct x86_tr *t, const struct x86_insn *i);\n\n");
    for (int k = 0; k < d->handler.count; k++)
        fprintf(f, "x86_tr_fn x86_tr_%s;\n", d->handler.word[k]);
    fprintf(f, "\n/* Define X86_TR_TABLE in the one file that dispatches. */\n#ifdef X86_TR_TABLE\n"
               "static x86_tr_fn *const x86_tr_table[X86_H_COUNT] = {\n");
    for (int k = 0; k < d->handler.count; k++)
        fprintf(f, "    [X86_H_%s] = x86_tr_%s,\n", d->handler.word[k], d->handler.word[k]);
    fprintf(f, "};\n#endif\n\n#endif\n");
    out_close(f, "insn_handlers.h");
}

static void out_flags(FILE *f, const char *letters)
{
    const char *sep = "";

    if (!*letters)
        fprintf(f, "0");
    for (const char *s = letters; *s; s++)
        for (int k = 0; k < COUNT(flag); k++)
            if (flag[k].letter == *s) {
                fprintf(f, "%sX86_FL_%s", sep, flag[k].name);
                sep = " | ";
            }
}

static void out_row(FILE *f, const struct def *d, const struct row *r)
{
    const char *sep = "";

    fprintf(f, "    /* %d */ { \"%s\", %d, ", r->line, r->name, r->line);
    if (!r->marks)
        fprintf(f, "0");
    for (int k = 0; k < COUNT(mark_enum); k++)
        if (r->marks >> k & 1) {
            fprintf(f, "%sX86_ROW_%s", sep, mark_enum[k]);
            sep = " | ";
        }
    fprintf(f, ", X86_H_%s, %s, ", d->handler.word[r->handler], *r->arg ? r->arg : "0");
    fprintf(f, r->need ? "X86_FEAT_%s" : "X86_FEAT_NONE", d->feature.word[r->need]);
    fprintf(f, ", %s, %s, 0x%02x, %s, { ", mode_enum[r->mode], map_enum[r->map], r->opcode, prefix_enum[r->prefix]);
    for (int k = 0; k < 4; k++)
        fprintf(f, "%d%s", k < r->opnds ? r->opnd[k] + 1 : 0, k < 3 ? ", " : " }, ");
    for (int k = 0; k < 3; k++) {
        out_flags(f, r->flags[k]);
        fprintf(f, k < 2 ? ", " : " },\n");
    }
}

/* The operand letters as struct opnd_spec of decode.c. */
static void out_operands(FILE *f, const struct def *d)
{
    int k, m, size, mem_size;

    fprintf(f, "enum opnd_method {\n    M_PLAIN,\n");
    for (k = 0; k < COUNT(method); k++)
        if (!method[k].kind)
            fprintf(f, "    M_%c,\n", method[k].letter);
    fprintf(f, "    M_sI,\n");
    for (k = 0; k < COUNT(fixed_methods); k++)
        fprintf(f, "    M_%s,\n", fixed_methods[k]);
    fprintf(f, "};\n\nenum opnd_size {\n");
    for (k = 0; k < COUNT(size_enum); k++)
        if (find(size_enum, k, size_enum[k]) < 0)
            fprintf(f, "    Z_%s,\n", size_enum[k]);
    fprintf(f, "    Z_COUNT,\n};\n\nstatic const struct opnd_spec opnd_specs[] = {\n    { .name = \"\" },\n");
    for (int o = 0; o < d->opnd.count; o++) {
        const char *word = d->opnd.word[o];
        if (is_fixed(word, &k) && fixed[k].kind)
            fprintf(f, "    { \"%s\", M_PLAIN, Z_%s, Z_%s, %d, 7, X86_OPND_%s, X86_AT_%s, 0 },\n", word, fixed[k].size,
                    fixed[k].size, fixed[k].reg, fixed[k].kind, fixed[k].uses_modrm ? "RM" : "FIXED");
        else if (is_fixed(word, &k))
            fprintf(f, "    { \"%s\", M_%s, Z_%s, Z_%s, %d, 7, 0, X86_AT_FIXED, 0 },\n", word, fixed[k].method, fixed[k].size,
                    fixed[k].size, fixed[k].reg);
        else if (operand_parse(word, &m, &size, &mem_size) && method[m].kind)
            fprintf(f, "    { \"%s\", M_PLAIN, Z_%s, Z_%s, 0, %d, X86_OPND_%s, X86_AT_%s, %d },\n", word, size_enum[size],
                    size_enum[mem_size], method[m].mask, method[m].kind, method[m].place, method[m].memory);
        else if (operand_parse(word, &m, &size, &mem_size))
            fprintf(f, "    { \"%s\", M_%s%c, Z_%s, Z_%s, 0, %d, 0, X86_AT_%s, 0 },\n", word, *word == 's' ? "s" : "",
                    method[m].letter, size_enum[size], size_enum[mem_size], method[m].mask, method[m].place);
    }
    fprintf(f, "};\n\n");
}

/* One candidate of an opcode; struct row_match is declared in decode.c. */
static void out_match(FILE *f, const struct row *r, int index)
{
    fprintf(f, "    { 0x%x, 0x%02x, 0x%02x, 0x%02x, %d }, /* %d %s */\n", prefix_mask[r->prefix], r->modrm_mask, r->modrm_val,
            row_states(r), index, r->line, r->name);
}

/*
 * Index: per map and opcode {first match, count, kind}. Kind 1: no ModRM. 2: ModRM, list as it is. 3: ModRM and the list depends
 * on it: `first` is an index into opcode_groups, 16 entries by (mod == 3) << 3 | reg.
 */
static void out_index(FILE *f, const struct def *d)
{
    static struct { int first, count, kind; } index[MAPS][256];
    static struct { int first, count; } group[4096];
    int groups = 0, matches = 0;

    fprintf(f, "static const struct row_match row_matches[] = {\n");
    for (int first = 0, last; first < d->rows; first = last) {
        const struct row *head = &d->row[first];
        bool split = false;

        last = opcode_end(d, first);
        for (int k = first; k < last; k++)
            split |= d->row[k].modrm_mask || d->row[k].mod;
        index[head->map][head->opcode].kind = split ? 3 : head->has_modrm ? 2 : 1;
        index[head->map][head->opcode].first = split ? groups : matches;
        index[head->map][head->opcode].count = last - first;
        for (int g = 0; g < (split ? 16 : 1); g++) {
            int start = matches;
            for (int k = first; k < last; k++) {
                const struct row *r = &d->row[k];
                bool in = !split || ((r->modrm_mask & 0x38 & (r->modrm_val ^ g << 3)) == 0 && (!r->mod || (r->mod == 2) == g >> 3) &&
                                     (r->modrm_mask != 0xff || (r->modrm_val >= 0xc0) == g >> 3));
                if (in) {
                    out_match(f, r, k);
                    matches++;
                }
            }
            if (split) {
                if (groups == COUNT(group)) {
                    fputs("insngen: too many groups\n", stderr);
                    exit(1);
                }
                group[groups].first = start;
                group[groups++].count = matches - start;
            }
        }
    }
    fprintf(f, "};\n\nstatic const struct opcode_group opcode_groups[] = {\n");
    for (int g = 0; g < groups; g++)
        fprintf(f, "%s{ %d, %d },%s", g % 16 ? " " : "    ", group[g].first, group[g].count, g % 16 == 15 ? "\n" : "");
    fprintf(f, "};\n\nstatic const struct opcode_index opcode_index[X86_MAP_COUNT][256] = {\n");
    for (int m = 0; m < MAPS; m++) {
        fprintf(f, "    [%s] = {\n", map_enum[m]);
        for (int o = 0; o < 256; o++)
            if (index[m][o].kind)
                fprintf(f, "        [0x%02x] = { %d, %d, %d },\n", o, index[m][o].first, index[m][o].count, index[m][o].kind);
        fprintf(f, "    },\n");
    }
    fprintf(f, "};\n");
}

static void out_rows(const struct def *d, const char *dir)
{
    FILE *f = out_open(dir, "insn_rows.h", "rows and index, for decode.c only");

    fprintf(f, "const struct x86_feature_bit x86_feature_bits[X86_FEAT_COUNT] = {\n");
    for (int k = 0; k < d->feature.count; k++)
        fprintf(f, "    { %s },\n", d->feature_loc[k]);
    fprintf(f, "};\n\nconst struct x86_row x86_rows[] = {\n");
    for (int k = 0; k < d->rows; k++)
        out_row(f, d, &d->row[k]);
    fprintf(f, "};\n\nconst unsigned x86_row_count = %d;\n\n", d->rows);
    fprintf(f, "/* What the decoder needs beside the row: operands, bit 3 ModRM.mod is ignored, bit 4 VEX.vvvv is an operand, bit 5 VSIB. */\n"
               "static const uint8_t row_shape[] = {");
    for (int k = 0; k < d->rows; k++)
        fprintf(f, "%s%d,", k % 32 ? " " : "\n    ", d->row[k].opnds | d->row[k].mod_ignored << 3 | d->row[k].has_vvvv << 4 | d->row[k].vsib << 5);
    fprintf(f, "\n};\n\n");
    out_operands(f, d);
    out_index(f, d);
    out_close(f, "insn_rows.h");
}

int main(int argc, char **argv)
{
    static struct def d;

    if (argc != 3) {
        fputs("usage: insngen insn.def OUTDIR\n", stderr);
        return 2;
    }
    d.path = argv[1];
    if (!def_read(&d) || !def_check(&d))
        return 1;
    out_features(&d, argv[2]);
    out_handlers(&d, argv[2]);
    out_rows(&d, argv[2]);
    return 0;
}
