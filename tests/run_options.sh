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
# An image that is mounted below a folder is seen in it, as anything is.
mkdir "$WORK/vol/image"
ln -s "$WORK/vol" "$WORK/vol-link"
morsel mount --read-only app:1 "$WORK/vol/image"
for below in "$WORK/vol" "$WORK/vol-link"; do
  run -v "$below:/vol" app:1 -- test -d /vol/image/srv/app ||
    fail "-v: a mounted image is not seen"
done
# It is in use for as long as the container runs, and is let go after it.
mkfifo "$WORK/vol/go"
exec {GO}<>"$WORK/vol/go"
start "$MORSEL_BIN/morsel" run -v "$WORK/vol:/vol" app:1 -- \
  sh -c 'echo ready; read x </vol/go; test -d /vol/image/srv/app' >"$WORK/said"
pid=$!
wait_until grep -q ready "$WORK/said"
expect_exit 1 morsel umount "$WORK/vol/image"
expect_text "$WORK/err" "a container"
echo >&"$GO"
wait "$pid" || fail "-v: the image was taken from a running container"
expect_exit 0 morsel umount "$WORK/vol/image"
rmdir "$WORK/vol/image"
expect_exit 1 morsel run -v "$WORK/vol:/vol:ro" app:1 -- sh -c 'touch /vol/x 2>/dev/null'
expect_exit 1 morsel run --read-only app:1 -- sh -c 'touch /x 2>/dev/null'
expect_exit 0 morsel run app:1 -- sh -c 'touch /x'
[[ $(echo line | run -i app:1 -- cat) == line ]] || fail "-i"
[[ -z $(echo line | run app:1 -- cat) ]] || fail "standard input without -i"
run app:1 -- sh -c 'ls /sys/class/net' | grep -vx lo && fail "a network without --net host"
run --net host app:1 -- sh -c 'cat /etc/resolv.conf /etc/hosts' >/dev/null || fail "--net host"

# Limits, as the cgroups inside show them (v1 or v2).
run -m 64MiB --cpus 0.5 --pids-limit 20 app:1 -- sh -c '
  cd /sys/fs/cgroup
  cat memory/memory.limit_in_bytes memory.max 2>/dev/null
  cat cpu/cpu.cfs_quota_us cpu.max 2>/dev/null
  cat pids/pids.max pids.max 2>/dev/null; true' | xargs >"$WORK/limits"
grep -qxE '67108864 50000( 100000)? 20' "$WORK/limits" ||
  fail "limits: $(cat "$WORK/limits")"
expect_exit 137 morsel run -m 32MiB app:1 -- python3 -c 'x = b"x" * (1 << 28)'

# Names and addresses inside are the container's own, and files of its own.
[[ $(run --hostname box app:1 -- cat /etc/hostname) == box ]] || fail "/etc/hostname"
run --hostname box app:1 -- grep -qw box /etc/hosts || fail "/etc/hosts"
run --net host app:1 -- cat /etc/resolv.conf | cmp - /etc/resolv.conf ||
  fail "resolv.conf is not the host's"
run --net host app:1 -- sh -c 'echo x >>/etc/hosts'
! grep -qx x /etc/hosts || fail "the host's own /etc/hosts was written"

# docker's fourteen capabilities, a seccomp profile, nothing of the host's.
[[ $(run app:1 -- awk '/^CapEff|^Seccomp:/ { print $2 }' /proc/self/status | xargs) == "00000000a80425fb 2" ]] ||
  fail "capabilities and seccomp: $(run app:1 -- cat /proc/self/status)"
[[ $(run --cap-drop ALL --cap-add CHOWN app:1 -- awk '/^CapEff/ { print $2 }' /proc/self/status) == 0000000000000001 ]] ||
  fail "--cap-drop, --cap-add"
expect_exit 32 morsel run app:1 -- mount -t tmpfs none /mnt
expect_exit 1 morsel run app:1 -- unshare -U true
[[ $(run app:1 -- sh -c 'echo $$') == 1 ]] || fail "the host's processes are seen"
expect_exit 1 morsel run app:1 -- sh -c 'cat /proc/kcore >/dev/null 2>&1 && test -s /proc/kcore'

