#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `morsel record` keeps with an image what its start reads, and the next start has
# that loaded ahead: never more, also of a profile that somebody made up.
. "$(dirname "$0")/lib.sh"
requires root fuse loop runc jq

morsel convert -q "$(image base)" start:1 >/dev/null

# start [COMMAND...]: a run with a cold cache; its statistics are in $WORK/stats.
start() {
  morsel run --stats-file "$WORK/stats" start:1 -- "${@:-true}" >"$WORK/out"
}
prefetched() { jq .prefetched "$WORK/stats"; }
profile() { morsel inspect --json start:1 | jq .startup_chunks; }

start echo ready
[[ $(prefetched) == 0 ]] || fail "something was loaded ahead of a first start"
loaded=$(jq .chunks_loaded "$WORK/stats")
[[ $(profile) == 0 ]] || fail "there is a profile before one is recorded"

# keeps PROFILE CODE TEXT [ARGUMENT...]: this `record` fails with this exit code
# and text, prints no facts, and start:1 has the profile that it had before.
keeps() {
  local before=$1
  expect_exit "$2" "$MORSEL_BIN/morsel" record "${@:4}"
  expect_text "$WORK/err" "$3"
  [[ ! -s $WORK/out ]] || fail "facts of nothing: $(cat "$WORK/out")"
  [[ $(profile) == "$before" ]] || fail "not $before but $(profile) are kept"
}

# Nothing is kept of a command that fails, whatever by, or that does not start;
# the exit code tells which.
keeps 0 1 "failed (exit code 3): nothing is recorded" start:1 -- sh -c 'exit 3'
keeps 0 1 "failed (exit code 125)" start:1 -- sh -c 'exit 125'
keeps 0 3 "no-such-command" start:1 -- no-such-command
keeps 0 3 "none:1" none:1 -- true
for seconds in 0 0.0001 1e-9 -1 0x1 ' 1' 1s inf 86401; do
  keeps 0 1 "--for" --for "$seconds" start:1 -- true
done

# The facts have standard output for themselves.
expect_exit 0 morsel record start:1 -- echo ready
expect_text "$WORK/err" "ready"
[[ $(<"$WORK/out") == "start:1: recorded $loaded chunks"* ]] ||
  fail "not $loaded chunks: $(cat "$WORK/out")"
id=$(morsel inspect -q start:1)
[[ $(morsel record -q start:1 -- echo ready 2>/dev/null) == "$id" ]] ||
  fail "record -q prints no id"
echo '{' | morsel record --json -i start:1 -- sh -c 'read -r x; echo "$x ready"' \
  >"$WORK/out" 2>"$WORK/err"
expect_text "$WORK/err" "{ ready"
[[ $(field "$WORK/out" .manifest_id) == "$id" ]] || fail "record --json"
expect_exit 0 morsel record start:1 -- echo ready
[[ $(profile) == "$loaded" ]] || fail "$(profile) of $loaded chunks are kept"
morsel inspect start:1 >"$WORK/out"
expect_text "$WORK/out" "startup       $loaded chunks"

start echo ready
expect_text "$WORK/out" "ready"
ahead=$(prefetched)
((ahead > 0 && ahead <= loaded)) || fail "$ahead of $loaded were loaded ahead"
[[ $(jq .chunks_loaded "$WORK/stats") == "$loaded" ]] ||
  fail "the profile has other chunks than a start reads"
# The same image under another name, and a limit of nothing.
morsel tag start:1 other:1
morsel run --stats-file "$WORK/stats" other:1 -- true
(($(prefetched) > 0)) || fail "another name has no profile"
MORSEL_AGENT_PREFETCH_BYTES=0 start
[[ $(prefetched) == 0 ]] || fail "more was loaded ahead than may be"

# Another image under the name keeps the part of the profile that it has.
morsel convert -q "$(image python)" other:1 >/dev/null
kept=$(morsel inspect --json other:1 | jq .startup_chunks)
((kept > 0 && kept <= loaded)) || fail "$kept of $loaded chunks were taken over"
[[ $(profile) == "$loaded" ]] || fail "the first image lost its profile"

# What runs for ever is recorded for a while, and what it does after that is of
# no matter, neither its exit code nor what it reads.
morsel record --json --for 1 other:1 -- sh -c \
  'trap "cat /usr/bin/* /usr/lib/*/* >/dev/null 2>&1; exit 7" TERM
   while :; do sleep 0.1; done' >"$WORK/out"
served=$(field "$WORK/out" .startup_chunks)
((served > 0)) || fail "a server has no profile"
morsel record --json other:1 -- sh -c \
  'cat /usr/bin/* /usr/lib/*/* >/dev/null 2>&1; exit 0' >"$WORK/out"
