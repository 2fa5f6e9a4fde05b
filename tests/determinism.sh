#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same image in the same root gives the same chunk names, whatever the
# machine's state and the layers' compression; and the plain file system is the
# same in every root.
. "$(dirname "$0")/lib.sh"
requires python3 zstd jq

chunks_of() { morsel inspect --json --chunks "$1" | jq -c .chunks; }

convert() { morsel convert -q "$1" "$2" >/dev/null; }

convert "$(image nasty-gzip)" det:first
expected=$(chunks_of det:first)
[[ $(jq length <<<"$expected") -gt 0 ]] || fail "no chunks"

(TZ=Asia/Kathmandu LC_ALL=C convert "$(image nasty-gzip)" det:tz)
(umask 077 && MORSEL_CONVERT_THREADS=1 convert "$(image nasty-gzip)" det:one)
(umask 000 && MORSEL_CONVERT_THREADS=7 convert "$(image nasty-gzip)" det:seven)
(E2FSPROGS_FAKE_TIME=1 MALLOC_PERTURB_=85 convert "$(image nasty-gzip)" det:fake)
convert "$(image nasty-zstd)" det:zstd
convert "$(image nasty-plain)" det:plain
for tag in tz one seven fake zstd plain; do
  [[ $(chunks_of "det:$tag") == "$expected" ]] || fail "det:$tag differs"
done

# Another root: other names, the same plain image.
morsel convert -q --ext4 "$WORK/here" "$(image nasty-gzip)"
MORSEL_STATE_DIR=$WORK/other morsel convert -q --ext4 "$WORK/there" \
  "$(image nasty-zstd)"
python3 "$TESTS/same_sparse.py" "$WORK/here" "$WORK/there" ||
  fail "the plain images differ"
MORSEL_STATE_DIR=$WORK/other convert "$(image nasty-gzip)" det:first
other=$(MORSEL_STATE_DIR=$WORK/other chunks_of det:first)
[[ $other != "$expected" ]] || fail "two roots share a salt"
[[ $(jq -c 'map(.index)' <<<"$other") == "$(jq -c 'map(.index)' <<<"$expected")" ]] ||
  fail "the chunks lie elsewhere in another root"
