#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ready time: from the start of the command to the first output of the
# container, with nothing of the image on the worker and the page cache
# dropped, before and after `morsel record`. Against the same container on an
# unpacked local copy, page cache dropped (the limit), and against unpacking first. Then, which share of the
# image a program loads.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
IMAGE=${BENCH_IMAGE:-python}
ROUNDS=5
PROGRAM=(python3 -c 'print(1)')

run_morsel() {
  "$MORSEL_BIN/morsel" run --stats-file "$WORK/stats" bench:ready -- "$@"
}

# as_json WORD...: a list.
as_json() { jq -cn '$ARGS.positional' --args -- "$@"; }

unpack() {
  rm -rf "$WORK/bundle"
  umoci unpack --image "$IMAGES/oci:$IMAGE" "$WORK/bundle" >/dev/null 2>&1
  jq --argjson words "$(as_json "${PROGRAM[@]}")" \
    '.process.args = $words | .process.terminal = false
      | .linux.namespaces |= map(select(.type != "network"))' \
    <"$WORK/bundle/config.json" >"$WORK/config.json"
  mv "$WORK/config.json" "$WORK/bundle/config.json"
}

run_unpacked() { runc run --bundle "$WORK/bundle" "morsel-bench-$$"; }
at_exit "runc delete -f morsel-bench-$$"

unpack_and_run() {
  unpack
  run_unpacked
}

# share PROGRAM...: "24 of 290 MiB, 8.3 %" that it loads with cold caches.
share() {
  drop_caches
  quietly run_morsel "$@"
  awk -v a="$(jq .bytes_loaded "$WORK/stats")" -v b="$STORED" 'BEGIN {
    printf "%.1f of %.1f MiB, %.1f %%", a / 1048576, b / 1048576, 100 * a / b }'
}

quietly morsel convert -q "oci:$IMAGES/oci:$IMAGE" bench:ready
STORED=$(morsel inspect --json bench:ready | jq .stored_bytes)
unpack
cold=() local_copy=() whole=() attach=()
for ((i = 0; i < ROUNDS; i++)); do
  drop_caches
  cold+=("$(first_output run_morsel "${PROGRAM[@]}")")
  attach+=("$(jq .attach_ms "$WORK/stats")")
  drop_caches
  local_copy+=("$(first_output run_unpacked)")
done
loaded_by_pass=$(share python3 -c pass)
loaded_by_true=$(share true)
quietly morsel record bench:ready -- "${PROGRAM[@]}"
recorded=() beside=()
for ((i = 0; i < ROUNDS; i++)); do
  drop_caches
  recorded+=("$(first_output run_morsel "${PROGRAM[@]}")")
  drop_caches
  beside+=("$(first_output run_unpacked)")
done
for ((i = 0; i < 3; i++)); do
  drop_caches
  whole+=("$(first_output unpack_and_run)")
done
a=$(median "${cold[@]}")
b=$(median "${local_copy[@]}")
c=$(median "${whole[@]}")
row "morsel run, $IMAGE, cold (median of $ROUNDS)" \
  "$a ms, of which attach $(median "${attach[@]}") ms"
row "unpacked local copy, cold (median of $ROUNDS)" "$b ms"
row "morsel against the local copy" "$(held "$(ratio "$a" "$b")" at-most 1.25 x)"
row "umoci unpack, then run (median of 3)" "$c ms"
row "how much faster than unpacking" "$(ratio "$c" "$a") x"
a=$(median "${recorded[@]}")
b=$(median "${beside[@]}")
row "the same after morsel record" "$a ms, local copy $b ms"
row "recorded against the local copy" \
  "$(held "$(ratio "$a" "$b")" at-most 1.25 x)"
row "loaded by python3 -c pass" "$loaded_by_pass"
row "loaded by true" "$loaded_by_true"
