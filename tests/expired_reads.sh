#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whoever reads an image of an expired root by a verb gets it, and raises the
# alarm that stops all deletion; who may not write is told so. Nothing of the
# kind happens where a root is active or retired.
# TEST_ORIGIN=s3: with the origin in S3.
. "$(dirname "$0")/lib.sh"
requires root python3 jq setpriv
origin_of_test

export MORSEL_GC_MIN_RETIRED=0 MORSEL_WORKER=w3
morsel convert -q "$(image nasty)" app:1 >/dev/null
old=$(morsel roots -q)
new=$(morsel roots new -q)
morsel roots retire "$old" -q >/dev/null
for verb in inspect verify; do morsel "$verb" app:1 >/dev/null; done
[[ -z $(objects list alarms/) ]] || fail "an alarm of a read of a retired root"

# As only a broken collector leaves it.
objects get "roots/$old/state.json" >"$WORK/state.json"
jq -c '.state = "expired" | .history += [{state: "expired", at: .history[-1].at}]' \
  "$WORK/state.json" | objects put "roots/$old/state.json"

if [[ ${TEST_ORIGIN:-} != s3 ]]; then
  chmod 711 "$WORK" "$MORSEL_STATE_DIR"
  expect_exit 0 setpriv --reuid 65534 --clear-groups \
    "$MORSEL_BIN/morsel" inspect --no-key app:1
  expect_text "$WORK/err" "the alarm could not be raised"
  [[ -z $(objects list alarms/) ]] || fail "an alarm without the right to raise it"
fi
for verb in "inspect app:1" "inspect --oci-config app:1" "verify app:1"; do
  # shellcheck disable=SC2086  # words
  expect_exit 0 morsel $verb
  expect_text "$WORK/err" "the root $old is expired"
  expect_text "$WORK/err" "an alarm stops all deletion"
  expect_exit 5 morsel gc status
  expect_text "$WORK/out" "read by morsel ${verb%% *} on w3"
  morsel gc resume -q
done
# Who has not got its key has read of it all the same.
morsel keys create --key-file "$WORK/other" -q >/dev/null
verbs=("inspect app:1" "verify app:1" "attach app:1" "mount app:1 $WORK" "run app:1" "tag app:1 app:2")
for verb in "${verbs[@]}"; do
  code=1
  [[ $verb != run* ]] || code=125
  # shellcheck disable=SC2086  # words
  expect_exit "$code" morsel ${verb%% *} --key-file "$WORK/other" ${verb#* }
  expect_text "$WORK/err" "the root $old is expired"
  expect_exit 5 morsel gc status
  expect_text "$WORK/out" "read by morsel ${verb%% *} on w3"
  morsel gc resume -q
done
# No new name for what lies in it.
expect_exit 5 morsel tag app:1 app:2
expect_text "$WORK/err" "an alarm stops all deletion"

age_root "$old"
expect_exit 5 morsel gc run
[[ -n $(objects list "roots/$old/chunks/") ]] || fail "deleted in spite of an alarm"
morsel gc resume -q
[[ $(morsel inspect app:1 --json | jq -r .root) == "$new" ]] || fail "not moved"
[[ -z $(morsel gc status --json | jq -r '.alarms[]') ]] ||
  fail "an alarm of a read of an active root"
morsel gc run -q
[[ $(objects list "roots/$old/") == "roots/$old/state.json" ]] ||
  fail "left: $(objects list "roots/$old/")"
morsel verify app:1 -q >/dev/null
