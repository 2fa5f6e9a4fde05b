#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The objects of a test's origin, whether it is a folder or in S3: what who can
write to the store may do.

    objects.py list PREFIX        the keys below it, a line each
    objects.py get KEY            to standard output
    objects.py put KEY            from standard input
    objects.py copy FROM TO
    objects.py delete KEY

MORSEL_ORIGIN says which origin; unset, it is MORSEL_STATE_DIR/origin. S3 is that
of MORSEL_S3_ENDPOINT, by path style, with the keys of AWS_*.
"""
import datetime
import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as tree
from pathlib import Path


class Folder:
    def __init__(self, path):
        self.path = Path(path)

    def list(self, prefix):
        keys = (str(p.relative_to(self.path)) for p in self.path.rglob("*")
                if p.is_file())
        return sorted(k for k in keys
                      if k.startswith(prefix) and "/." not in "/" + k)

    def get(self, key):
        return (self.path / key).read_bytes()

    def put(self, key, data):
        path = self.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".test")
        fresh.write_bytes(data)
        fresh.replace(path)

    def delete(self, key):
        (self.path / key).unlink()


class S3:
    def __init__(self, origin):
        bucket, _, self.prefix = origin.removeprefix("s3://").partition("/")
        self.endpoint = os.environ["MORSEL_S3_ENDPOINT"]
        self.host = urllib.parse.urlsplit(self.endpoint).netloc
        self.region = os.environ["MORSEL_S3_REGION"]
        self.bucket = "/" + bucket

    def sign(self, method, path, query, data, now):
        digest = hashlib.sha256(data).hexdigest()
        stamp, names = now.strftime("%Y%m%dT%H%M%SZ"), "host;x-amz-content-sha256;x-amz-date"
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        request = "\n".join([
            method, path, query, f"host:{self.host}",
            f"x-amz-content-sha256:{digest}", f"x-amz-date:{stamp}", "", names,
            digest])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                          hashlib.sha256(request.encode()).hexdigest()])
        key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return {"x-amz-content-sha256": digest, "x-amz-date": stamp,
                "Authorization": "AWS4-HMAC-SHA256 Credential=" +
                f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                f"SignedHeaders={names}, Signature={key.hex()}"}

    def ask(self, method, key="", query=None, data=b""):
        path = urllib.parse.quote(self.bucket + ("/" + key if key else ""))
        words = urllib.parse.urlencode(sorted((query or {}).items()),
                                       quote_via=urllib.parse.quote, safe="")
        now = datetime.datetime.now(datetime.timezone.utc)
        request = urllib.request.Request(
            self.endpoint + path + ("?" + words if words else ""),
            data=data if method == "PUT" else None, method=method,
            headers=self.sign(method, path, words, data, now))
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def key(self, key):
        return f"{self.prefix}/{key}" if self.prefix else key

    def list(self, prefix):
        keys, space = [], "{http://s3.amazonaws.com/doc/2006-03-01/}"
        while True:
            query = {"list-type": "2", "prefix": self.key(prefix)}
            if keys:
                query["start-after"] = self.key(keys[-1])
            page = tree.fromstring(self.ask("GET", query=query))
            keys += [row.findtext(space + "Key")[len(self.key("")):]
                     for row in page.iter(space + "Contents")]
            if page.findtext(space + "IsTruncated") != "true":
                return keys

    def get(self, key):
        return self.ask("GET", self.key(key))

    def put(self, key, data):
        self.ask("PUT", self.key(key), data=data)

    def delete(self, key):
        self.ask("DELETE", self.key(key))


def main():
    origin = os.environ.get("MORSEL_ORIGIN", "")
    store = (S3(origin) if origin.startswith("s3://") else
             Folder(origin or os.environ["MORSEL_STATE_DIR"] + "/origin"))
    action, key, *more = sys.argv[1:]
    try:
        if action == "list":
            print("".join(k + "\n" for k in store.list(key)), end="")
        elif action == "get":
            sys.stdout.buffer.write(store.get(key))
        elif action == "put":
            store.put(key, sys.stdin.buffer.read())
        elif action == "copy":
            store.put(more[0], store.get(key))
        elif action == "delete":
            store.delete(key)
        else:
            sys.exit(__doc__)
    except (OSError, urllib.error.HTTPError) as error:
        sys.exit(f"objects.py {action} {key}: {error}")


if __name__ == "__main__":
    main()
