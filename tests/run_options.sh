#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people expect of a run: the image's own settings, options, exit codes,
# signals, and nothing left behind.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc

source=$(image python)
morsel convert -q "$source" app:1 >/dev/null
run() { morsel run "$@"; }

[[ $(run app:1 -- sh -c 'echo $APP') == python ]] || fail "the image's environment"
[[ $(run app:1 -- pwd) == /srv/app ]] || fail "the image's working directory"
run app:1 >"$WORK/out" || fail "the image's own command"
[[ -s $WORK/out ]] || fail "the image's own command prints nothing"
[[ $(run -e A=1 -e APP=x app:1 -- sh -c 'echo $A$APP') == 1x ]] || fail "-e"
[[ $(run -w /tmp app:1 -- pwd) == /tmp ]] || fail "-w"
[[ $(run -u 1234:99 app:1 -- id -u):$(run -u nobody app:1 -- id -un) == 1234:nobody ]] || fail "-u"
[[ $(run --hostname box app:1 -- hostname) == box ]] || fail "--hostname"
[[ $(run --entrypoint /bin/echo app:1 -- hi) == hi ]] || fail "--entrypoint"
mkdir "$WORK/vol"
run -v "$WORK/vol:/vol" app:1 -- sh -c 'echo in >/vol/file'
[[ $(cat "$WORK/vol/file") == in ]] || fail "-v"
expect_exit 1 morsel run -v "$WORK/vol:/vol:ro" app:1 -- sh -c 'touch /vol/x 2>/dev/null'
expect_exit 1 morsel run --read-only app:1 -- sh -c 'touch /x 2>/dev/null'
expect_exit 0 morsel run app:1 -- sh -c 'touch /x'
[[ $(echo line | run -i app:1 -- cat) == line ]] || fail "-i"
[[ -z $(echo line | run app:1 -- cat) ]] || fail "standard input without -i"
run app:1 -- sh -c 'ls /sys/class/net' | grep -vx lo && fail "a network without --net host"
run --net host app:1 -- sh -c 'cat /etc/resolv.conf /etc/hosts' >/dev/null || fail "--net host"
run -m 64MiB --cpus 0.5 --pids-limit 20 app:1 -- true || fail "limits"

expect_exit 7 morsel run app:1 -- sh -c 'exit 7'
expect_exit 137 morsel run app:1 -- sh -c 'sh -c "kill -9 \$\$"; exit $?'
expect_exit 127 morsel run app:1 -- no-such-command
expect_exit 126 morsel run app:1 -- /etc/passwd
expect_exit 125 morsel run nothing:1
expect_exit 125 morsel run --net bridge app:1
expect_exit 125 morsel run -u no-such-user app:1 -- true

# Signals reach the command.
start "$MORSEL_BIN/morsel" run app:1 -- sh -c 'trap "exit 9" TERM; echo ready; while :; do read -t 1 x; done' \
  >"$WORK/sig"
pid=$!
for ((i = 0; i < 400; i++)); do
  grep -q ready "$WORK/sig" && break
  read -rt 0.05 <> <(:) || true
done
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
[[ $code == 9 || $code == 143 ]] || fail "TERM gave $code"

# A source is converted first.
[[ $(run "$source" -- sh -c 'echo $APP') == python ]] || fail "run SOURCE"

[[ -z $(morsel attach --list -q) ]] || fail "a device is left"
expect_exit 0 morsel doctor --dry-run
