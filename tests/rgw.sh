#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real S3 service for tests: Ceph RGW over one monitor and one OSD that keeps
# its objects in memory, all on free ports of the loopback.
#
#   tests/rgw.sh up DIR      starts it; DIR/env then has lines NAME=value
#   tests/rgw.sh down DIR    ends it and removes DIR
#   tests/rgw.sh stop DIR    ends the gateway alone: connections are refused
#   tests/rgw.sh start DIR   brings the gateway back on the same port
#
# DIR/env: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, MORSEL_S3_ENDPOINT,
# MORSEL_S3_REGION, MORSEL_TEST_BUCKET (which exists). Exit code 77: the packages are not installed.
set -euo pipefail
BUCKET=morsel

need() {
  local program
  for program in radosgw radosgw-admin ceph-mon ceph-osd ceph monmaptool; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || {
      echo "SKIPPED: needs $program (radosgw, ceph-mon, ceph-osd)"
      exit 77
    }
  done
}

free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PYTHON
}

write_config() {
  local fsid=$1 v2=$2 v1=$3
  cat >"$DIR/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$v2,v1:127.0.0.1:$v1]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
run dir = $DIR/run
admin socket = $DIR/run/\$name.asok
log file = $DIR/\$name.log
pid file = $DIR/run/\$name.pid
crash dir = $DIR/run
keyring = $DIR/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
mon data = $DIR/mon
osd data = $DIR/osd
osd objectstore = memstore
memstore device bytes = 4294967296
mon max pg per osd = 500
osd class load list = *
osd class default list = *
rgw frontends = beast endpoint=127.0.0.1:$PORT
rgw data = $DIR/rgw
CONF
}

ceph_() { timeout 300 ceph -c "$DIR/ceph.conf" "$@"; }

start_cluster() {
  local fsid=$1 v2=$2 v1=$3 osd caps=(--cap mon 'allow *' --cap osd 'allow *')
  ceph-authtool --create-keyring "$DIR/keyring" --gen-key -n mon. \
    --cap mon 'allow *'
  ceph-authtool "$DIR/keyring" --gen-key -n client.admin "${caps[@]}" \
    --cap mgr 'allow *'
  monmaptool --create \
    --addv a "[v2:127.0.0.1:$v2,v1:127.0.0.1:$v1]" --fsid "$fsid" \
    --clobber "$DIR/monmap"
  ceph-mon -c "$DIR/ceph.conf" --mkfs -i a --monmap "$DIR/monmap" \
    --keyring "$DIR/keyring"
  ceph-mon -c "$DIR/ceph.conf" -i a --keyring "$DIR/keyring"
  osd=$(cat /proc/sys/kernel/random/uuid)
  ceph_ osd new "$osd"
  ceph_ auth get-or-create osd.0 mon 'allow *' osd 'allow *' mgr 'allow *' \
    >>"$DIR/keyring"
  ceph-osd -c "$DIR/ceph.conf" -i 0 --mkfs --osd-uuid "$osd"
  ceph_ osd crush add osd.0 1.0 root=default host=h
  ceph-osd -c "$DIR/ceph.conf" -i 0
  await "the OSD" osd_is_up
}

osd_is_up() { ceph_ osd stat 2>/dev/null | grep -q '1 up'; }

answers() { curl -s -o /dev/null "http://127.0.0.1:$PORT/"; }

# await WHAT COMMAND: the five minutes are a guard against a hang, no measure.
await() {
  local what=$1 tries
  for ((tries = 0; tries < 1200; ++tries)); do
    "$2" && return
    sleep 0.25
  done
  echo "rgw.sh: $what did not come up; see $DIR/*.log" >&2
  exit 1
}

start_gateway() {
  PORT=$(sed -n 's/^rgw frontends = .*://p' "$DIR/ceph.conf")
  radosgw -c "$DIR/ceph.conf" -n client.admin --keyring "$DIR/keyring"
  await "the gateway" answers
}

make_bucket() {
  local nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  curl -sSf -X PUT --aws-sigv4 aws:amz:default:s3 --user AKTEST:SKTESTSK \
    -H "x-amz-content-sha256: $nothing" "http://127.0.0.1:$PORT/$BUCKET"
}

up() {
  local ports fsid
  need
  [[ ! -e $DIR/ceph.conf ]] || down
  mkdir -p "$DIR"/{mon,osd,rgw,run}
  DIR=$(realpath "$DIR")
  read -ra ports < <(free_ports 3)
  PORT=${ports[2]}
  fsid=$(cat /proc/sys/kernel/random/uuid)
  write_config "$fsid" "${ports[0]}" "${ports[1]}"
  start_cluster "$fsid" "${ports[0]}" "${ports[1]}" >"$DIR/setup.log" 2>&1
  timeout 300 radosgw-admin -c "$DIR/ceph.conf" user create --uid t \
    --display-name t --access-key AKTEST --secret-key SKTESTSK \
    >>"$DIR/setup.log" 2>&1
  start_gateway
  make_bucket
  cat >"$DIR/env" <<ENV
AWS_ACCESS_KEY_ID=AKTEST
AWS_SECRET_ACCESS_KEY=SKTESTSK
MORSEL_S3_ENDPOINT=http://127.0.0.1:$PORT
MORSEL_S3_REGION=default
MORSEL_TEST_BUCKET=$BUCKET
ENV
}

# end NAME...: the daemons with these pid files, by their ids.
end() {
  local name pid tries
  for name in "$@"; do
    [[ -s $DIR/run/$name.pid ]] || continue
    pid=$(tr -d ' \n' <"$DIR/run/$name.pid")
    kill -KILL "$pid" 2>/dev/null || continue
    for ((tries = 0; tries < 200; ++tries)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
    rm -f "$DIR/run/$name.pid"
  done
}

down() {
  end client.admin osd.0 mon.a
  rm -rf --one-file-system "$DIR"
}

(($# == 2)) || {
  sed -n '3,13s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
DIR=$2
case $1 in
  up | down) "$1" ;;
  stop) end client.admin ;;
  start) start_gateway ;;
  *) exit 2 ;;
esac
