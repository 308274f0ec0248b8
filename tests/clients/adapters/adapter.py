"""What the Python adapters share.

An adapter is started as `with_CLIENT.py JSON`. For a session its own stdin, stdout, stderr and exit status stand for
the session's; a death by signal is 255 and `exit-signal NAME` on stderr. A forward says `ready`, or `port N`, once
it listens, and lasts until its stdin ends.
"""
import json
import os
import socket
import sys
import threading

ASK = json.loads(sys.argv[1])
HOST, PORT, USER = ASK["host"], ASK["port"], ASK["user"]
CHUNK = 32768


def say(line):
    print(line, flush=True)


def write(stream, data):
    stream.buffer.write(data)
    stream.buffer.flush()


def leave(status, signal=None):
    """Ends at once, whatever threads the library still has."""
    if signal:
        print(f"exit-signal {signal}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(255 if signal else status)


# Libraries refuse to steer a session whose input has ended: then our own stdin is left alone.
IS_STEERED = any(word in ASK for word in ("resize", "signal", "break"))


class Steer:
    """What is to happen once the session has said `ready`: a new window size, a signal, a break."""

    def __init__(self, act):
        self.seen, self.act = b"", act if IS_STEERED else None

    def look(self, data):
        if self.act:
            self.seen += data
            if b"ready" in self.seen:
                act, self.act = self.act, None
                act()


def read_stdin():
    """Chunks of our own stdin until its end."""
    while chunk := os.read(0, CHUNK):
        yield chunk


def serve(port, handle):
    """Listens on a local port and gives each connection to a thread."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    say("ready")

    def accept():
        while True:
            threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    for _ in read_stdin():
        pass
    leave(0)


def mode_of(text):
    return int(text, 8)


def local_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def save(path, data, append=False):
    with open(path, "ab" if append else "wb") as file:
        file.write(data)
