"""Requests of all kinds: each is answered as sshd answers it, and in order."""

import struct

from paramiko.message import Message
from raw import FAILURE, OPEN_FAILED, SUCCESS, Client, main


def in_order(port, user, key):
    client = Client(port, user, key)
    channel = client.open_session()
    modes = b"\x03\x00\x00\x00\x7f\x00"
    pty = ("xterm", 80, 24, 0, 0, modes)
    for name, fields, answer in [
        ("window-change", (80, 24, 0, 0), SUCCESS),
        ("signal", ("TERM",), FAILURE),
        ("break", (500,), FAILURE),
        ("no-such@example.org", (b"anything",), FAILURE),
        ("keepalive@openssh.com", (), FAILURE),
        ("env", ("LANG", b"fr\xff\xfe"), FAILURE),
        ("env", ("LANG", "C.UTF-8"), SUCCESS),
        ("env", ("LD_PRELOAD", "/tmp/x"), FAILURE),
        ("subsystem", ("no-such",), FAILURE),
        ("pty-req", pty, SUCCESS),
        ("pty-req", pty, FAILURE),
        ("exec", ("trap 'echo got-signal' USR1; echo ready; while :; do sleep 0.1; done",), SUCCESS),
        ("shell", (), FAILURE),
        ("exec", ("true",), FAILURE),
        ("env", ("LANG", "C"), FAILURE),
        ("window-change", (100, 30, 0, 0), SUCCESS),
    ]:
        got = client.asks(channel, name, *fields)
        assert got == answer, (name, fields, got)
    client.request(channel, "eow@openssh.com", reply=False)
    wait_for(client, b"ready")
    client.is_alive()
    assert client.asks(channel, "signal", "USR1") == SUCCESS
    wait_for(client, b"got-signal")
    # All at once: the answers come in the order of the requests.
    for name, fields in [("signal", ("CONT",)), ("no-such", ()), ("window-change", (90, 20, 0, 0)), ("shell", ())]:
        client.request(channel, name, *fields)
    answers = [client.next(93, 94)[0] for _ in range(4)]
    assert answers == [SUCCESS, FAILURE, SUCCESS, FAILURE], answers
    assert client.asks(channel, "break", 500) == SUCCESS
    # Linux's pseudo-terminals have no use for a break, with sshd neither; a signal ends it.
    assert client.asks(channel, "signal", "KILL") == SUCCESS
    name, payload = until_request(client)
    assert name == b"exit-signal" and payload[1:] == string(b"KILL") + b"\0" + string(b"") + string(b""), (name, payload)
    client.expect(96)
    client.expect(97)


def string(text):
    return struct.pack(">I", len(text)) + text


def wait_for(client, text):
    while text not in client.heard:
        kind, payload = client.next(93)
        assert kind == 94, (kind, payload, client.heard)
        client.heard += payload[8:]
    client.heard = client.heard.partition(text)[2]


def until_request(client):
    payload = client.expect(98, 93, 94)
    length = struct.unpack(">I", payload[4:8])[0]
    return payload[8 : 8 + length], payload[8 + length :]


def on_the_connection(port, user, key):
    client = Client(port, user, key)
    # Ignored, as RFC 4253 section 11 wants it.
    client.send(2, b"ignore me")
    client.send(4, True, "debug", "en")
    client.send(3, 12)
    client.is_alive()
    for name, answer in [
        ("keepalive@openssh.com", 82),
        ("no-such@example.org", 82),
        ("hostkeys-prove-00@openssh.com", 82),
        ("no-more-sessions@openssh.com", 81),
    ]:
        client.send(80, name, True)
        client.expect(answer)
        client.send(80, "no-such@example.org", False)
    client.send(90, "session", 1, 1000, 1000)
    assert client.expect(OPEN_FAILED)[:8] == struct.pack(">II", 1, 1)
    client.send(90, "no-such-channel@example.org", 2, 1000, 1000)
    assert client.expect(OPEN_FAILED)[:8] == struct.pack(">II", 2, 3)
    # What is not known is said to be so, with its number.
    client.send(191)
    assert len(client.expect(3)) == 4
    client.is_alive()


def on_closed_channels(port, user, key):
    client = Client(port, user, key)
    channel = client.open_session()
    client.send(97, channel)
    client.expect(97)
    for _ in range(1000):
        client.request(channel, "exec", "true")
        client.send(94, channel, b"data")
        client.send(96, channel)
        client.send(97, channel)
        client.send(93, channel, 1)
        client.request(4_000_000_000, "shell")
    client.is_alive()
    again = client.open_session()
    assert client.asks(again, "exec", "clusteria status") == SUCCESS


def before_the_login(port, user, key):
    client = Client(port, user, None)
    transport = client.transport
    message = Message()
    message.add_byte(bytes([90]))
    for field in ("session",):
        message.add_string(field)
    for number in (0, 1000, 1000):
        message.add_int(number)
    # The first answer is still read by paramiko itself, which ends the connection over it or not: no matter
    # which, no channel is opened.
    for _ in range(100):
        try:
            client.raw(message)
        except Exception:
            break
    import time

    deadline = time.monotonic() + 2
    kinds = set()
    while time.monotonic() < deadline:
        try:
            kinds.add(client.seen.get(timeout=0.2)[0])
        except Exception:
            break
    assert kinds <= {3, None}, kinds
    assert not transport.is_authenticated()


if __name__ == "__main__":
    main(
        {
            "in_order": in_order,
            "on_the_connection": on_the_connection,
            "on_closed_channels": on_closed_channels,
            "before_the_login": before_the_login,
        }
    )
