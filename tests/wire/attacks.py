"""Clients that mean harm, or do it. Each ends by itself, and says so when the gateway did what it should."""

import os
import random
import select
import socket
import struct
import time

import paramiko
from paramiko.message import Message
from raw import FAILURE, OPEN_FAILED, OPENED, SUCCESS, WINDOW, Client, Gone, main

# Not the address that others come from.
SOURCE = "127.0.0.2"
HELLO = b"SSH-2.0-hostile_1.0\r\n"


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(SOURCE, 0))


def login(port, user, key):
    return Client(port, user, key, SOURCE)


def closes(sock, limit):
    """The gateway closes it within the limit; whatever it says before that is let go."""
    deadline = time.monotonic() + limit
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            if not sock.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True


def malformed(port, user, key):
    chance = random.Random(4)
    packets = [
        b"GET / HTTP/1.1\r\n\r\n" * 40,
        b"SSH-1.5-old\r\n",
        b"\0" * 100_000,
        b"x" * 1_000_000,
        HELLO + struct.pack(">I", 0xFFFFFFFF) + b"\x04" * 64,
        HELLO + struct.pack(">I", 0x7FFFFFFF),
        HELLO + struct.pack(">I", 0) * 64,
        HELLO + struct.pack(">IB", 1, 255) * 64,
        HELLO + struct.pack(">IBB", 12, 255, 20) + b"\0" * 10,
        HELLO + struct.pack(">IBB", 12, 4, 20) + b"\0" * 6,
        # KEXINIT whose lists are longer than the packet.
        HELLO + struct.pack(">IBB", 28, 4, 20) + b"c" * 16 + struct.pack(">I", 0xFFFFFFF0) + b"\0" * 6,
        # Channel messages before any key exchange.
        HELLO + struct.pack(">IBB", 12, 4, 90) + b"\0" * 10,
        HELLO + struct.pack(">IBB", 12, 10, 94) + b"\0" * 10,
    ]
    packets += [HELLO + chance.randbytes(chance.randrange(1, 3000)) for _ in range(200)]
    for packet in packets:
        with connect(port) as sock:
            try:
                sock.sendall(packet)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert closes(sock, 10), packet[:60]


def broken_after_the_key_exchange(port, user, key):
    for change in (b"\0" * 64, b"\xff" * 64, os.urandom(64)):
        client = login(port, user, key)
        client.transport.sock.sendall(change)
        client.is_cut_off()


def in_disorder(port, user, key):
    """Well-formed messages that lie about their fields, after the login."""
    messages = [
        (90,),
        (90, "session"),
        (90, "session", 1, 1000, 0),
        (91, 4_000_000_000, 1, 1, 1),
        (92, 4_000_000_000, 1, "no", "en"),
        (94, 0),
        (98, 3, "shell"),
        (80,),
        (80, "tcpip-forward", True, "x"),
        (52,),
        (50, "ada", "ssh-connection", "none"),
        (21,),
        (31, b"x"),
        (99, 12),
        (81,),
        (82,),
        (255,),
    ]
    for message in messages:
        client = login(port, user, key)
        try:
            client.send(*message)
            client.send(192, b"still there?")
            client.next(3, 81, 82, 91, 92, 93)
        except Gone:
            pass
        client.close()


def never_logs_in(port, user, key, grace):
    grace = float(grace)
    silent, greeted = connect(port), connect(port)
    greeted.sendall(HELLO)
    # A key exchange that is begun and not gone on with.
    begun = connect(port)
    lists = b"".join(struct.pack(">I", len(x)) + x for x in [b"curve25519-sha256", b"ssh-ed25519"])
    begun.sendall(HELLO + struct.pack(">IBB", 200, 200 - len(lists) - 18, 20) + b"c" * 16 + lists)
    # One that drips a byte now and then.
    dripping = connect(port)
    began = time.monotonic()
    exchanged = Client(port, user, None, SOURCE)
    open_ones = {silent, greeted, begun, dripping}
    while open_ones and time.monotonic() < began + grace + 10:
        if dripping in open_ones:
            try:
                dripping.send(b"S")
            except OSError:
                pass
        for sock in select.select(list(open_ones), [], [], 0.1)[0]:
            try:
                over = not sock.recv(65536)
            except OSError:
                over = True
            if over:
                open_ones.discard(sock)
    took = time.monotonic() - began
    assert not open_ones, f"{len(open_ones)} stayed"
    assert took < grace + 5, took
    exchanged.is_cut_off()


