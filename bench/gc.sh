#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Collecting garbage: time, requests and peak memory of the passes that move
# half of the images of a root, expire it and delete it, for several numbers of
# manifests of 100 chunks each. The origin lies in memory (/dev/shm), so that
# the collector itself is seen; a real store adds its latency to each request,
# eight at once.
source "$(dirname "$0")/lib.sh"
read -ra counts <<<"${BENCH_GC:-1000 10000}"

folder=$(mktemp -d /dev/shm/morsel-bench-gc-XXXXXX)
at_exit "rm -rf $folder"
for count in "${counts[@]}"; do
  echo "$count manifests of 100 chunks"
  TMPDIR=$folder "$BENCH_BIN/gc" build "$folder/$count" "$count" 100
  for _ in 1 2 3; do "$BENCH_BIN/gc" pass "$folder/$count"; done
  rm -rf "${folder:?}/$count"
done
