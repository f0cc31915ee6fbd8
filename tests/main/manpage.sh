#!/bin/sh
# docs/emu-system-x86_64.1 is what the option table says. To renew it: emu-system-x86_64 -man-page >docs/emu-system-x86_64.1
if "$EMU" -man-page | cmp -s - "$SRCDIR/docs/emu-system-x86_64.1"; then
    echo "ok manual page"
else
    echo "not ok manual page: it is not what -man-page prints"
fi
