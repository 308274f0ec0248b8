"""What is measured, each for one side. Times are in ms, rates in MB/s (10^6 bytes) or requests/s."""

import hashlib
import os
import pty
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import termios
import threading
import time
import tty

from sides import free_port, out

SCRATCH = "/dev/shm"


class Failed(Exception):
    """A transfer that was not whole, or a connection that did not come: no figure."""


def milliseconds(act):
    began = time.monotonic()
    act()
    return (time.monotonic() - began) * 1e3


def sum_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def zeroed(path, size):
    """A file whose memory is there already, so that making it is in no figure; its bytes are other ones."""
    target = open(path, "w+b")
    block = bytes(1 << 20)
    for _ in range(0, size, len(block)):
        target.write(block)
    target.seek(0)
    return target


def client_seconds(act):
    """The processor time of the client that `act` runs."""
    spent = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = spent()
    act()
    return spent() - before


class Master:
    """An open master connection of one side."""

    def __init__(self, side, *options):
        self.side = side
        self.path = f"{SCRATCH}/ct-bench-{os.getpid()}-{side.name}-{free_port()}"
        self.process = subprocess.Popen(side.ssh("-N", "-M", "-S", self.path, *options), stdin=subprocess.DEVNULL)
        limit = time.monotonic() + 20
        while not os.path.exists(self.path):
            if time.monotonic() > limit:
                raise Failed("no master connection")
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ssh(self, *options):
        return self.side.ssh("-S", self.path, *options)


def connect(*options):
    return lambda side: milliseconds(lambda: subprocess.run(side.ssh(*options) + ["true"], check=True))


def at_once(count):
    """Until the last of so many connections has run `true`."""
    def measure(side):
        def all_of_them():
            running = [subprocess.Popen(side.ssh() + ["true"], stdin=subprocess.DEVNULL) for _ in range(count)]
            if any([p.wait() for p in running]):
                raise Failed("a connection failed")
        return milliseconds(all_of_them)
    return measure


def on_master(side):
    with Master(side) as master:
        return statistics.median(milliseconds(lambda: subprocess.run(master.ssh() + ["true"], check=True)) for _ in range(20))


def check_master(side):
    """What the client does by itself before it asks for anything."""
    with Master(side) as master:
        check = master.ssh("-O", "check")
        return statistics.median(milliseconds(lambda: subprocess.run(check, check=True, capture_output=True)) for _ in range(20))


class Echo:
    """A raw terminal with `cat` behind it."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command + ["stty raw -echo; echo ready; exec cat"], stdin=slave, stdout=slave,
                                        stderr=subprocess.DEVNULL)
        os.close(slave)
        tty.setraw(self.master)
        seen = b""
        while b"ready" not in seen:
            seen += os.read(self.master, 4096)
        while select.select([self.master], [], [], 0.3)[0]:
            os.read(self.master, 4096)

    def median(self, keys=300):
        times = []
        for n in range(keys):
            key = bytes([97 + n % 26])
            began = time.perf_counter()
            os.write(self.master, key)
            while key not in os.read(self.master, 4096):
                pass
            times.append((time.perf_counter() - began) * 1e3)
            # People do not type faster than this, and a transfer beside it must get going again.
            time.sleep(0.002)
        return statistics.median(times)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)
        self.process.kill()
        self.process.wait()


def echo(side):
    with Echo(side.ssh("-tt")) as terminal:
        return terminal.median()


def echo_beside_own_bulk(side):
    with Master(side) as master, Echo(master.ssh("-tt")) as terminal:
        bulk = subprocess.Popen(master.ssh() + ["cat /dev/zero"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        try:
            return terminal.median()
        finally:
            bulk.kill()
            bulk.wait()


def echo_beside_idle(side, count):
    """Beside so many sessions of the same connection that say nothing."""
    with Master(side) as master:
        idle = [subprocess.Popen(master.ssh() + ["echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
        try:
            if any(session.stdout.read(1) != b"\n" for session in idle):
                raise Failed("a session did not come")
            with Echo(master.ssh("-tt")) as terminal:
                return terminal.median()
        finally:
            for session in idle:
                session.kill()
            for session in idle:
                session.wait()


def echo_beside(neighbour):
    """Beside another user's download through the same gateway (for `direct`: another user of the same sshd)."""
    def measure(side):
        other = neighbour if side.name == "ours" else side
        with Echo(side.ssh("-tt")) as terminal:
            bulk = subprocess.Popen(other.ssh() + ["cat /dev/zero"], stdout=subprocess.DEVNULL)
            time.sleep(0.5)
            try:
                return terminal.median()
            finally:
                bulk.kill()
                bulk.wait()
    return measure


