#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same as garbage.sh, with the origin in S3.
export TEST_ORIGIN=s3
# shellcheck disable=SC1091  # garbage.sh
. "$(dirname "$0")/garbage.sh"
