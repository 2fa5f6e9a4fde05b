#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Faults between Morsel and an S3 service under convert and gc run: connections
# that are reset before a request and before its answer, answers that are cut
# short, late or damaged, 500, 503 and 403. What is lost now and then is asked
# again; what lasts ends with its exit code and a clear message, after a bounded
# number of requests; nothing is half published, nothing that is published is
# lost, and all goes on when the faults end.
. "$(dirname "$0")/lib.sh"
requires python3 jq
s3
through_proxy

export MORSEL_GC_MIN_RETIRED=0
source=$(image nasty)
python3 "$TESTS/images/index.py" "$WORK/index"
morsel convert -q "$source" keep:1 >/dev/null
chunk_count=$(morsel inspect keep:1 --json | jq .chunk_count)

whole() {
  proxy fault none
  morsel verify keep:1 -q >/dev/null || fail "$1: keep:1 cannot be read"
  morsel gc check -q || fail "$1: $(morsel gc check)"
}

# Now and then: every verb does what it should.
number=1
for fault in reset lost cut status=503 status=500 delay=20; do
  proxy fault "$fault" 7
  number=$((number + 1))
  morsel convert -q "$source" "often$number/x:1" >/dev/null ||
    fail "convert with every 7th request: $fault"
  morsel verify "often$number/x:1" -q >/dev/null || fail "verify: $fault"
  morsel images -q >/dev/null || fail "images: $fault"
done
whole "now and then"

# always FAULT CODE TEXT [PATTERN]: a convert of new content fails so, shows
# nothing, and asks a bounded number of times: the budget of retries (100), and
# what is in flight.
always() {
  proxy fault "$1" 1 "${4:-.}"
  proxy forget
  expect_exit "$2" morsel convert "oci:$WORK/index:both" broken:1
  expect_text "$WORK/err" "$3"
  (($(proxy count "${4:-.}") <= 150)) ||
    fail "$1: $(proxy count "${4:-.}") requests for one convert"
  proxy fault none
  expect_exit 3 morsel inspect broken:1
  [[ -z $(objects list images/broken/) || ${4:-} == *images* ]] ||
    fail "$1: a pointer of a convert that failed"
}

always status=500 5 "500" 'PUT .*/chunks/'
always status=403 1 "AccessDenied" 'PUT .*/chunks/'
for place in . 'PUT .*/chunks/' 'PUT .*/manifests/' 'PUT .*/images/'; do
  always reset 5 "" "$place"
  always status=503 5 "503" "$place"
done
always status=403 1 "AccessDenied" 'PUT .*/images/'
always lost 5 "" 'GET '
always cut 5 "" 'GET '
whole "all the time"
# A chunk or manifest whose answer was lost is there at the second try.
proxy fault lost 2 'PUT .*/(chunks|manifests)/'
morsel convert -q --platform linux/arm64/v8 "oci:$WORK/index:both" late:1 >/dev/null
proxy fault none
morsel verify late:1 -q >/dev/null
# What was stored before is not sent again.
morsel convert --json "oci:$WORK/index:both" broken:1 >"$WORK/broken.json"
(($(field "$WORK/broken.json" .new_chunk_count) == 0)) ||
  fail "sent again: $(cat "$WORK/broken.json")"
morsel verify broken:1 -q >/dev/null

# Wrong bytes are never taken for right ones.
proxy fault flip 1 'GET .*/chunks/'
expect_exit 4 morsel verify keep:1
expect_text "$WORK/out" "$chunk_count damaged"
proxy fault flip 1 'GET .*/manifests/[0-9a-f]*$'
expect_exit 4 morsel inspect keep:1
expect_text "$WORK/err" "is damaged"
whole "wrong bytes"

# Collecting garbage: faults all the time stop it with nothing lost.
old=$(morsel roots -q)
new=$(morsel roots new -q)
morsel roots retire "$old" -q >/dev/null
while read -r fault place; do
  proxy fault "$fault" 1 "$place"
  proxy forget
  expect_exit 5 morsel gc run
  (($(proxy count "$place") <= 150)) ||
    fail "gc run, $fault: $(proxy count "$place") requests"
  whole "gc run, $fault of $place"
done <<'END'
status=503 .
reset PUT .*/chunks/
lost PUT .*/manifests/
reset GET .*state.json
END
proxy fault status=403 1 'PUT .*/manifests/'
expect_exit 1 morsel gc run
expect_text "$WORK/err" "AccessDenied"
proxy fault flip 1 'GET .*/manifests/[0-9a-f]*$'
expect_exit 4 morsel gc run
whole "gc run, damaged manifests"
# And those that come now and then do not.
proxy fault lost 7
morsel gc run -q
whole "gc run, now and then"
for name in keep:1 broken:1; do
  [[ $(morsel inspect "$name" --json | jq -r .root) == "$new" ]] ||
    fail "$name was not moved"
done
morsel gc run -q
age_root() { proxy age "roots/$1/state.json" 7200; }
age_root "$old"
# Deletion that is broken off goes on.
proxy fault status=503 1 'DELETE '
expect_exit 5 morsel gc run
whole "a deletion that was broken off"
proxy fault reset 7
morsel gc run -q
proxy fault none
[[ $(objects list "roots/$old/") == "roots/$old/state.json" ]] ||
  fail "left: $(objects list "roots/$old/")"
whole "the end"