class Transfers:
    """Transfers of one file of known sum; it lies in memory on both ends."""

    def __init__(self, folder, megabytes):
        self.size = megabytes << 20
        self.file = f"{folder}/data"
        with open(self.file, "wb") as data, open("/dev/urandom", "rb") as random:
            block = random.read(1 << 20)
            for n in range(megabytes):
                data.write(block[n:] + block[:n])
        self.sum = sum_of(self.file)

    def place(self, side):
        with open(self.file, "rb") as data:
            subprocess.run(side.ssh() + ["cat > /dev/shm/data"], stdin=data, check=True)
        self.check(side, "/dev/shm/data")

    def check(self, side, path):
        if out(*side.ssh(), f"sha256sum {path}").split()[0] != self.sum:
            raise Failed(f"{side.name}: bytes were lost or changed on the way there")

    def rate(self, took_ms):
        return self.size / took_ms / 1e3

    def download(self, *options):
        def measure(side):
            path = f"{SCRATCH}/ct-bench-down"
            with zeroed(path, self.size) as target:
                took = milliseconds(lambda: subprocess.run(side.ssh(*options) + ["cat /dev/shm/data"], stdout=target, check=True))
            if sum_of(path) != self.sum:
                raise Failed(f"{side.name}: bytes were lost or changed on the way back")
            os.unlink(path)
            return self.rate(took)
        return measure

    def upload(self, *options):
        def measure(side):
            subprocess.run(side.ssh() + [f"head -c {self.size} /dev/zero > /dev/shm/up"], check=True)
            with open(self.file, "rb") as data:
                took = milliseconds(lambda: subprocess.run(side.ssh(*options) + ["cat 1<> /dev/shm/up"], stdin=data, check=True))
            self.check(side, "/dev/shm/up")
            return self.rate(took)
        return measure

    def client_cost(self, *options):
        """The client's own processor time, s/GB: what no server can make up for."""
        def measure(side):
            command = side.ssh(*options) + [f"head -c {self.size} /dev/zero"]
            spent = client_seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
            return spent / self.size * 1e9
        return measure

    def both_ways(self, side):
        path = f"{SCRATCH}/ct-bench-both"
        with open(self.file, "rb") as data, open(path, "wb") as target:
            took = milliseconds(lambda: subprocess.run(side.ssh() + ["cat"], stdin=data, stdout=target, check=True, timeout=300))
        if sum_of(path) != self.sum:
            raise Failed(f"{side.name}: bytes were lost or changed there and back")
        os.unlink(path)
        return 2 * self.rate(took)

    def sftp(self, batch, side, *options):
        command = ["sftp", "-q", "-b", "-", *side.base[1:side.base.index("-p")], "-P", side.base[4], *side.base[5:], *options, side.host]
        return milliseconds(lambda: subprocess.run(command, input=batch, text=True, check=True, stdout=subprocess.DEVNULL))

    def sftp_get(self, side):
        path = f"{SCRATCH}/ct-bench-sftp"
        took = self.sftp(f"get /dev/shm/data {path}\n", side)
        if sum_of(path) != self.sum:
            raise Failed(f"{side.name}: sftp lost or changed bytes")
        os.unlink(path)
        return self.rate(took)

    def sftp_put(self, side):
        took = self.sftp(f"put {self.file} /dev/shm/up\n", side)
        self.check(side, "/dev/shm/up")
        return self.rate(took)

    def sftp_many(self, folder):
        """2,000 small files there."""
        many = f"{folder}/many"
        os.makedirs(many, exist_ok=True)
        for n in range(2000):
            with open(f"{many}/{n}", "wb") as file:
                file.write(os.urandom(n % 4096))
        want = out("sh", "-c", f"cd {many} && cat $(seq 0 1999) | sha256sum")

        def measure(side):
            subprocess.run(side.ssh() + ["rm -rf /dev/shm/many && mkdir /dev/shm/many"], check=True)
            took = self.sftp(f"put -R {many} /dev/shm\n", side)
            if out(*side.ssh(), "cd /dev/shm/many && cat $(seq 0 1999) | sha256sum") != want:
                raise Failed(f"{side.name}: sftp lost or changed files")
            return took
        return measure

    def sftp_get_many(self, side):
        """The same files back: what `sftp_many` has put there."""
        target = f"{SCRATCH}/ct-bench-many"
        shutil.rmtree(target, ignore_errors=True)
        os.mkdir(target)
        want = out(*side.ssh(), "cd /dev/shm/many && cat $(seq 0 1999) | sha256sum")
        took = self.sftp(f"get -R /dev/shm/many {target}\n", side)
        got = out("sh", "-c", f"cd {target}/many && cat $(seq 0 1999) | sha256sum")
        shutil.rmtree(target)
        if got != want:
            raise Failed(f"{side.name}: sftp lost or changed files")
        return took


