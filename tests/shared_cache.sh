#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several devices of one worker on one shared local cache: all read a real image
# right, each chunk is fetched from the origin once, no device starts a cache of
# its own, and the arena stays within its limit when ten times as much is read.
. "$(dirname "$0")/lib.sh"
requires root fuse loop jq

morsel convert -q "$(image base)" shared:1 >/dev/null
start_local_cache MEMORY_BYTES=512MiB

# sums DIR: of all files of the mounted image.
sums() { (cd "$1" && find . -xdev -type f -print0 | sort -z | xargs -0 sha256sum); }

pids=()
for name in a b c; do
  mkdir "$WORK/$name"
  morsel mount -q --read-only shared:1 "$WORK/$name" >/dev/null
  sums "$WORK/$name" >"$WORK/$name.sums" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "a device cannot be read"; done
(($(wc -l <"$WORK/a.sums") > 1000)) || fail "hardly any file was read"
for name in b c; do
  cmp "$WORK/a.sums" "$WORK/$name.sums" || fail "the devices differ"
done
fetched=$(tier origin hits)
chunks=$(morsel stat --json | jq .local_cache.arena_chunks)
[[ $fetched == "$chunks" ]] || fail "$fetched fetches for $chunks chunks"
for pid in $(own_processes); do
  [[ $pid == "$LOCAL_CACHE" || $(cat "/proc/$pid/comm") != morsel-localcac* ]] ||
    fail "a private local cache runs"
done
morsel stat >"$WORK/stat"
expect_text "$WORK/stat" "3 clients"
expect_text "$WORK/stat" "shared:1"
morsel top --count 2 --json >"$WORK/top"
[[ $(jq -s length "$WORK/top") == 2 ]] || fail "top printed something else"
for name in a b c; do morsel umount "$WORK/$name" >/dev/null; done

# An arena of a tenth of what is read, under another policy.
bytes=$(tier origin bytes)
limit=$((bytes / 10))
room=$((bytes / 5))
stop_local_cache
export MORSEL_CACHE_POLICY=clock
expect_exit 2 "$MORSEL_BIN/morsel-localcache"
expect_text "$WORK/err" "there are lru-k, lru, fifo, s3-fifo, sieve"
export MORSEL_CACHE_POLICY=s3-fifo
start_local_cache MEMORY_BYTES=$limit FLASH_DIR="$WORK/flash" \
  FLASH_BYTES=$room
morsel mount -q --read-only shared:1 "$WORK/a" >/dev/null
sums "$WORK/a" | cmp - "$WORK/b.sums" || fail "other bytes from a small arena"
taken=$(($(stat -c %b "$WORK/shm/arena") * 512))
((taken <= limit && taken > limit * 9 / 10)) ||
  fail "the arena takes $taken of $limit bytes"
taken=$(($(stat -c %b "$WORK/flash/localcache.flash") * 512))
# The file system's own blocks of the file come on top.
((taken * 100 <= room * 101)) || fail "flash takes $taken of $room bytes"
[[ $(morsel stat --json | jq .local_cache.arena_evictions) != 0 ]] ||
  fail "nothing was evicted"
morsel umount "$WORK/a" >/dev/null
