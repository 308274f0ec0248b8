"""libssh2 (which curl, PHP and many editors use), by its Python binding."""
import os
import select
import socket
import sys

from adapter import ASK, CHUNK, HOST, PORT, USER, Steer, leave, local_bytes, mode_of, save, say, write
from ssh2.error_codes import LIBSSH2_ERROR_EAGAIN
from ssh2.exceptions import SSH2Error
from ssh2.session import LIBSSH2_SESSION_BLOCK_OUTBOUND, Session
from ssh2.sftp import LIBSSH2_FXF_APPEND, LIBSSH2_FXF_CREAT, LIBSSH2_FXF_READ, LIBSSH2_FXF_TRUNC, LIBSSH2_FXF_WRITE
from ssh2.sftp_handle import SFTPAttributes


def connect():
    sock = socket.create_connection((HOST, PORT))
    session = Session()
    session.handshake(sock)
    if ASK.get("interactive"):
        session.userauth_keyboardinteractive(USER, ASK["password"])
    elif "password" in ASK:
        session.userauth_password(USER, ASK["password"])
    else:
        session.userauth_publickey_fromfile(USER, ASK["key"])
    return sock, session


class Duplex:
    """One channel beside one local source and sink, without threads: libssh2 has one lock for a connection."""

    def __init__(self, sock, session, channel):
        self.sock, self.session, self.channel = sock, session, channel
        session.set_blocking(False)
        self.pending, self.ended = b"", False

    def push(self):
        """Sends what is pending; then the end, once there is one."""
        while self.pending:
            status, sent = self.channel.write(self.pending)
            if status == LIBSSH2_ERROR_EAGAIN:
                return
            self.pending = self.pending[sent:]
        if self.ended is True and self.channel.send_eof() != LIBSSH2_ERROR_EAGAIN:
            self.ended = "said"

    def run(self, source, sinks, look=lambda data: None, on_end=None):
        channel, quiet = self.channel, 0
        while True:
            moved = False
            for read, sink in ((channel.read, sinks[0]), (channel.read_stderr, sinks[1])):
                count, data = read(CHUNK)
                while count > 0:
                    moved = True
                    sink(data)
                    look(data)
                    count, data = read(CHUNK)
            self.push()
            if moved:
                continue
            if channel.eof():
                if on_end is None or self.ended == "said":
                    return
                on_end()
                on_end = lambda: None
            reading = [self.sock] if self.ended or self.pending else [self.sock, source]
            writing = [self.sock] if self.session.block_directions() & LIBSSH2_SESSION_BLOCK_OUTBOUND else []
            ready, _, _ = select.select(reading, writing, [], 0.2)
            if source in ready:
                self.pending = os.read(source if isinstance(source, int) else source.fileno(), CHUNK)
                if not self.pending:
                    self.ended = True


def session(sock, session):
    channel = session.open_session()
    if "term" in ASK:
        channel.pty(ASK["term"])
    for name, value in ASK.get("env", {}).items():
        channel.setenv(name, value)
    if ASK.get("agent"):
        channel.request_auth_agent()
    channel.execute(ASK["command"]) if "command" in ASK else channel.shell()
    steer = Steer(lambda: channel.signal(ASK["signal"]))
    Duplex(sock, session, channel).run(0, (lambda d: write(sys.stdout, d), lambda d: write(sys.stderr, d)), steer.look)
    session.set_blocking(True)
    channel.close()
    channel.wait_closed()
    signal = channel.get_exit_signal()[1]
    leave(channel.get_exit_status(), signal.decode() if signal else None)


def carry(sock, session, channel, other):
    """A channel and a socket, until both have ended."""
    end = lambda: other.shutdown(socket.SHUT_WR)
    Duplex(sock, session, channel).run(other, (other.sendall, other.sendall), on_end=end)
    other.close()
    session.set_blocking(True)
    channel.close()


def listen_once(sock, session, open_channel):
    """One connection at a time is what this adapter carries."""
    listener = socket.create_server(("127.0.0.1", ASK["listen"]))
    say("ready")
    while listener in select.select([listener, 0], [], [])[0]:
        other, _ = listener.accept()
        try:
            channel = open_channel()
        except SSH2Error:
            other.close()
        else:
            carry(sock, session, channel, other)
        session.set_blocking(True)
    leave(0)


def local(sock, session):
    listen_once(sock, session, lambda: session.direct_tcpip(ASK["to_host"], ASK["to_port"]))


