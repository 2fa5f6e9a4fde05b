#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same as misplaced.sh, with the origin in S3.
export TEST_ORIGIN=s3
# shellcheck disable=SC1091  # misplaced.sh
. "$(dirname "$0")/misplaced.sh"
