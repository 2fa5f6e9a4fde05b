#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All figures of docs/benchmarks.md, one script a subject; `./dev bench NAME...`
# runs the named ones only. IMAGES is a folder with an OCI layout `oci`, made by
# tests/images/build.sh. A subject that fails is named at the end, and the
# others are run all the same.
set -euo pipefail
here=$(dirname "$0")
scripts=("$@")
[[ ${#scripts[@]} -gt 0 ]] ||
  scripts=(convert sharing attach reads local_cache ready pull salts
    gc zonecache zone_flash zone_reads cpu agents)

printf '%s, %s cores, %s GiB, Linux %s, commit %s, load %s\n' \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
  "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" \
  "$(uname -r)" "$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo -)" \
  "$(cut -d ' ' -f 1 /proc/loadavg)"
failed=()
for name in "${scripts[@]}"; do
  begun=$SECONDS
  printf '\n== %s\n' "$name"
  "$here/$name.sh" || failed+=("$name")
  printf -- '-- %s: %d s\n' "$name" $((SECONDS - begun))
done
((${#failed[@]} == 0)) || {
  echo "bench: failed: ${failed[*]}" >&2
  exit 1
}
