#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy before a memcached server or a node of the zone cache, with the
faults that a test orders while it runs.

    fault_proxy.py HOST:PORT

It prints the port that it listens on, and reads commands from standard input,
a line each, answering "ok" once they hold for all that comes after:

    delay MILLISECONDS   each answer leaves so much later than it came
    garbage answers      a byte is flipped in each value that the server gives
    garbage stores       a byte is flipped in each value that it is to store
    garbage none         no more

It ends with its standard input. TLS is not looked into: only delays work then.
"""
import collections
import selectors
import socket
import sys
import time


class Flipper:
    """Flips the middle byte of each value in a stream of the text protocol."""

    def __init__(self, words, place):
        self.words = words  # lines that begin so carry a value
        self.place = place  # the word that is its length
        self.line = bytearray()
        self.left = 0  # bytes of the value to come, with its line end
        self.flip_at = 0  # how many are left when the one to flip comes

    def feed(self, data, on):
        out = bytearray()
        at = 0
        while at < len(data):
            if self.left:
                part = bytearray(data[at : at + self.left])
                index = self.left - self.flip_at
                if on and 0 <= index < len(part):
                    part[index] ^= 1
                self.left -= len(part)
                at += len(part)
                out += part
                continue
            end = data.find(b"\n", at)
            stop = len(data) if end < 0 else end + 1
            self.line += data[at:stop]
            out += data[at:stop]
            at = stop
            if end >= 0:
                self.begin(bytes(self.line).split())
                self.line.clear()
        return bytes(out)

    def begin(self, words):
        if len(words) > self.place and words[0] in self.words:
            length = int(words[self.place])
            self.left = length + 2
            self.flip_at = length - length // 2 + 2


class Pipe:
    """What goes from one socket to another."""

    def __init__(self, source, target, flipper):
        self.source, self.target, self.flipper = source, target, flipper
        self.waiting = collections.deque()  # (when, bytes)
        self.ended = False


class Proxy:
    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.delay = 0.0
        self.garbage = "none"
        self.selector = selectors.DefaultSelector()
        self.pipes = {}  # by the socket that is read
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)

    def run(self):
        print(self.listener.getsockname()[1], flush=True)
        while True:
            for key, _ in self.selector.select(self.pause()):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is sys.stdin:
                    if not self.command():
                        return
                elif key.fileobj in self.pipes:
                    self.read(self.pipes[key.fileobj])
            self.deliver()

    def command(self):
        words = sys.stdin.readline().split()
        if not words:
            return False
        if words[0] == "delay":
            self.delay = float(words[1]) / 1000
        else:
            self.garbage = words[1]
        print("ok", flush=True)
        return True

    def accept(self):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.add(Pipe(client, server, Flipper((b"set", b"add", b"cas"), 4)))
        self.add(Pipe(server, client, Flipper((b"VALUE",), 3)))

    def add(self, pipe):
        self.pipes[pipe.source] = pipe
        self.selector.register(pipe.source, selectors.EVENT_READ)

    def read(self, pipe):
        try:
            data = pipe.source.recv(1 << 18)
        except OSError:
            data = b""
        answers = pipe.flipper.words == (b"VALUE",)
        if not data:
            self.selector.unregister(pipe.source)
            pipe.ended = True
        on = self.garbage == ("answers" if answers else "stores")
        data = pipe.flipper.feed(data, on)
        when = time.monotonic() + (self.delay if answers else 0)
        pipe.waiting.append((when, data))

    def pause(self):
        firsts = [p.waiting[0][0] for p in self.pipes.values() if p.waiting]
        return max(0, min(firsts) - time.monotonic()) if firsts else None

    def deliver(self):
        now = time.monotonic()
        for pipe in list(self.pipes.values()):
            while pipe.waiting and pipe.waiting[0][0] <= now:
                data = pipe.waiting.popleft()[1]
                try:
                    pipe.target.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    self.end(pipe)

    def end(self, pipe):
        for one in (pipe.source, pipe.target):
            other = self.pipes.pop(one, None)
            if other is not None and not other.ended:
                self.selector.unregister(one)
            one.close()


if __name__ == "__main__":
    Proxy(sys.argv[1]).run()
