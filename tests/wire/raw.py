"""A client that says what it likes: paramiko does the key exchange, all else is ours to send and to see."""

import queue
import socket
import struct
import sys
import threading
import time

import paramiko
from paramiko.message import Message

WINDOW, PACKET = 2 * 1024 * 1024, 32768
LIMIT = 30

SUCCESS, FAILURE = 99, 100
OPENED, OPEN_FAILED = 91, 92


class Gone(Exception):
    """The gateway has closed the connection."""


class Client:
    """One connection. `key` of None: no login."""

    def __init__(self, port, user, key, source="127.0.0.1"):
        self.seen = queue.Queue()
        self.heard = b""
        sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT, source_address=(source, 0))
        self.transport = paramiko.Transport(sock)
        self.transport.use_compression(False)
        self.transport.start_client(timeout=LIMIT)
        # Set before the login, so that what the gateway says right after it is seen too.
        read = self.transport.packetizer.read_message

        def intercepted():
            while True:
                try:
                    kind, message = read()
                except Exception:
                    self.seen.put((None, b""))
                    raise
                if kind < 80 and kind != 3:
                    return kind, message
                self.seen.put((kind, message.asbytes()))

        self.transport.packetizer.read_message = intercepted
        # The thread sits in the original read already: what comes next goes back through it once.
        if key is not None:
            self.transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(key))

    def send(self, kind, *fields):
        message = Message()
        message.add_byte(bytes([kind]))
        for field in fields:
            if isinstance(field, bool):
                message.add_boolean(field)
            elif isinstance(field, int):
                message.add_int(field)
            else:
                message.add_string(field)
        self.raw(message)

    def raw(self, message):
        try:
            self.transport._send_message(message)
        except Exception as error:
            raise Gone() from error

    def get(self):
        """What was read next. An end that comes while the thread still sits in the original read is not in the queue."""
        deadline = time.monotonic() + LIMIT
        while True:
            over = not self.transport.is_active()
            try:
                return self.seen.get(timeout=0.2)
            except queue.Empty:
                if over:
                    return None, b""
                if time.monotonic() > deadline:
                    raise

    def next(self, *skipped):
        """The next message, past those that may come at any time."""
        while True:
            kind, payload = self.get()
            if kind is None:
                raise Gone()
            if kind == 80 or kind in skipped:
                # What a program said while we waited for an answer is not lost.
                if kind == 94:
                    self.heard += payload[8:]
                continue
            return kind, payload

    def expect(self, wanted, *skipped):
        kind, payload = self.next(*skipped)
        assert kind == wanted, f"{wanted} expected, {kind} came: {payload!r}"
        return payload

    def open_session(self, window=WINDOW, packet=PACKET, own=7):
        self.send(90, "session", own, window, packet)
        payload = self.expect(OPENED, 93, 94)
        return struct.unpack(">I", payload[4:8])[0]

    def request(self, channel, name, *fields, reply=True):
        self.send(98, channel, name, reply, *fields)

    def asks(self, channel, name, *fields):
        """A request; what it was answered with."""
        self.request(channel, name, *fields)
        return self.next(93, 94, 95)[0]

    def is_alive(self):
        """The gateway answers, and in order: nothing else was waiting to be said."""
        self.send(192, b"alive?")
        assert self.expect(193, 93, 94, 95) == struct.pack(">I", 6) + b"alive?"

    def is_cut_off(self):
        """The gateway ends the connection by itself."""
        try:
            while True:
                self.next()
        except Gone:
            pass

    def close(self):
        self.transport.close()


def main(tests):
    """NAME PORT USER KEY…: runs one, says OK."""
    threading.excepthook = lambda _: None
    name, port, user, key, *more = sys.argv[1:]
    tests[name](int(port), user, key, *more)
    print("OK", flush=True)
    # Threads of connections that are still open must not keep it.
    import os

    os._exit(0)
