#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ready time: from the start of the command to its first output, with nothing
# of the image on the worker and the page cache dropped. Against the same
# container on a local unpacked copy (the limit), and against unpacking first.
source "$(dirname "$0")/lib.sh"
: "${IMAGES:?a folder with the OCI layout oci}"
IMAGE=${BENCH_IMAGE:-python}
PROGRAM=(python3 -c 'print(1)')

morsel convert -q "oci:$IMAGES/oci:$IMAGE" bench:ready >/dev/null

run_morsel() { morsel run --stats-file "$WORK/stats" bench:ready -- "${PROGRAM[@]}"; }

unpack() {
  umoci unpack --image "$IMAGES/oci:$IMAGE" "$WORK/bundle" >/dev/null
  jq --args '.process.args = $ARGS.positional | .process.terminal = false
      | .linux.namespaces |= map(select(.type != "network"))' \
    "${PROGRAM[@]}" <"$WORK/bundle/config.json" >"$WORK/config.json"
  mv "$WORK/config.json" "$WORK/bundle/config.json"
}

run_unpacked() { runc run --bundle "$WORK/bundle" "bench-$$" </dev/null; }

unpack_and_run() {
  rm -rf "$WORK/bundle"
  unpack
  run_unpacked
}

cold=()
local_copy=()
whole=()
for _ in 1 2 3 4 5; do
  drop_caches
  cold+=("$(milliseconds run_morsel)")
done
for _ in 1 2 3; do
  drop_caches
  whole+=("$(milliseconds unpack_and_run)")
done
for _ in 1 2 3 4 5; do
  drop_caches
  local_copy+=("$(milliseconds run_unpacked)")
done
a=$(median "${cold[@]}")
b=$(median "${local_copy[@]}")
c=$(median "${whole[@]}")
row "morsel run, cold (median of 5)" "$a ms"
row "the same on an unpacked local copy, cold" "$b ms; morsel is $(ratio "$a" "$b") x that"
row "unpack by umoci, then run" "$c ms; morsel is $(ratio "$c" "$a") x faster"
loaded=$(jq .bytes_loaded "$WORK/stats")
stored=$(morsel inspect --json bench:ready | jq .stored_bytes)
row "loaded by python3 -c 'print(1)'" \
  "$((loaded / 1048576)) of $((stored / 1048576)) MiB, $(awk -v a="$loaded" -v b="$stored" 'BEGIN { printf "%.1f", 100 * a / b }') %"
