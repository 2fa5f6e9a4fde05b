#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A base and three images built on it take at most 1.10 times the space of one
# copy of each distinct file, metadata included, at a mean chunk over 350 KiB.
. "$(dirname "$0")/lib.sh"
requires root umoci jq

images=(base python git perl)
for name in "${images[@]}"; do
  source=$(image "$name")
  morsel convert -q "$source" "share:$name" >/dev/null
  umoci unpack --image "${source#oci:}" "$WORK/bundle" >/dev/null 2>&1
  find "$WORK/bundle/rootfs" -xdev -type f -printf '%s ' \
    -exec sha256sum --zero {} \; | tr '\0' '\n' |
    awk '{ print $2, $1 }' >>"$WORK/files"
  rm -rf "$WORK/bundle"
done
ideal=$(sort -u -k1,1 "$WORK/files" |
  awk '{ sum += int(($2 + 4095) / 4096) * 4096 } END { printf "%d", sum }')
read -r stored count < <(find "$MORSEL_STATE_DIR/origin" -path '*/chunks/*' \
  -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d %d\n", sum, NR }')
echo "ideal $ideal bytes, stored $stored in $count chunks:" \
  "$(awk -v a="$stored" -v b="$ideal" 'BEGIN { printf "%.3f", a / b }')"
((stored * 100 <= ideal * 110)) || fail "more than 1.10 times the ideal"
((stored / count > 350 * 1024)) || fail "the mean chunk is under 350 KiB"
