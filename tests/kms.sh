#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys in a service that speaks AWS KMS: convert and read; a key that is denied
# locks what it wrapped, and nothing else; a record in another's place and a
# wrong secret are told apart; rotation from one key to another, and from a file.
. "$(dirname "$0")/lib.sh"
requires jq
kms=$MORSEL_BIN/../bin-test/test-kms
[[ -x $kms ]] || skip "needs the program test-kms of this build"

mkfifo "$WORK/orders" "$WORK/answers"
"$kms" id secret key-1=alias/app key-2 <"$WORK/orders" >"$WORK/answers" &
STARTED+=($!)
exec 8>"$WORK/orders" 9<"$WORK/answers"
read -r url <&9
order() {
  echo "$1" >&8
  read -r _ <&9
}
export AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=secret
export MORSEL_KEYS_PROVIDER=aws-kms MORSEL_KMS_REGION=test-1
export MORSEL_KMS_ENDPOINT=$url MORSEL_KMS_KEY=alias/app

source=$(image nasty)
expect_exit 1 env -u MORSEL_KMS_KEY "$MORSEL_BIN/morsel" convert "$source" app:1
expect_text "$WORK/err" "kms.key"
morsel convert -q "$source" app:1 >/dev/null
[[ ! -e $MORSEL_STATE_DIR/key ]] || fail "a key file was made"
morsel verify app:1 >/dev/null
morsel tag app:1 other:1
morsel inspect other:1 >/dev/null
expect_exit 1 env AWS_SECRET_ACCESS_KEY=wrong "$MORSEL_BIN/morsel" inspect app:1
expect_text "$WORK/err" "InvalidSignature"

# A pointer that someone put in another's place does not open there.
morsel convert -q "$(image nasty-plain)" victim:1 >/dev/null
images=$MORSEL_STATE_DIR/origin/images
cp "$images/app/1.json" "$images/victim/1.json"
expect_exit 4 morsel inspect victim:1
# Nor does its record's wrapping under another name.
record=$MORSEL_STATE_DIR/origin/manifests/$(jq -r \
  '.placements[""].current' "$images/app/1.json").json
cp "$record" "$WORK/record"
jq -c '.wrapped_keys.victim = .wrapped_keys.app' "$WORK/record" >"$record"
expect_exit 4 morsel inspect victim:1
expect_text "$WORK/err" "another's place"
cp "$WORK/record" "$record"

# Another key: its images stay open when the first is denied.
root=$(morsel roots -q)
MORSEL_KMS_KEY=key-2 expect_exit 0 morsel convert -q "$source" second:1
order "deny key-1"
expect_exit 1 morsel inspect app:1
expect_text "$WORK/err" "AccessDenied"
MORSEL_KMS_KEY=key-2 expect_exit 0 morsel inspect second:1
expect_exit 1 morsel convert "$source" app:2
expect_exit 3 morsel inspect app:2
morsel images >/dev/null
order "allow key-1"
morsel inspect app:1 >/dev/null

# Rotation to the second key; then the first may go.
export MORSEL_KMS_KEY=key-2
[[ $(morsel keys rotate --json | jq .of_other_keys) == 0 ]] || fail "rotate"
order "deny key-1"
morsel inspect app:1 >/dev/null
morsel inspect other:1 >/dev/null
[[ $(morsel roots -q) == "$root" ]] || fail "another root"

# The service is away: exit 5, and nothing is lost.
MORSEL_KMS_ENDPOINT=http://127.0.0.1:1 expect_exit 5 morsel inspect app:1
expect_text "$WORK/err" "nobody answers"
