#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two keys in one root: an admitted key's images share chunks with the first's,
# but neither opens the other's; a key that was not admitted cannot convert.
. "$(dirname "$0")/lib.sh"
requires jq

morsel convert -q "$(image nasty)" first:1 >/dev/null
chunk_count() { find "$MORSEL_STATE_DIR/origin" -path '*/chunks/*' -type f | wc -l; }
before=$(chunk_count)
morsel keys create -q --key-file "$WORK/key2" >/dev/null
expect_exit 1 morsel convert --key-file "$WORK/key2" "$(image nasty)" second:1
expect_text "$WORK/err" "roots admit"
expect_exit 3 morsel inspect second:1
root=$(morsel roots -q)
morsel roots admit "$root" "$WORK/key2"
morsel convert --json --key-file "$WORK/key2" "$(image nasty)" second:1 >"$WORK/json"
[[ $(jq .new_chunk_count "$WORK/json") == 0 ]] || fail "nothing is shared"
[[ $(chunk_count) == "$before" ]] || fail "chunks were stored twice"
expect_exit 1 morsel inspect second:1
expect_exit 0 morsel inspect --key-file "$WORK/key2" second:1
expect_exit 1 morsel inspect --key-file "$WORK/key2" first:1
