#!/bin/sh
# The program from outside: help texts end with 0, every mistake gives one line and status 1, and no machine is needed.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
printf 'not a kernel' > "$tmp/text"
: > "$tmp/empty"
mkdir "$tmp/dir"

succeeds() {                # name, pattern, arguments
    name=$1 pattern=$2; shift 2
    "$EMU" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
    if [ $status != 0 ]; then echo "not ok $name: status $status: $(head -n 1 "$tmp/err")"
    elif ! grep -q -e "$pattern" "$tmp/out"; then echo "not ok $name: no '$pattern' in the output"
    else echo "ok $name"; fi
}
fails() {                   # pattern, arguments
    pattern=$1; shift
    timeout 20 "$EMU" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
    if [ $status != 1 ]; then echo "not ok refused $*: status $status"
    elif [ "$(wc -l <"$tmp/err")" != 1 ] || [ -s "$tmp/out" ]; then echo "not ok refused $*: not one line: $(head -n 2 "$tmp/err" | tr '\n' '|')"
    elif ! grep -q -e "^emu-system-x86_64: .*$pattern" "$tmp/err"; then echo "not ok refused $*: $(cat "$tmp/err")"
    else echo "ok refused $*"; fi
}

for o in -version --version -help --help -h; do
    succeeds "$o" '^QEMU emulator version 7\.2\.[0-9]* (emu ' "$o"
done
succeeds 'display none -help' '^-no-user-config' -display none -help
for o in '-machine help' '-M ?' '-machine pc,help'; do succeeds "$o" '^pc ' $o; done
succeeds '-accel help' '^tcg$' -accel help
succeeds '-cpu help' 'max' -cpu help
for o in '-device help' '-device ?' '-display none -machine accel=kvm:tcg -device ?'; do succeeds "$o" 'name "isa-debug-exit"' $o; done
succeeds '-device isa-debug-exit,help' 'iobase=<number>' -device isa-debug-exit,help
succeeds '-d help' '^  guest_errors ' -d help

fails "did you mean '-kernel'" -kernell x
fails 'not supported: -gdb' -gdb tcp::1234
fails 'not supported: -icount' -icount 1
fails 'not supported: -s$' -s
fails 'needs memory' -m 0 -kernel "$tmp/text"
fails 'more than this host has' -m 4000T -kernel "$tmp/text"
fails 'not a size' -m lots -kernel "$tmp/text"
fails 'at least 1' -smp 0 -kernel "$tmp/text"
fails 'at most 255' -smp 9999 -kernel "$tmp/text"
fails "did you mean 'pc'" -M pcc -kernel "$tmp/text"
fails 'unknown accelerator .kvn., did you mean .kvm.' -accel kvn -kernel "$tmp/text"
fails "did you mean 'tcg'" -accel tgc -kernel "$tmp/text"
fails 'see -device help' -device frobnicator -kernel "$tmp/text"
fails 'part of a machine' -device i440FX -kernel "$tmp/text"
fails 'No such file' -kernel "$tmp/none"
fails "$tmp/empty" -kernel "$tmp/empty"
fails "$tmp/text" -kernel "$tmp/text"
fails "$tmp/dir" -kernel "$tmp/dir"
fails 'cannot write' -kernel "$tmp/text" -serial "file:$tmp/none/x"
fails 'in use already' -kernel "$tmp/text" -serial stdio -monitor stdio
fails 'at most 4 serial ports' -kernel "$tmp/text" -serial null -serial null -serial null -serial null -serial null
fails 'exclude each other' -kernel "$tmp/text" -daemonize -nographic
fails 'not a UUID' -uuid 1234 -kernel "$tmp/text"
fails 'cannot write the log file' -D "$tmp/none/x" -kernel "$tmp/text"
fails "did you mean 'guest_errors'" -d guest_error -kernel "$tmp/text"
fails 'initrd needs -kernel' -initrd "$tmp/text"
fails 'Permission denied\|No such file' -pidfile /proc/none -kernel "$tmp/text"
