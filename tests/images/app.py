#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What the demonstration's image runs: a little work of the standard library.
import json
import os
import platform

print(json.dumps({
    "hello": "from a container whose image was not here when it started",
    "app": os.environ.get("APP", ""),
    "python": platform.python_version(),
    "kernel": platform.release(),
}))