def ten_thousand_connections(port, user, key, share):
    share = int(share)
    held, refused = [], 0
    for _ in range(10_000):
        sock = connect(port)
        held.append(sock)
        # What was refused is closed at once: looked for in portions, so that our own descriptors suffice.
        if len(held) > share + 200:
            ready = select.select(held, [], [], 0.2)[0]
            for one in ready:
                try:
                    over = not one.recv(4096)
                except OSError:
                    over = True
                if over:
                    one.close()
                    held.remove(one)
                    refused += 1
    time.sleep(0.5)
    for one in list(held):
        if select.select([one], [], [], 0)[0]:
            try:
                over = not one.recv(4096)
            except OSError:
                over = True
            if over:
                held.remove(one)
                refused += 1
    assert refused >= 9_000, refused
    assert len(held) <= share, len(held)
    print("HELD", len(held), flush=True)
    input()


def ten_thousand_variables(port, user, key):
    client = login(port, user, key)
    channel = client.open_session()
    answers = [client.asks(channel, "env", "LC_%d" % n, "v" * 4000) for n in range(10_000)]
    assert answers.count(SUCCESS) <= 64 and answers.count(FAILURE) >= 9_900, answers.count(SUCCESS)
    client.is_alive()


def huge_terminal(port, user, key):
    client = login(port, user, key)
    channel = client.open_session()
    modes = b"".join(struct.pack(">BI", 1 + n % 100, n) for n in range(120)) + b"\0"
    assert client.asks(channel, "pty-req", "x" * 200_000, 2**32 - 1, 2**32 - 1, 0, 0, modes) in (SUCCESS, FAILURE)
    client.is_alive()
    # A string that says it has a GiB.
    message = Message()
    message.add_byte(bytes([98]))
    message.add_int(channel)
    message.add_string("pty-req")
    message.add_boolean(True)
    message.add_int(1 << 30)
    message.add_bytes(b"xterm")
    client.raw(message)
    client.is_cut_off()
    # More modes than there are.
    client = login(port, user, key)
    channel = client.open_session()
    client.request(channel, "pty-req", "x", 80, 24, 0, 0, struct.pack(">BI", 53, 1) * 40_000)
    try:
        client.next()
    except Gone:
        pass


