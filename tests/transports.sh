#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One image is the same image by every way that it can come: a layout, archives
# of both kinds, plain and compressed, and a registry. An index gives the image
# of the platform; what is not there is said with what is.
. "$(dirname "$0")/lib.sh"
requires jq skopeo docker-registry python3

source=$(image nasty)
chunks_of() { morsel inspect --json --chunks "$1" | jq -c .chunks; }
digest_of() { morsel inspect --json "$1" | jq -r .image_digest; }
morsel convert -q "$source" way:layout >/dev/null
expected=$(chunks_of way:layout)
same_as_layout() {
  [[ $(chunks_of "$1") == "$expected" ]] || fail "$1 has other chunks"
}

# Archives.
skopeo copy -q "$source" "oci-archive:$WORK/oci.tar:one"
skopeo copy -q "$source" "docker-archive:$WORK/docker.tar:my/app:1.0"
gzip -k "$WORK/oci.tar" "$WORK/docker.tar"
for ending in tar tar.gz; do
  morsel convert -q "oci-archive:$WORK/oci.$ending" "way:oci.$ending" >/dev/null
  morsel convert -q "docker-archive:$WORK/docker.$ending:my/app:1.0" \
    "way:docker.$ending" >/dev/null
  same_as_layout "way:oci.$ending"
  same_as_layout "way:docker.$ending"
done
[[ $(digest_of way:oci.tar) == "$(digest_of way:layout)" ]] || fail "digest"
# Without a name the image gets the one that it has.
[[ $(morsel convert --json "docker-archive:$WORK/docker.tar" | jq -r .name) == my/app:1.0 ]] ||
  fail "the saved image's own name"
expect_exit 3 morsel convert "docker-archive:$WORK/docker.tar:my/app:2" way:x
expect_text "$WORK/err" "my/app:1.0"
expect_exit 3 morsel convert "oci-archive:$WORK/oci.tar:two" way:x
expect_text "$WORK/err" "it has: one"
expect_exit 3 morsel convert "oci-archive:$WORK/none.tar" way:x
head -c 5000 "$WORK/docker.tar" >"$WORK/short.tar"
expect_exit 4 morsel convert "docker-archive:$WORK/short.tar" way:x

# A registry on this machine, without TLS.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$WORK/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $WORK/registry}}
http: {addr: "127.0.0.1:$port"}
END
registry=localhost:$port
expect_exit 5 morsel convert "docker://$registry/app:1" way:x
start docker-registry serve "$WORK/registry.yml" >"$WORK/registry.out" 2>&1
for ((i = 0; i < 400; i++)); do
  ! bash -c "</dev/tcp/127.0.0.1/$port" 2>/dev/null || break
  read -rt 0.05 <> <(:) || true
done
skopeo copy -q --dest-tls-verify=false "$source" "docker://$registry/app:1"
[[ $(morsel convert --json "docker://$registry/app:1" way:registry | jq -r .name) == way:registry ]] ||
  fail "docker://"
same_as_layout way:registry
[[ $(digest_of way:registry) == "$(digest_of way:layout)" ]] || fail "digest"
expect_exit 3 morsel convert "docker://$registry/app:2" way:x
expect_text "$WORK/err" "docker://$registry/app:2"
expect_exit 3 morsel convert "docker://$registry/none" way:x

# An index of two platforms, in a layout and in the registry.
python3 "$TESTS/images/index.py" "$WORK/index"
both=oci:$WORK/index:both
morsel convert -q "$both" --platform linux/amd64 plat:amd64 >/dev/null
morsel convert -q "$both" --platform linux/arm64/v8 plat:arm64 >/dev/null
[[ $(morsel inspect --json plat:arm64 | jq -r .config.architecture) == arm64 ]] ||
  fail "--platform linux/arm64/v8"
[[ $(chunks_of plat:amd64) != "$(chunks_of plat:arm64)" ]] ||
  fail "both platforms give the same image"
expect_exit 3 morsel convert "$both" --platform linux/s390x plat:x
expect_text "$WORK/err" "linux/arm64"
skopeo copy -q --all --dest-tls-verify=false "$both" "docker://$registry/both:1"
morsel convert -q --platform linux/arm64/v8 "docker://$registry/both:1" \
  plat:registry >/dev/null
[[ $(chunks_of plat:registry) == "$(chunks_of plat:arm64)" ]] ||
  fail "the registry's image for linux/arm64 differs"

[[ -z $(find "$MORSEL_STATE_DIR/spool" -mindepth 1) ]] || fail "a spool is left"
[[ $(morsel images -q | grep -c ':x$') == 0 ]] || fail "a failure left a name"
