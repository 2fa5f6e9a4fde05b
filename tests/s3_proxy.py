#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy before an S3 service, with the faults that a test orders while
it runs, and a count of the requests.

    s3_proxy.py http://HOST:PORT

It prints the port that it listens on, and reads commands from standard input, a
line each, answering one line once they hold for all that comes after:

    fault KIND EVERY [PATTERN]   every EVERYth request whose "METHOD /path?query"
                         has the regular expression PATTERN in it goes wrong;
                         if EVERY is over 1, the same request three times at
                         most, so that no chance uses up all of its tries.
                         KIND: status=N  the answer is N, nothing is asked
                               reset     cut off, nothing is asked
                               lost      asked, and cut off before the answer
                               cut       half of the answer, then cut off
                               flip      a byte of the body is another one
                               delay=MS  the answer comes so much later
                               hold=N    the first N go on; nothing is asked
                                         for the others before the next order
    fault none           no more
    age PATTERN SECONDS  what is read there was last modified so much earlier
    count [PATTERN]      how many requests came since the last `forget`
    forget               begins to count anew

The signatures of requests stay good, as nothing of them is changed. It ends
with its standard input.
"""
import collections
import email.utils
import http.client
import http.server
import re
import socket
import struct
import sys
import threading
import time

MAX_BY_CHANCE = 3


class Orders:
    """What the test wants at the moment; used by all threads."""

    def __init__(self):
        self.lock = threading.Condition()
        self.kind, self.every, self.pattern = "none", 1, re.compile("")
        self.met = self.order = 0
        self.ages = []
        self.requests = collections.Counter()
        self.failed = collections.Counter()

    def fault_of(self, request):
        with self.lock:
            self.requests[request] += 1
            if self.kind == "none" or not self.pattern.search(request):
                return "none"
            self.met += 1
            if self.met % self.every != 0:
                return "none"
            if self.kind.startswith("hold="):
                return self.held()
            self.failed[request] += 1
            spared = self.every > 1 and self.failed[request] > MAX_BY_CHANCE
            return "none" if spared else self.kind

    def held(self):
        """Returns when the request may go on; the lock is taken."""
        if self.met > int(self.kind.partition("=")[2]):
            order = self.order
            self.lock.wait_for(lambda: self.order != order)
        return "none"

    def age_of(self, request):
        with self.lock:
            return sum(age for what, age in self.ages if what.search(request))

    def obey(self, words):
        with self.lock:
            if words[0] == "fault":
                self.kind, self.met = words[1], 0
                self.order += 1
                self.lock.notify_all()
                self.failed.clear()
                self.every = int(words[2]) if len(words) > 2 else 1
                self.pattern = re.compile(" ".join(words[3:]))
            elif words[0] == "age":
                self.ages.append((re.compile(words[1]), int(words[2])))
            elif words[0] == "forget":
                self.requests.clear()
            elif words[0] == "count":
                what = re.compile(" ".join(words[1:]))
                return str(sum(n for request, n in self.requests.items()
                               if what.search(request)))
            else:
                return "no such command"
            return "ok"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target = ("", 0)
    orders = Orders()
    upstream = None

    def log_message(self, *_):
        pass

    def cut_off(self):
        """A reset, not an end: the peer cannot take it for an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.close_connection = True

    def ask(self, body):
        """One request to the service, on this client's own connection."""
        for is_last in (False, True):
            if self.upstream is None:
                self.upstream = http.client.HTTPConnection(*self.target)
            try:
                self.upstream.putrequest(self.command, self.path, skip_host=True,
                                         skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("expect", "connection"):
                        self.upstream.putheader(name, value)
                self.upstream.endheaders(body or None)
                answer = self.upstream.getresponse()
                return answer, answer.read()
            except (OSError, http.client.HTTPException):
                # Kept for too long, or the service is not there.
                self.upstream.close()
                self.upstream = None
                if is_last:
                    raise

    def send(self, status, headers, body, cut=False):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection",
                                    "content-length"):
                self.send_header(name, value)
        if self.command == "HEAD":
            length = dict((n.lower(), v) for n, v in headers).get(
                "content-length", "0")
        else:
            length = str(len(body))
        if status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.cut_off()

    def answer(self):
        request = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.orders.fault_of(request)
        if fault == "reset":
            return self.cut_off()
        if fault.startswith("status="):
            status = int(fault.partition("=")[2])
            code = {403: "AccessDenied", 500: "InternalError",
                    503: "SlowDown"}.get(status, "InternalError")
            return self.send(status, [], b"<Error><Code>" + code.encode() +
                             b"</Code><Message>ordered</Message></Error>")
        try:
            answer, data = self.ask(body)
        except (OSError, http.client.HTTPException):
            return self.cut_off()
        if fault == "lost":
            return self.cut_off()
        if fault.startswith("delay="):
            time.sleep(float(fault.partition("=")[2]) / 1000)
        if fault == "flip" and data:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        return self.send(answer.status, self.aged(request, answer), data,
                         cut=fault == "cut")

    def aged(self, request, answer):
        age = self.orders.age_of(request)
        headers = answer.getheaders()
        if not age:
            return headers
        return [(name, email.utils.formatdate(
            email.utils.parsedate_to_datetime(value).timestamp() - age,
            usegmt=True) if name.lower() == "last-modified" else value)
                for name, value in headers]

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a client that is gone is none of ours


def main():
    host, _, port = sys.argv[1].removeprefix("http://").rpartition(":")
    Handler.target = (host, int(port))
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    for line in sys.stdin:
        print(Handler.orders.obey(line.split()), flush=True)


if __name__ == "__main__":
    main()