expect_exit 7 morsel run app:1 -- sh -c 'exit 7'
expect_exit 137 morsel run app:1 -- sh -c 'sh -c "kill -9 \$\$"; exit $?'
expect_exit 127 morsel run app:1 -- no-such-command
expect_exit 126 morsel run app:1 -- /etc/passwd
# A command that may lie in a bind is found missing by runc alone.
expect_exit 127 morsel run -v "$WORK/vol:/vol" app:1 -- no-such-command
expect_exit 127 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/nothing
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/file
cp "$WORK/vol/file" "$WORK/vol/is not found"
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- "/vol/is not found"
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/file/x
# What runc notices only when it becomes the command, and has no word for.
printf '#!/missing\n' >"$WORK/vol/script"
printf '#!/vol/script\n' >"$WORK/vol/outer"
printf '#!/etc/passwd\n' >"$WORK/vol/refused"
printf 'neither' >"$WORK/vol/neither"
chmod 755 "$WORK/vol"/{script,outer,refused,neither}
for command in /vol/script /vol/outer; do
  expect_exit 127 morsel run -v "$WORK/vol:/vol" app:1 -- "$command"
  expect_text "$WORK/err" "/missing"
done
expect_exit 127 morsel run -v "$WORK/vol/script:/new/place" app:1 -- /new/place
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/refused
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/neither
printf '#!/vol/sh\nexit 5\n' >"$WORK/vol/script"
ln -s /bin/sh "$WORK/vol/sh"
expect_exit 5 morsel run -v "$WORK/vol:/vol" app:1 -- /vol/outer
expect_exit 125 morsel run -v "$WORK/vol:/" app:1 -- true
expect_exit 126 morsel run -v "$WORK/vol:/vol" app:1 -- /etc
expect_exit 125 morsel run nothing:1
expect_exit 125 morsel run --net bridge app:1
expect_exit 125 morsel run -u no-such-user app:1 -- true
expect_exit 125 morsel run --cpus many app:1 -- true
expect_exit 125 morsel run --cpus inf app:1 -- true
expect_exit 125 morsel run --cpus 0.001 app:1 -- true
while read -r limit; do
  # shellcheck disable=SC2086  # words
  expect_exit 125 morsel run $limit app:1 -- true
  expect_text "$WORK/err" "--"
  expect_text "$WORK/err" "(invalid)"
done <<'END'
--cpus nan
--cpus 1e5
--cpus -1
--cpus 0x10
--pids-limit 0
--pids-limit -1
--pids-limit 4194305
--pids-limit 99999999999999999999
--pids-limit many
-m lots
-m 0
-m -1
-m 5MiB
-m 8192TiB
-m 99999999999999999999
END
expect_exit 0 morsel run --pids-limit 4194304 -m 1024TiB --cpus 8192 app:1 -- true
expect_exit 3 morsel run --stats-file /no/such/folder/stats app:1 -- sh -c 'exit 3'
expect_text "$WORK/err" /no/such/folder
(cd "$WORK" && expect_exit 0 morsel run --run-dir ./relative/ app:1 -- true)
ln -s "$WORK/relative" "$WORK/link"
expect_exit 0 morsel run --run-dir "$WORK/link" app:1 -- true
expect_exit 125 morsel run -v /no/such/folder:/x app:1 -- true
expect_text "$WORK/err" /no/such/folder
expect_exit 125 morsel run --no-such-option app:1 -- true
expect_exit 126 morsel run app:1 -- /etc

# Signals reach the command.
start "$MORSEL_BIN/morsel" run app:1 -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 1 & wait $!; done' \
  >"$WORK/sig"
pid=$!
wait_until grep -q ready "$WORK/sig"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
[[ $code == 9 || $code == 143 ]] || fail "TERM gave $code"

# A source is converted first.
[[ $(run "$source" -- sh -c 'echo $APP') == python ]] || fail "run SOURCE"

[[ -z $(morsel attach --list -q) ]] || fail "a device is left"
expect_exit 0 morsel doctor --dry-run