def beyond_the_window(port, user, key):
    client = login(port, user, key)
    channel = client.open_session()
    for _ in range(WINDOW // 32768):
        client.send(94, channel, b"x" * 32768)
    client.is_alive()
    client.send(94, channel, b"x")
    client.is_cut_off()


def all_windows_full(port, user, key):
    """2 MiB on each of many channels that nobody reads: in the end it is too much for one connection."""
    client = login(port, user, key)
    sent = 0
    try:
        for own in range(400):
            channel = client.open_session(own=own)
            for _ in range(WINDOW // 32768):
                client.send(94, channel, b"x" * 32768)
                sent += 32768
        raise AssertionError("never cut off")
    except Gone:
        pass
    assert 100 << 20 < sent < 200 << 20, sent


def never_reads(port, user, key, patience):
    client = login(port, user, key)
    channel = client.open_session(window=2**32 - 1)
    client.request(channel, "exec", "exec yes", reply=False)
    client.expect(94, 93)
    # paramiko's thread reads: it is made to wait in our own function instead.
    started = time.monotonic()
    release = []

    def stuck():
        while not release:
            time.sleep(0.05)
        raise EOFError()

    client.transport.packetizer.read_message = stuck
    # paramiko closes its own descriptor when its thread ends.
    raw = socket.socket(fileno=os.dup(client.transport.sock.fileno()))
    time.sleep(float(patience) + 3)
    # What is in the kernel's buffers is left; after it the connection must be over.
    release.append(True)
    assert closes(raw, 10), "it is still open"
    print("OPEN", round(time.monotonic() - started, 1))


def channel_flood(port, user, key):
    client = login(port, user, key)
    for own in range(20_000):
        client.send(90, "session", own, WINDOW, 32768)
    kinds = [client.next()[0] for _ in range(20_000)]
    assert kinds.count(OPENED) <= 4096 and kinds.count(OPEN_FAILED) >= 15_000, kinds.count(OPENED)
    client.is_alive()
    # Forwards to nowhere, without waiting for answers.
    client = login(port, user, key)
    for own in range(20_000):
        client.send(90, "direct-tcpip", own, WINDOW, 32768, "localhost", 9, "127.0.0.1", 1)
    kinds = [client.next()[0] for _ in range(20_000)]
    assert kinds.count(OPEN_FAILED) == 20_000, kinds.count(OPEN_FAILED)
    client.is_alive()


def request_flood(port, user, key):
    client = login(port, user, key)
    for _ in range(20_000):
        client.send(80, "no-such@example.org", True)
    for _ in range(20_000):
        client.expect(82)
    for number in range(5_000):
        client.send(80, "tcpip-forward", True, "localhost", number % 60000)
    answers = [client.next()[0] for _ in range(5_000)]
    assert set(answers) <= {81, 82}
    for _ in range(50):
        client.send(80, "hostkeys-prove-00@openssh.com", True, b"x" * 30_000)
        client.expect(82)
    client.is_alive()


def long_names(port, user, key):
    """Names of 200 kB wherever a name is taken: held for channels that never start, or written down."""
    client = login(port, user, key)
    name = "A" * 200_000
    for own in range(100):
        channel = client.open_session(own=own)
        for prefix in ("LC_", "LC_B"):
            assert client.asks(channel, "env", prefix + name, "x") == FAILURE
        assert client.asks(channel, "env", "LC_C", name) == FAILURE
        assert client.asks(channel, "x11-req", False, "MIT-MAGIC-COOKIE-1", name, 0) == FAILURE
        assert client.asks(channel, "x11-req", False, "MIT-MAGIC-COOKIE-1", "00" * 16, 0) == SUCCESS
    for _ in range(200):
        client.send(80, "tcpip-forward", False, name, 0)
        client.send(80, "streamlocal-forward@openssh.com", False, "/" + name)
        client.send(90, "direct-tcpip", 5000, WINDOW, 32768, name, 9, "127.0.0.1", 1)
        client.expect(OPEN_FAILED)
    client.is_alive()
    # A target that is none, told on every channel.
    client = login(port, user + "+" + "\x1b" * 200_000, key)
    for own in range(200):
        channel = client.open_session(own=own)
        client.request(channel, "exec", "true")
        while client.next(93, 94, 95)[0] != 97:
            pass
    client.is_alive()


def many_forwards(port, user, key):
    client = login(port, user, key)
    for number in range(20_000):
        client.send(80, "tcpip-forward", False, "localhost", 1 + number % 60000)
    client.is_alive()


def owed_answers(port, user, key):
    """One that is not answered (its container is frozen), and behind it more than anybody waits for."""
    client = login(port, user, key)
    client.send(80, "tcpip-forward", True, "localhost", 0)
    try:
        for _ in range(200_000):
            client.send(80, "no-such@example.org", True)
    except Gone:
        return
    client.is_cut_off()


def menus_without_end(port, user, key):
    """Screens of the largest terminal there is: what is drawn of them is ours to bound."""
    client = login(port, user, key)
    closed = 0

    def until(wanted):
        nonlocal closed
        while True:
            kind, payload = client.next(93, 94, 95, 96, 98)
            if kind == wanted:
                return payload
            assert kind == 97, kind
            closed += 1

    for own in range(300):
        client.send(90, "session", own, WINDOW, 32768)
        channel = struct.unpack(">I", until(OPENED)[4:8])[0]
        client.request(channel, "pty-req", "xterm", 2**16 - 1, 2**16 - 1, 0, 0, b"\0")
        until(SUCCESS)
        client.request(channel, "exec", "clusteria menu")
        until(SUCCESS)
    while closed < 236:
        kind, _ = client.next(93, 94, 95, 96, 98)
        closed += kind == 97
    client.is_alive()


def rekey_never_finished(port, user, key):
    client = login(port, user, key)
    channel = client.open_session()
    transport = client.transport
    # Our KEXINIT by hand; then on as if nothing had been said.
    message = Message()
    message.add_byte(bytes([20]))
    message.add_bytes(os.urandom(16))
    for names in (
        ["curve25519-sha256"],
        ["ssh-ed25519"],
        ["aes128-ctr"],
        ["aes128-ctr"],
        ["hmac-sha2-256"],
        ["hmac-sha2-256"],
        ["none"],
        ["none"],
        [],
        [],
    ):
        message.add_list(names)
    message.add_boolean(False)
    message.add_int(0)
    transport.packetizer.send_message(message)
    try:
        for _ in range(100_000):
            other = Message()
            other.add_byte(bytes([98]))
            other.add_int(channel)
            other.add_string("env")
            other.add_boolean(True)
            other.add_string("LANG")
            other.add_string("x" * 1000)
            transport.packetizer.send_message(other)
        raise AssertionError("100 MB were taken during a key exchange")
    except AssertionError:
        raise
    except Exception:
        pass


def guesses(port, user, key):
    """Passwords without end: the connection is ended."""
    client = Client(port, user, None, SOURCE)
    tries = 0
    try:
        for tries in range(100):
            client.transport.auth_none("nobody%d" % tries)
    except paramiko.BadAuthenticationType:
        pass
    except Exception:
        pass
    assert tries < 50


if __name__ == "__main__":
    main({name: value for name, value in list(globals().items()) if callable(value)})
