"""libssh (which KDE's sftp and many tools use), by its Python binding."""
import os
import select
import socket
import sys
import time

from adapter import ASK, CHUNK, HOST, PORT, USER, Steer, leave, local_bytes, mode_of, save, say, write
from ssh import options
from ssh.exceptions import EOF, BaseSSHError
from ssh.key import import_privkey_file
from ssh.session import Session


def connect():
    session = Session()
    session.options_set(options.HOST, HOST)
    session.options_set_port(PORT)
    session.options_set(options.USER, USER)
    session.connect()
    if "password" in ASK:
        session.userauth_password(USER, ASK["password"])
    else:
        session.userauth_publickey(import_privkey_file(ASK["key"]))
    return session


def open_session(session):
    channel = session.channel_new()
    channel.open_session()
    return channel


def carry(channel, source, out, err, look=lambda data: None):
    """Until the channel's end: libssh is polled, its binding has no blocking read of both streams."""
    ended = False
    while True:
        moved = False
        for is_stderr, sink in ((False, out), (True, err)):
            try:
                count, data = channel.read_nonblocking(CHUNK, is_stderr=is_stderr)
            except EOF:
                count = 0
            if count > 0:
                moved = True
                sink(data[:count])
                look(data[:count])
        if channel.is_eof() and not moved:
            return
        if not ended and select.select([source], [], [], 0 if moved else 0.005)[0]:
            data = os.read(source if isinstance(source, int) else source.fileno(), CHUNK)
            if data:
                channel.write(data)
            else:
                channel.send_eof()
                ended = True
        elif ended and not moved:
            time.sleep(0.005)


def session(session):
    channel = open_session(session)
    if "term" in ASK:
        channel.request_pty_size(ASK["term"], ASK["columns"], ASK["rows"])
    for name, value in ASK.get("env", {}).items():
        channel.request_env(name, value)
    if ASK.get("agent"):
        channel.request_auth_agent()
    channel.request_exec(ASK["command"]) if "command" in ASK else channel.request_shell()

    def act():
        if "resize" in ASK:
            channel.change_pty_size(*ASK["resize"])
        elif "signal" in ASK:
            channel.request_send_signal(ASK["signal"])
        else:
            channel.request_send_break(500)

    carry(channel, 0, lambda d: write(sys.stdout, d), lambda d: write(sys.stderr, d), Steer(act).look)
    channel.close()
    status = channel.get_exit_status()
    leave(status if status >= 0 else 255, "unknown" if status < 0 else None)


def join(channel, other):
    carry(channel, other, other.sendall, other.sendall)
    other.shutdown(socket.SHUT_WR)
    channel.close()


def local(session):
    listener = socket.create_server(("127.0.0.1", ASK["listen"]))
    say("ready")
    while listener in select.select([listener, 0], [], [])[0]:
        other, _ = listener.accept()
        channel = session.channel_new()
        try:
            channel.open_forward(ASK["to_host"], ASK["to_port"], "127.0.0.1", 1)
        except BaseSSHError:
            other.close()
        else:
            join(channel, other)
    leave(0)


def channels(session):
    done = 0
    for _ in range(ASK["count"]):
        channel = open_session(session)
        channel.request_exec(ASK["command"])
        count, _ = channel.read(CHUNK)
        while not channel.is_eof():
            channel.read(CHUNK)
        channel.close()
        done += count > 0 and channel.get_exit_status() == 0
    say(done)
    leave(0)


def sftp(session):
    files = session.sftp_new()
    files.init()
    for word, *args in ASK["steps"]:
        SFTP[word](files, *args)
    leave(0)


def get(files, remote, local, have=None):
    with files.open(remote, os.O_RDONLY, 0) as source:
        if have is not None:
            source.seek64(have)
        save(local, b"".join(data for _, data in source), append=have is not None)


def put(files, local, remote, have=None):
    with files.open(remote, os.O_WRONLY | (os.O_CREAT | os.O_TRUNC if have is None else 0), 0o644) as target:
        if have is not None:
            target.seek64(have)
        data = local_bytes(local)[have or 0:]
        for start in range(0, len(data), CHUNK):
            target.write(data[start:start + CHUNK])


def refused(files, word, *args):
    try:
        SFTP[word](files, *args)
    except BaseSSHError:
        return
    sys.exit(f"{word} {args} was not refused")


def show(files, path):
    found = files.lstat(path)
    say(f"{found.permissions & 0o7777:o} {found.size} {found.mtime}")


def count(files, path):
    with files.opendir(path) as folder:
        say(len([1 for entry in folder if entry.name not in (b".", b"..")]))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


SFTP = {
    "put": put,
    "get": get,
    "resume-put": lambda f, local, remote: put(f, local, remote, f.stat(remote).size),
    "resume-get": lambda f, remote, local: get(f, remote, local, os.path.getsize(local)),
    "mkdir": lambda f, path: f.mkdir(path, 0o755),
    "rmdir": lambda f, path: f.rmdir(path),
    "remove": lambda f, path: f.unlink(path),
    "rename": lambda f, old, new: f.rename(old, new),
    "symlink": lambda f, target, link: f.symlink(target, link),
    "readlink": lambda f, path: say(text(f.readlink(path))),
    "chmod": lambda f, mode, path: f.chmod(path, mode_of(mode)),
    "times": lambda f, path, when: f.utimes(path, int(when), 0),
    "stat": show,
    "list": count,
    "pwd": lambda f: say(text(f.canonicalize_path("."))),
    "statvfs": lambda f, path: say(f"blocks {f.statvfs(path).f_blocks}"),
    "refused": refused,
}

{"session": session, "local": local, "channels": channels, "sftp": sftp}[ASK["do"]](connect())
