"""paramiko, as scripts use it."""
import os
import select
import socket
import sys
import threading
import time

import paramiko
from adapter import ASK, CHUNK, HOST, IS_STEERED, PORT, USER, Steer, leave, mode_of, read_stdin, say, serve, write


def connect():
    transport = paramiko.Transport((HOST, PORT))
    if "rekey" in ASK:
        transport.packetizer.REKEY_BYTES = ASK["rekey"]
    transport.start_client(timeout=30)
    if ASK.get("interactive"):
        transport.auth_interactive(USER, lambda title, text, prompts: [ASK["password"] for _ in prompts])
    elif "password" in ASK:
        transport.auth_password(USER, ASK["password"], fallback=False)
    else:
        transport.auth_publickey(USER, paramiko.Ed25519Key.from_private_key_file(ASK["key"]))
    if "keepalive" in ASK:
        transport.set_keepalive(ASK["keepalive"])
    return transport


def copy(source, target, done):
    while data := source.recv(CHUNK):
        target.sendall(data)
    done(target)


def join(channel, sock):
    """A channel and a socket, both ways, each half closed on its own."""
    up = threading.Thread(target=copy, args=(sock, channel, lambda c: c.shutdown_write()), daemon=True)
    up.start()
    copy(channel, sock, lambda s: s.shutdown(socket.SHUT_WR))
    up.join()
    channel.close()
    sock.close()


def no_more_new_keys(transport):
    """A peer's CLOSE in the middle of an exchange blocks paramiko's reader for ever, whoever the server is:
    the thread that answers the CLOSE waits for the new keys, and is the one that would read them."""
    transport.packetizer.REKEY_BYTES = 2**29
    while transport.active and (transport.in_kex or transport.packetizer.need_rekey()):
        time.sleep(0.01)


def session(transport):
    channel = transport.open_session()
    if "term" in ASK:
        channel.get_pty(ASK["term"], ASK["columns"], ASK["rows"])
    for name, value in ASK.get("env", {}).items():
        channel.set_environment_variable(name, value)
    if ASK.get("agent"):
        paramiko.agent.AgentRequestHandler(channel)
    if ASK.get("x11"):
        channel.request_x11(handler=x11)
    if "command" in ASK:
        channel.exec_command(ASK["command"])
    else:
        channel.invoke_shell()
    steer = Steer(lambda: channel.resize_pty(*ASK["resize"]))

    def feed():
        try:
            for chunk in read_stdin():
                channel.sendall(chunk)
            no_more_new_keys(transport)
            channel.shutdown_write()
        except OSError:
            pass

    def errors():
        while data := channel.recv_stderr(CHUNK):
            write(sys.stderr, data)

    if not IS_STEERED:
        threading.Thread(target=feed, daemon=True).start()
    aside = threading.Thread(target=errors, daemon=True)
    aside.start()
    while data := channel.recv(CHUNK):
        write(sys.stdout, data)
        steer.look(data)
    aside.join()
    status = channel.recv_exit_status()
    # paramiko has no word for exit-signal: no status at all is what is left of it.
    leave(status, "unknown" if status == -1 else None)


def x11(channel, origin):
    display = socket.socket(socket.AF_UNIX)
    display.connect(f"/tmp/.X11-unix/X{ASK['display']}")
    threading.Thread(target=join, args=(channel, display), daemon=True).start()


def local(transport):
    def handle(sock):
        try:
            channel = transport.open_channel("direct-tcpip", (ASK["to_host"], ASK["to_port"]), sock.getpeername())
        except paramiko.ChannelException:
            sock.close()
        else:
            join(channel, sock)

    serve(ASK["listen"], handle)


def remote(transport):
    def handle(channel, origin, server):
        sock = socket.create_connection(("127.0.0.1", ASK["to_port"]))
        threading.Thread(target=join, args=(channel, sock), daemon=True).start()

    say(f"port {transport.request_port_forward('127.0.0.1', ASK['port_there'], handle)}")
    for line in sys.stdin:
        if line.strip() == "cancel":
            transport.cancel_port_forward("127.0.0.1", ASK["port_there"])
            say("cancelled")
    leave(0)


def channels(transport):
    done = 0
    for batch in range(0, ASK["count"], 50):
        opened = []
        for _ in range(min(50, ASK["count"] - batch)):
            channel = transport.open_session()
            channel.exec_command(ASK["command"])
            opened.append(channel)
        for channel in opened:
            if channel.recv(CHUNK) and channel.recv_exit_status() == 0:
                done += 1
            channel.close()
    say(done)
    leave(0)


def sftp(transport):
    files = paramiko.SFTPClient.from_transport(transport)
    for word, *args in ASK["steps"]:
        SFTP[word](files, *args)
    leave(0)


def resume_get(files, remote, local):
    have = os.path.getsize(local)
    with files.open(remote) as source, open(local, "ab") as target:
        source.seek(have)
        target.write(source.read())


def resume_put(files, local, remote):
    have = files.stat(remote).st_size
    with open(local, "rb") as source, files.open(remote, "ab") as target:
        source.seek(have)
        target.write(source.read())


def refused(files, word, *args):
    try:
        SFTP[word](files, *args)
    except OSError:
        return
    sys.exit(f"{word} {args} was not refused")


def show(files, path):
    found = files.lstat(path)
    say(f"{found.st_mode & 0o7777:o} {found.st_size} {found.st_mtime}")


SFTP = {
    "put": lambda f, local, remote: f.put(local, remote),
    "get": lambda f, remote, local: f.get(remote, local),
    "resume-put": resume_put,
    "resume-get": resume_get,
    "mkdir": lambda f, path: f.mkdir(path),
    "rmdir": lambda f, path: f.rmdir(path),
    "remove": lambda f, path: f.remove(path),
    "rename": lambda f, old, new: f.rename(old, new),
    "replace": lambda f, old, new: f.posix_rename(old, new),
    "symlink": lambda f, target, link: f.symlink(target, link),
    "readlink": lambda f, path: say(f.readlink(path)),
    "chmod": lambda f, mode, path: f.chmod(path, mode_of(mode)),
    "times": lambda f, path, when: f.utime(path, (int(when), int(when))),
    "stat": show,
    "list": lambda f, path: say(len(f.listdir(path))),
    "pwd": lambda f: say(f.normalize(".")),
    "refused": refused,
}

transport = connect()
{"session": session, "local": local, "remote": remote, "channels": channels, "sftp": sftp}[ASK["do"]](transport)
