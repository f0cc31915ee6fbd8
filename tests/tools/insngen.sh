#!/bin/sh
# insngen refuses a bad insn.def and names the line; it takes the real one.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

"$BUILD/tools/insngen" "$SRCDIR/cpu/x86/insn.def" "$dir" 2>"$dir/err" && echo "ok insngen real table" ||
    echo "not ok insngen real table: $(head -n 1 "$dir/err")"

row='add 0 01 - - Ev,Gv alu(ADD) - all yes -/oszapc/-'
refuse() { # name, expected words, lines of the table
    printf '%s\n' "$3" >"$dir/bad.def"
    if "$BUILD/tools/insngen" "$dir/bad.def" "$dir" 2>"$dir/err"; then
        echo "not ok insngen refuses $1: it did not"
    elif grep -q "bad.def:$2" "$dir/err"; then
        echo "ok insngen refuses $1"
    else
        echo "not ok insngen refuses $1: said $(head -n 1 "$dir/err")"
    fi
}
refuse 'the same row twice' '2: overlaps line 1' "$row
$row"
refuse 'overlapping ModRM' '2: overlaps line 1' "inc 0 FE - /0 Eb incdec(INC) - all yes -/oszap/-
foo 0 FE - mem Eb foo - all - -/-/-"
refuse 'overlapping prefixes' '2: overlaps line 1' "foo 0F 10 np - Vps,Wps vec(W) - all - -/-/- vec
bar 0F 10 n6 - Vps,Wps vec(W) - all - -/-/- vec"
refuse 'an unreachable row' '1: cannot be reached' "foo 0F 10 - - Ev foo - all - -/-/-
a 0F 10 np - Ev foo - all - -/-/-
b 0F 10 66 - Ev foo - all - -/-/-
c 0F 10 f3 - Ev foo - all - -/-/-
d 0F 10 f2 - Ev foo - all - -/-/-"
refuse 'a prefix as opcode' '1: cannot be reached' 'foo 0 66 - - - foo - all - -/-/-'
refuse 'a REX as opcode' '1: opcode 48 is REX' 'foo 0 48 - - - foo - all - -/-/-'
refuse 'an unknown operand' "1: unknown operand 'Kv'" 'foo 0 01 - - Kv,Gv foo - all - -/-/-'
refuse 'an unknown operand size' "1: unknown operand 'Ek'" 'foo 0 01 - - Ek,Gv foo - all - -/-/-'
refuse 'an unknown flag' "1: unknown flag 'q'" 'foo 0 01 - - Ev,Gv foo - all - -/q/-'
refuse 'a flag written and undefined' "1: flag 'o' is both" 'foo 0 01 - - Ev,Gv foo - all - -/o/o'
refuse 'an unknown mark' "1: unknown mark 'fast'" "$row fast"
refuse 'an unknown feature' "1: unknown feature 'SSE9'" 'foo 0 01 - - Ev,Gv foo SSE9 all - -/-/-'
refuse 'a bad handler' "1: bad handler" 'foo 0 01 - - Ev,Gv Foo(X - all - -/-/-'
refuse 'missing columns' '1: 3 columns' 'foo 0 01'
refuse 'a memory operand of a register row' '1: operand M contradicts' 'foo 0F 10 - reg M foo - all - -/-/-'
refuse 'ModRM in one row only' '2: has no ModRM' "foo 0 63 - - Ev,Gv foo - no64 - -/-/-
bar 0 63 - - - bar - only64 - -/-/-"
