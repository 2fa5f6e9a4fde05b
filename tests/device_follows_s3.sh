#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same as device_follows.sh, with the origin in S3.
export TEST_ORIGIN=s3
# shellcheck disable=SC1091  # device_follows.sh
. "$(dirname "$0")/device_follows.sh"