((served < $(field "$WORK/out" .startup_chunks))) ||
  fail "what was read after the time was up is in the profile"
# Neither does one get away that hears no SIGTERM, nor one that runc has not made
# yet when it is first to be killed.
timeout 120 "$MORSEL_BIN/morsel" record -q --for 0.5 other:1 -- sleep 1000
mkdir "$WORK/slow"
real=$(command -v runc)
cat >"$WORK/slow/runc" <<END
#!/bin/bash
if [[ " \$* " == *" kill "* ]]; then
  touch "$WORK/slow/killed"
elif [[ " \$* " == *" run "* ]]; then
  until [[ -e "$WORK/slow/killed" ]]; do read -rt 0.05 <> <(:); done
fi
exec "$real" "\$@"
END
chmod +x "$WORK/slow/runc"
# SIGTERM finds it deaf from its first moment on.
PATH=$WORK/slow:$PATH timeout 120 bash -c 'trap "" TERM; exec "$@"' deaf \
  "$MORSEL_BIN/morsel" record -q --for 0.001 other:1 -- sleep 1000
[[ -e $WORK/slow/killed ]] || fail "nothing was killed"

# A device that fails, or does not say what was read, or was asked for nothing,
# takes no profile away. The container here has the host's files in reach.
cp -a "$MORSEL_STATE_DIR/origin" "$WORK/other-origin"
(
  export MORSEL_ORIGIN=$WORK/other-origin
  keeps "$loaded" 1 "the device failed: nothing is recorded" \
    -v "$MORSEL_ORIGIN:/o" start:1 -- sh -c \
    'rm -r /o/roots/*/chunks; cat /usr/bin/* /usr/lib/*/* >/dev/null 2>&1; exit 0'
)
keeps "$loaded" 1 "what was read is not known: nothing is recorded" \
  -v "$MORSEL_RUN_DIR/devices:/d" start:1 -- sh -c 'rm /d/*/stats'
keeps "$loaded" 1 "no chunk of the image was read: nothing is recorded" \
  -v "$MORSEL_RUN_DIR/devices:/d" start:1 -- sh -c \
  'for page in /d/*/stats; do
     dd if=/dev/zero of="$page" bs=8 seek=11 count=480 conv=notrunc
   done'

# Who can write to the origin can make a start load no more than the image has.
record=$MORSEL_STATE_DIR/origin/manifests/$id.json
# edit VALUE: the profile in the record.
edit() {
  jq ".startup_chunks = $1" "$record" >"$WORK/edited"
  cp "$WORK/edited" "$record"
}
edit '[4294967295, 1, 1, 1, 77777, 0, 0]'
start echo ready
expect_text "$WORK/out" "ready"
(($(prefetched) <= 2)) || fail "$(prefetched) chunks were loaded ahead of 2"
# What is no profile is none, and takes nothing else away.
for bad in '[range(961)]' '[-1]' '[1.5]' '"x"' '{}' '[4294967296]'; do
  edit "$bad"
  start echo ready 2>"$WORK/err"
  expect_text "$WORK/out" "ready"
  expect_text "$WORK/err" "startup profile is damaged"
  [[ $(prefetched) == 0 ]] || fail "$bad: something was loaded ahead"
  [[ $(profile 2>/dev/null) == 0 ]] || fail "$bad counts as a profile"
done
morsel record -q start:1 -- echo ready >/dev/null 2>&1
[[ $(profile) == "$loaded" ]] || fail "a damaged profile was not recorded anew"
edit '"x"'
morsel record --forget start:1 2>/dev/null
[[ $(jq .startup_chunks "$record") == null ]] || fail "a damaged profile stays"
edit '[0]'

expect_exit 2 morsel record --forget start:1 -- true
expect_exit 2 morsel record --forget --for 1 start:1
expect_exit 2 morsel record --forget oci:somewhere
expect_text "$WORK/err" "--forget wants the NAME"
[[ $(profile) == 1 ]] || fail "a usage error has forgotten the profile"
morsel record --forget --json start:1 >"$WORK/out"
[[ $(jq -c '[.name, .manifest_id, .startup_chunks]' "$WORK/out") == \
  "[\"start:1\",\"$id\",0]" ]] || fail "--forget says: $(cat "$WORK/out")"
[[ $(morsel record --forget -q start:1) == "$id" ]] || fail "--forget -q"
morsel record --forget start:1
[[ $(profile) == 0 ]] || fail "the profile was not forgotten"
start
[[ $(prefetched) == 0 ]] || fail "a forgotten profile is loaded"
