#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tool's conventions: --json, -q, exit codes, names, manual, completion.
. "$(dirname "$0")/lib.sh"
requires jq man

expect_exit 3 morsel images
expect_exit 2 morsel
expect_exit 2 morsel nonsense
expect_exit 2 morsel inspect
expect_exit 125 morsel run
expect_exit 0 morsel --help
expect_exit 0 morsel help convert
expect_exit 0 morsel --version
expect_exit 3 morsel convert oci:/nowhere x
expect_exit 1 morsel convert "$(image nasty)" 'Bad Name'
expect_exit 1 morsel convert "$(image nasty)" ../escape

morsel convert --json "$(image nasty)" Tool:1 >/dev/null 2>&1 && fail "upper case"
morsel convert --json "$(image nasty)" tool/conv:1 >"$WORK/json" 2>"$WORK/err"
[[ $(field "$WORK/json" .name) == tool/conv:1 ]] || fail "name"
id=$(field "$WORK/json" .manifest_id)
[[ $(morsel convert -q "$(image nasty)" tool/conv:1) == "$id" ]] ||
  fail "the same image again is another manifest"
[[ $(morsel images -q) == tool/conv:1 ]] || fail "images -q"
morsel images --json | jq -e '.[0].stored_bytes > 0' >/dev/null || fail "images --json"
morsel tag tool/conv:1 again:2
[[ $(morsel inspect -q again:2) == "$id" ]] || fail "tag"
[[ $(morsel inspect -q "again@$id") == "$id" ]] || fail "name@id"
morsel inspect --json tool/conv:1 | jq -e '.config.os == "linux"' >/dev/null || fail "config"
morsel inspect --json --no-key tool/conv:1 | jq -e 'has("config") | not' >/dev/null || fail "no-key"
morsel rm tool/conv:1 >/dev/null
expect_exit 3 morsel inspect tool/conv:1
expect_exit 3 morsel rm tool/conv:1
expect_exit 0 morsel verify again:2
code=0
morsel images --json >/dev/full 2>"$WORK/err" || code=$?
[[ $code == 5 ]] || fail "a full standard output gave $code"
expect_text "$WORK/err" "standard output"
# A pointer that is damaged hides no other, and goes with its name.
morsel tag -q again:2 broken:1
echo '{' >"$MORSEL_STATE_DIR/origin/images/broken/1.json"
expect_exit 4 morsel images
expect_text "$WORK/out" "morsel rm broken:1"
expect_text "$WORK/out" again:2
expect_exit 4 morsel convert "$(image nasty)" broken:1
expect_text "$WORK/err" "morsel rm broken:1"
morsel rm -q broken:1 2>/dev/null
[[ $(morsel images -q) == again:2 ]] || fail "the damaged pointer is still there"
morsel roots --json | jq -e '.[0].state == "active"' >/dev/null || fail "roots"
[[ $(morsel keys -q) =~ ^[0-9a-f]{16}$ ]] || fail "keys"
MORSEL_NO_SUCH_KEY=1 morsel images -q >/dev/null
echo 'no_such_setting = 1' >"$WORK/bad.toml"
expect_exit 1 morsel images --config "$WORK/bad.toml"
expect_text "$WORK/err" "bad.toml:1"

# What is no plain file stays as it is, and a file stays until the end.
mkfifo "$WORK/fifo"
expect_exit 1 morsel convert --ext4 "$WORK/fifo" "$(image nasty)"
[[ -p $WORK/fifo ]] || fail "the fifo is gone"
echo kept >"$WORK/old"
expect_exit 3 morsel convert --ext4 "$WORK/old" oci:/nowhere
[[ $(<"$WORK/old") == kept ]] || fail "a failed export has changed its file"
# Nothing of an image steers the terminal.
mkdir "$WORK/evil"
echo '{"imageLayoutVersion":"1.0.0"}' >"$WORK/evil/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"digest":"\\u001b[31m\\nmorsel: fake","size":1}]}' \
  >"$WORK/evil/index.json"
morsel convert "oci:$WORK/evil" x 2>"$WORK/err" && fail "it converts"
[[ $(wc -l <"$WORK/err") == 1 ]] || fail "more than a line: $(cat -v "$WORK/err")"
grep -q $'\x1b' "$WORK/err" && fail "an escape sequence: $(cat -v "$WORK/err")"
expect_exit 125 morsel run --overlay '' again:2 -- true

morsel man "$WORK/man"
for page in "$WORK"/man/*.1; do
  LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" >/dev/null 2>"$WORK/err"
  [[ ! -s $WORK/err ]] || fail "$page: $(head -n 3 "$WORK/err")"
done
bash -n <(morsel completion bash) || fail "completion"