SERVER = """
import socket, threading
def serve(c):
    try:
        while True:
            n = c.recv(8)
            if not n: return
            left = int(n)
            while left > 0:
                c.sendall(BLOCK[:left]); left -= len(BLOCK)
    except OSError: pass
BLOCK = bytes(1 << 20)
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(128)
print(l.getsockname()[1], flush=True)
while True:
    c = l.accept()[0]; c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(c,), daemon=True).start()
"""


class Forward:
    """A server behind a local forward: 8 digits ask it for that many bytes."""

    def __init__(self, side):
        self.server = subprocess.Popen(side.ssh() + [f"exec python3 -c '{SERVER}'"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        remote = int(self.server.stdout.readline())
        self.port = free_port()
        self.master = Master(side, "-L", f"127.0.0.1:{self.port}:127.0.0.1:{remote}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.master.__exit__()
        self.server.kill()
        self.server.wait()

    def open(self):
        c = socket.create_connection(("127.0.0.1", self.port))
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c


def fetch(c, count):
    c.sendall(b"%08d" % count)
    left = count
    while left:
        got = len(c.recv(min(left, 1 << 20)))
        if not got:
            raise Failed("a forward ended early")
        left -= got


def forward_bulk(side):
    with Forward(side) as forward:
        c = forward.open()
        took = milliseconds(lambda: [fetch(c, 99_000_000) for _ in range(3)])
        return 297 / took * 1e3


def forward_requests(side):
    """Requests of 8 bytes answered with 100, on 16 connections for 2 s."""
    with Forward(side) as forward:
        until, counts = time.monotonic() + 2, []

        def ask():
            c, n = forward.open(), 0
            while time.monotonic() < until:
                fetch(c, 100)
                n += 1
            counts.append(n)
        threads = [threading.Thread(target=ask) for _ in range(16)]
        for t in threads: t.start()
        for t in threads: t.join()
        return sum(counts) / 2


def start_to_prompt(side):
    """From Enter in the menu to a shell's prompt, with the image here."""
    samples = []
    for _ in range(5):
        subprocess.run(side.ssh() + ["clusteria release"], check=True, capture_output=True)
        while '"state":"ending"' in out(*side.ssh(), "clusteria machines --json"):
            time.sleep(0.05)
        master, slave = pty.openpty()
        # A menu has nothing to draw on a terminal of no size.
        termios.tcsetwinsize(slave, (24, 80))
        p = subprocess.Popen(side.ssh("-tt"), stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
        os.close(slave)
        seen = b""
        while "●".encode() not in seen and b"* free" not in seen:
            seen += os.read(master, 65536)
        began = time.monotonic()
        os.write(master, b"\r")
        seen = b""
        # The card of what was reserved, with its password: Enter opens the shell. Of other words only what differs is sent.
        while b"localhost:8888" not in seen:
            seen += os.read(master, 65536)
        os.write(master, b"\r")
        while b"$ " not in seen:
            seen += os.read(master, 65536)
        samples.append((time.monotonic() - began) * 1e3)
        os.close(master)
        p.kill()
        p.wait()
    return statistics.median(samples)