def remote(sock, session):
    # A variable must hold the listener: the binding ends the forward with it.
    listener, port = session.forward_listen_ex(16, "127.0.0.1", ASK["port_there"])
    say(f"port {port}")
    while True:
        session.set_blocking(False)
        ready, _, _ = select.select([sock, 0], [], [], 0.05)
        if 0 in ready:
            if not os.read(0, CHUNK):
                leave(0)
            continue
        channel = listener.forward_accept()
        if channel and channel != LIBSSH2_ERROR_EAGAIN:
            with socket.create_connection(("127.0.0.1", ASK["to_port"])) as other:
                carry(sock, session, channel, other)


def scp(sock, session):
    source, target = ASK["from"], ASK["to"]
    if target.startswith(":"):
        data = local_bytes(source)
        channel = session.scp_send64(target[1:], 0o640, len(data), 1_000_000_000, 1_000_000_000)
        while data:
            data = data[channel.write(data[:CHUNK])[1]:]
        channel.send_eof()
        channel.wait_eof()
        channel.wait_closed()
    else:
        channel, info = session.scp_recv2(source[1:])
        data, left = b"", info.st_size
        while left:
            count, chunk = channel.read(min(left, CHUNK))
            if count <= 0:
                sys.exit(f"{left} bytes are missing")
            data, left = data + chunk, left - count
        save(target, data)
    leave(0)


def channels(sock, session):
    done = 0
    for _ in range(ASK["count"]):
        channel = session.open_session()
        channel.execute(ASK["command"])
        count, _ = channel.read(CHUNK)
        channel.wait_eof()
        channel.close()
        channel.wait_closed()
        done += count > 0 and channel.get_exit_status() == 0
    say(done)
    leave(0)


def sftp(sock, session):
    files = session.sftp_init()
    for word, *args in ASK["steps"]:
        SFTP[word](files, *args)
    leave(0)


def get(files, remote, local, have=None):
    with files.open(remote, LIBSSH2_FXF_READ, 0) as source:
        if have is not None:
            source.seek64(have)
        save(local, b"".join(data for _, data in source), append=have is not None)


def put(files, local, remote, have=None):
    flags = LIBSSH2_FXF_WRITE | (LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC if have is None else LIBSSH2_FXF_APPEND)
    with files.open(remote, flags, 0o644) as target:
        if have is not None:
            target.seek64(have)
        target.write(local_bytes(local)[have or 0:])


def set_attributes(files, path, **values):
    attributes = SFTPAttributes()
    attributes.flags = 4 if "permissions" in values else 8
    for name, value in values.items():
        setattr(attributes, name, value)
    files.setstat(path, attributes)


def refused(files, word, *args):
    try:
        SFTP[word](files, *args)
    except SSH2Error:
        return
    sys.exit(f"{word} {args} was not refused")


def show(files, path):
    found = files.lstat(path)
    say(f"{found.permissions & 0o7777:o} {found.filesize} {found.mtime}")


def count(files, path):
    with files.opendir(path) as folder:
        say(len([name for _, name, _ in folder.readdir() if name not in (b".", b"..")]))


SFTP = {
    "put": put,
    "get": get,
    "resume-put": lambda f, local, remote: put(f, local, remote, f.stat(remote).filesize),
    "resume-get": lambda f, remote, local: get(f, remote, local, os.path.getsize(local)),
    "mkdir": lambda f, path: f.mkdir(path, 0o755),
    "rmdir": lambda f, path: f.rmdir(path),
    "remove": lambda f, path: f.unlink(path),
    "rename": lambda f, old, new: f.rename(old, new),
    "symlink": lambda f, target, link: f.symlink(target, link),
    "readlink": lambda f, path: say(f.realpath(path)),
    "chmod": lambda f, mode, path: set_attributes(f, path, permissions=mode_of(mode)),
    "times": lambda f, path, when: set_attributes(f, path, atime=int(when), mtime=int(when)),
    "stat": show,
    "list": count,
    "pwd": lambda f: say(f.realpath(".")),
    "statvfs": lambda f, path: say(f"blocks {f.statvfs(path).f_blocks}"),
    "refused": refused,
}

WAYS = {"session": session, "local": local, "remote": remote, "scp": scp, "channels": channels, "sftp": sftp}
WAYS[ASK["do"]](*connect())
