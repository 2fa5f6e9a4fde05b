#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No key and no plaintext in the origin, in an overlay, in logs, on a command
# line, in an environment, or in what a crash leaves.
. "$(dirname "$0")/lib.sh"
requires root fuse python3 jq

python3 "$TESTS/images/nasty.py" build "$WORK/layout" --compress plain >&2
source=oci:$WORK/layout:nasty
mkdir "$WORK/cores"
cd "$WORK/cores" || exit
morsel convert -q "$source" secret:1 >"$WORK/convert.log" 2>&1
key=$(sed -n 's/^morsel-key-1 //p' "$MORSEL_STATE_DIR/key")
[[ ${#key} == 64 ]] || fail "no key"

# Plaintext: the beginnings of the image's files, of its layers' and of its
# config, and what a container wrote.
written="written by a container 0123456789"
cat >"$WORK/search.py" <<'END'
import os, sys, tarfile
layout, key, written, *places = sys.argv[1:]
marks = {bytes.fromhex(key), key.encode(), written.encode(), b'lost+found',
         b'diff_ids', b'rootfs'}
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
assert len(marks) > 20


def content(path):
    """What was ever written: overlays are sparse files of many GiB."""
    data = b''
    with open(path, 'rb') as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            data += os.pread(file.fileno(), hole - at, at)
            at = hole
    return data


count = 0
for place in places:
    for folder, folders, files in os.walk(place):
        # The device itself, which shows plaintext to root alone.
        folders[:] = [f for f in folders if f != 'fuse']
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or path.endswith('/state/key'):
                continue
            data = content(path)
            for mark in marks:
                assert mark not in data, (path, mark)
            count += 1
print(len(marks), 'marks are in none of', count, 'files')
END
search() { python3 "$WORK/search.py" "$WORK/layout" "$key" "$written" "$@"; }
search "$MORSEL_STATE_DIR" || fail "a secret in the state"

# A program that is not ours leaves a core file, or nothing here would show.
export ASAN_OPTIONS=disable_coredump=0
ulimit -c unlimited
cores() { find "$WORK/cores" / -xdev -maxdepth 1 -name '*core*' -type f -newer "$WORK/layout"; }
sleep 1000 &
kill -ABRT $!
wait $! 2>/dev/null || true
if [[ -z $(cores) ]]; then
  echo "note: this machine keeps core files elsewhere: $(cat /proc/sys/kernel/core_pattern)"
fi
rm -f "$WORK"/cores/*core*

# The guard, its child and the local cache.
victims=(guard child cache)
for victim in "${victims[@]}"; do
  device=$(morsel attach -q --overlay "of-$victim" secret:1)
  folder=$(dirname "$(dirname "$device")")
  guard=$(field "$folder/device.json" .agent.pid)
  printf '%s' "$written" |
    dd of="$device" bs=4K seek=1000 conv=notrunc,fsync status=none
  children=$(pgrep -P "$guard")
  for pid in $guard $children; do
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$key" && fail "key on a command line"
    tr '\0' '\n' <"/proc/$pid/environ" | grep -qF "$key" && fail "key in an environment"
  done
  case $victim in
    guard) pid=$guard ;;
    child) pid=$(pgrep -P "$guard" -f -- --child) ;;
    cache) pid=$(pgrep -P "$guard" -f morsel-localcache) ;;
  esac
  kill -ABRT "$pid"
  wait_until is_gone "$pid"
  search "$MORSEL_STATE_DIR" "$MORSEL_RUN_DIR" || fail "$victim: a secret is left"
  for pid in $guard $children; do
    kill -KILL "$pid" 2>/dev/null || true
    wait_until is_gone "$pid"
  done
  morsel doctor -q >/dev/null || true
done

# The converter, with plaintext and salt in its hands.
start "$MORSEL_BIN/morsel" convert -q --origin "$WORK/other" "$(image nasty-gzip)" secret:2 \
  >>"$WORK/convert.log" 2>&1
converter=$!
has_begun() { [[ -n $(find "$MORSEL_STATE_DIR/spool" -mindepth 1 -print -quit) ]] || is_gone "$converter"; }
wait_until has_begun
kill -ABRT "$converter" 2>/dev/null || echo "note: the convert was faster"
wait "$converter" 2>/dev/null || true

[[ -z $(cores) ]] || fail "core files: $(cores)"
search "$MORSEL_STATE_DIR" "$MORSEL_RUN_DIR" "$WORK/cores" || fail "a secret is left"
! grep -qF "$key" "$WORK/convert.log" || fail "the key is in a log"
