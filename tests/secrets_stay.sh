#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No key and no plaintext in the origin, in logs, on a command line or in what
# a crashed agent leaves.
. "$(dirname "$0")/lib.sh"
requires root fuse python3

python3 "$TESTS/images/nasty.py" build "$WORK/layout" --compress plain >&2
morsel convert -q "oci:$WORK/layout:nasty" secret:1 >"$WORK/convert.log" 2>&1
key=$(sed -n 's/^morsel-key-1 //p' "$MORSEL_STATE_DIR/key")
[[ ${#key} == 64 ]] || fail "no key"
# Some plaintext of the image's files, of pages' size: from its own layers.
python3 - "$WORK/layout" "$MORSEL_STATE_DIR/origin" "$key" <<'END'
import os, sys, tarfile
layout, origin, key = sys.argv[1:]
marks = {bytes.fromhex(key), key.encode(), b'lost+found'}
for folder, _, files in os.walk(layout + '/blobs'):
    for name in files:
        try:
            tar = tarfile.open(os.path.join(folder, name))
        except tarfile.ReadError:
            continue
        for member in tar:
            if member.isreg() and member.size >= 64:
                marks.add(tar.extractfile(member).read(64))
marks = {m for m in marks if m.strip(b'\0')}
for folder, _, files in os.walk(origin):
    for name in files:
        data = open(os.path.join(folder, name), 'rb').read()
        for mark in marks:
            assert mark not in data, (name, mark)
print(len(marks), 'marks are nowhere')
END
device=$(morsel attach -q secret:1)
folder=$(dirname "$(dirname "$device")")
pid=$(field "$folder/device.json" .agent_pid)
for child in $pid $(pgrep -P "$pid"); do
  ! tr '\0' ' ' <"/proc/$child/cmdline" | grep -q "$key" || fail "key on a command line"
  ! grep -qz "$key" "/proc/$child/environ" || fail "key in an environment"
done
(cd "$WORK" && ulimit -c unlimited)
for child in $(pgrep -P "$pid"); do
  kill -SEGV "$child"
done
for ((i = 0; i < 200; i++)); do
  [[ -e /proc/$pid && -e $folder ]] || break
  read -rt 0.05 <> <(:) || true
done
! find "$WORK" / -xdev -maxdepth 1 -name 'core*' -newer "$WORK/layout" | grep . ||
  fail "a core file"
! grep -rqF "$key" "$MORSEL_RUN_DIR" "$WORK/convert.log" || fail "the key is in a log"
morsel doctor -q >/dev/null || true
