"""asyncssh, as scripts use it."""
import asyncio
import os
import sys

import asyncssh
from adapter import ASK, CHUNK, HOST, PORT, USER, Steer, leave, mode_of, say, write


class Client(asyncssh.SSHClient):
    """Answers a keyboard-interactive prompt."""

    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return [ASK["password"] for _ in prompts]


def options():
    chosen = dict(username=USER, known_hosts=None, config=[], client_keys=[ASK["key"]] if "key" in ASK else None, agent_path=None)
    if ASK.get("interactive"):
        chosen.update(client_factory=Client, preferred_auth="keyboard-interactive")
    elif "password" in ASK:
        chosen.update(password=ASK["password"], preferred_auth="password")
    if ASK.get("agent"):
        chosen.update(agent_path=os.environ["SSH_AUTH_SOCK"], agent_forwarding=True)
    if "rekey" in ASK:
        chosen["rekey_bytes"] = ASK["rekey"]
    if "keepalive" in ASK:
        chosen["keepalive_interval"] = ASK["keepalive"]
    return chosen


async def stdin_reader():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def session(conn):
    terminal = {}
    if "term" in ASK:
        terminal = dict(term_type=ASK["term"], term_size=(ASK["columns"], ASK["rows"]), term_modes={int(k): v for k, v in ASK.get("modes", {}).items()})
    x11 = dict(x11_forwarding=True, x11_display=f":{ASK['display']}", x11_auth_path=os.environ["XAUTHORITY"]) if ASK.get("x11") else {}
    process = await conn.create_process(ASK.get("command"), env=ASK.get("env", {}), encoding=None, **terminal, **x11)

    def act():
        if "resize" in ASK:
            process.change_terminal_size(*ASK["resize"])
        elif "signal" in ASK:
            process.send_signal(ASK["signal"])
        else:
            process.send_break(500)

    steer = Steer(act)

    async def feed():
        reader = await stdin_reader()
        try:
            while chunk := await reader.read(CHUNK):
                process.stdin.write(chunk)
                await process.stdin.drain()
            process.stdin.write_eof()
        except (OSError, asyncssh.Error):
            pass

    async def out(source, target):
        while data := await source.read(CHUNK):
            write(target, data)
            steer.look(data)

    feeding = asyncio.create_task(feed())
    await asyncio.gather(out(process.stdout, sys.stdout), out(process.stderr, sys.stderr))
    await process.wait_closed()
    feeding.cancel()
    leave(process.exit_status if process.exit_status is not None else 255, process.exit_signal and process.exit_signal[0])


async def until_stdin_ends(listener):
    reader = await stdin_reader()
    while line := await reader.readline():
        if line.strip() == b"cancel":
            listener.close()
            await listener.wait_closed()
            say("cancelled")
    leave(0)


async def local(conn):
    listener = await conn.forward_local_port("127.0.0.1", ASK["listen"], ASK["to_host"], ASK["to_port"])
    say("ready")
    await until_stdin_ends(listener)


async def socks(conn):
    listener = await conn.forward_socks("127.0.0.1", ASK["listen"])
    say("ready")
    await until_stdin_ends(listener)


async def remote(conn):
    listener = await conn.forward_remote_port("127.0.0.1", ASK["port_there"], "127.0.0.1", ASK["to_port"])
    say(f"port {listener.get_port()}")
    await until_stdin_ends(listener)


async def unix_local(conn):
    listener = await conn.forward_local_path(ASK["path_here"], ASK["path_there"])
    say("ready")
    await until_stdin_ends(listener)


async def unix_remote(conn):
    listener = await conn.forward_remote_path(ASK["path_there"], ASK["path_here"])
    say("ready")
    await until_stdin_ends(listener)


async def jump(conn):
    async with asyncssh.connect(ASK["to_host"], ASK["to_port"], tunnel=conn, **options()) as inner:
        done = await inner.run(ASK["command"])
        print(done.stdout, end="")
        leave(done.exit_status)


async def channels(conn):
    limit = asyncio.Semaphore(50)

    async def one():
        async with limit:
            done = await conn.run(ASK["command"])
            return done.exit_status == 0 and bool(done.stdout)

    say(sum(await asyncio.gather(*(one() for _ in range(ASK["count"])))))
    leave(0)


async def scp(conn):
    def end(text):
        return (conn, text[1:]) if text.startswith(":") else text

    await asyncssh.scp(end(ASK["from"]), end(ASK["to"]), recurse=True, preserve=True)
    leave(0)


async def sftp(conn):
    async with conn.start_sftp_client() as files:
        for word, *args in ASK["steps"]:
            await SFTP[word](files, *args)
    leave(0)


async def resume_get(files, remote, local):
    async with files.open(remote, "rb") as source:
        with open(local, "ab") as target:
            target.write(await source.read(-1, os.path.getsize(local)))


async def resume_put(files, local, remote):
    have = (await files.stat(remote)).size
    async with files.open(remote, "ab") as target:
        with open(local, "rb") as source:
            source.seek(have)
            await target.write(source.read(), have)


async def refused(files, word, *args):
    try:
        await SFTP[word](files, *args)
    except asyncssh.SFTPError:
        return
    sys.exit(f"{word} {args} was not refused")


async def show(files, path):
    found = await files.lstat(path)
    say(f"{found.permissions & 0o7777:o} {found.size} {found.mtime}")


async def count(files, path):
    say(len([name for name in await files.listdir(path) if name not in (".", "..")]))


async def tell(answer):
    found = await answer
    say(found if isinstance(found, str) else found.decode())


async def statvfs(files, path):
    found = await files.statvfs(path)
    say(f"blocks {found.blocks}")


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
    "readlink": lambda f, path: tell(f.readlink(path)),
    "chmod": lambda f, mode, path: f.chmod(path, mode_of(mode)),
    "times": lambda f, path, when: f.utime(path, (int(when), int(when))),
    "stat": show,
    "list": count,
    "pwd": lambda f: tell(f.realpath(".")),
    "statvfs": statvfs,
    "refused": refused,
}

WAYS = {
    "session": session, "local": local, "socks": socks, "remote": remote, "unix-local": unix_local, "unix-remote": unix_remote,
    "jump": jump, "channels": channels, "scp": scp, "sftp": sftp,
}


async def main():
    async with asyncssh.connect(HOST, PORT, **options()) as conn:
        await WAYS[ASK["do"]](conn)


asyncio.run(main())
