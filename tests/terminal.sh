#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `run -it` gives the command a terminal that takes what is typed, is resized
# with the user's own, and turns Ctrl-C into a signal for the command alone.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc python3

morsel convert -q "$(image base)" term:1 >/dev/null
# Without a terminal -t is refused, and says so.
expect_exit 125 morsel run -t term:1 -- true </dev/null
expect_text "$WORK/err" "leave -t out"

cat >"$WORK/typist.py" <<'END'
import fcntl, os, pty, select, struct, sys, termios

def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
resize(fd, 31, 97)
seen = b''

def expect(text):
    global seen
    while text not in seen:
        # The guard against a hang, no limit on speed.
        assert select.select([fd], [], [], 120)[0], (text, seen)
        try:
            seen += os.read(fd, 4096)
        except OSError:
            raise AssertionError((text, seen))
    seen = seen.split(text, 1)[1]

def type(line):
    os.write(fd, line)

type(b'echo "at $((40 + 2))"; stty size; test -t 0 && test -t 1 && echo tty\n')
expect(b'at 42')
expect(b'31 97')
expect(b'tty')
resize(fd, 50, 120)
type(b'until [ "$(stty size)" = "50 120" ]; do :; done; echo "re""sized"\n')
expect(b'resized')
type(b'trap "echo inter""rupted" INT; echo "trap ""set"\n')
expect(b'trap set')
type(b'\x03\n')  # dash runs its traps between two lines
expect(b'interrupted')
type(b'echo "TERM=$TERM."; exit 9\n')
expect(b'TERM=xterm.')
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code == 9, code
END
python3 "$WORK/typist.py" "$MORSEL_BIN/morsel" run -it term:1 -- sh ||
  fail "the terminal"
[[ -z $(morsel attach --list -q) ]] || fail "a device is left"
