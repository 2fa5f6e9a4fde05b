#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A manifest that is damaged at any byte opens nowhere; so does a record that
# was put in another's place, and a wrong key names the key that is needed.
. "$(dirname "$0")/lib.sh"
requires jq python3

morsel convert -q "$(image nasty)" man:1 >/dev/null
id=$(morsel inspect -q man:1)
file=$(find "$MORSEL_STATE_DIR/origin/roots" -path "*/manifests/$id")
cp "$file" "$WORK/good"
size=$(stat -c %s "$file")
for offset in 0 8 12 16 24 28 32 64 100 112 116 120 $((size / 2)) $((size - 1)); do
  cp --remove-destination "$WORK/good" "$file"
  chmod 644 "$file"
  flip_bit "$file" "$offset"
  expect_exit 4 morsel inspect man:1
  expect_exit 4 morsel verify man:1
  expect_exit 4 morsel inspect --no-key man:1
done
truncate -s 50 "$file"
expect_exit 4 morsel verify man:1
rm "$file"
expect_exit 4 morsel verify man:1
cp "$WORK/good" "$file"
chmod 644 "$file"
expect_exit 0 morsel verify man:1

# What else stands between a name and its bytes.
origin=$MORSEL_STATE_DIR/origin
root=$(morsel roots -q)
for file in "$origin/roots/$root/state.json" "$origin/roots/$root/salts"/*.json \
  "$origin/manifests/$id.json" "$origin/images/man/1.json"; do
  cp "$file" "$WORK/good"
  for damage in empty junk; do
    chmod 644 "$file"
    case $damage in
      empty) : >"$file" ;;
      junk) head -c 64 /dev/urandom >"$file" ;;
    esac
    expect_exit 4 morsel verify man:1
    expect_text "$WORK/err" "${file#"$origin/"}"
    case $file in
      */images/*) expect_text "$WORK/err" "morsel rm man:1" ;;
      */salts/*) expect_text "$WORK/err" "morsel roots new" ;;
      */state.json) expect_text "$WORK/err" "write it anew" ;;
      *) expect_text "$WORK/err" "convert its image again" ;;
    esac
    expect_text "$WORK/err" "$([[ $file == */images/* ]] || echo restore it)"
  done
  cp "$WORK/good" "$file"
done
expect_exit 0 morsel verify man:1

# What these messages advise works: a record.
file=$origin/manifests/$id.json
chmod 644 "$file"
echo junk >"$file"
morsel convert -q "$(image nasty)" man:1 >"$WORK/new"
expect_exit 0 morsel verify man:1
expect_exit 4 morsel gc check
rm "$file"
expect_exit 0 morsel gc check
id=$(morsel inspect -q man:1)
# A salt.
for file in "$origin/roots/$root/salts"/*.json; do
  chmod 644 "$file"
  echo junk >"$file"
done
expect_exit 4 morsel convert "$(image nasty)" man:2
root=$(morsel roots new -q)
morsel roots retire "$(morsel roots -q | grep -vxF "$root")" -q >/dev/null
expect_exit 0 morsel convert "$(image nasty)" man:1
expect_exit 0 morsel verify man:1

# Another name's pointer: its wrapping is for its own name.
morsel convert -q "$(image nasty-plain)" other:1 >/dev/null
origin=$MORSEL_STATE_DIR/origin/images
rm "$origin/man/1.json"
cp "$origin/other/1.json" "$origin/man/1.json"
expect_exit 4 morsel inspect man:1

# A wrong key: which one is needed?
key_id=$(morsel keys -q)
morsel keys create --key-file "$WORK/wrong" -q >/dev/null
expect_exit 1 morsel inspect --key-file "$WORK/wrong" other:1
expect_text "$WORK/err" "$key_id"
chmod 644 "$WORK/wrong"
expect_exit 1 morsel inspect --key-file "$WORK/wrong" other:1
expect_exit 1 morsel inspect --key-file "$WORK/none" other:1
expect_text "$WORK/err" "keys create"
expect_exit 1 morsel convert --key-file "$WORK/none" "$(image nasty)" x:1
[[ ! -e $WORK/none ]] || fail "a key was made for an origin that has one"
