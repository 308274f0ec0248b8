"""The two ways that are measured side by side."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = "clusteria/try:1"
CLUSTER = "t-bench"


def out(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def free_port():
    """A port that nobody is given who asks for any port (those are from 32,768 on)."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Side:
    """One way to a container: its name and the ssh command that goes there."""

    def __init__(self, name, folder, port, user):
        self.name = name
        self.base = ["ssh", "-F", "none", "-p", str(port), "-i", f"{folder}/key", "-o", "IdentitiesOnly=yes",
                     "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known", "-o", "LogLevel=ERROR"]
        self.host = f"{user}@127.0.0.1"

    def ssh(self, *options):
        return self.base + list(options) + [self.host]


class Sides:
    """The gateway with its container, and the container with an sshd of its own; a gateway whose agents are reached over tls."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ct-bench-")
        self.gateways = []
        self.direct = None

    def start(self):
        target = out("cargo", "metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path", f"{ROOT}/Cargo.toml")
        target = json.loads(target)["target_directory"]
        self.binary = f"{target}/x86_64-unknown-linux-musl/release/clusteria"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/key"], check=True)
        self.gateway, self.ours, self.first_container_ms = self.start_gateway("ours", CLUSTER)
        self.neighbour = Side("neighbour", self.folder, int(self.ours.base[4]), "bob")
        subprocess.run(self.neighbour.ssh() + ["true"], check=True)
        # Not loopback: there the engine's own proxy would carry each byte once more.
        address = out("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
        agent = f'agent = "tls"\naddress = "{address}"\nagent_port = {free_port()}\n'
        _, self.tls, _ = self.start_gateway("tls", f"{CLUSTER}-tls", agent)
        self.start_direct()

    def start_gateway(self, name, cluster, agent=""):
        port = free_port()
        config = f"{self.folder}/{name}/clusteria.toml"
        os.mkdir(f"{self.folder}/{name}")
        with open(config, "w") as f:
            f.write(f'[cluster]\nname = "{cluster}"\n[ssh]\nlisten = ["127.0.0.1:{port}"]\nmax_per_user = 6000\nmax_connections = 8000\nmax_startups = 8000\n'
                    f'[container]\nimage = "{IMAGE}"\nshm = "4GiB"\n[store]\npath = "l.db"\nruntime = "run"\n'
                    f'[[machine]]\nname = "gpu1"\n{agent}[[machine.slot]]\n[[machine.slot]]\n')
        people = [w for name in ("ada", "bob") for w in (["user", "add", name, "--no-password"],
                                                         ["user", "key", name, "add", f"{self.folder}/key.pub"])]
        for words in [["hostkey"], *people]:
            subprocess.run([self.binary, words[0], "-c", config, *words[1:]], check=True, capture_output=True)
        log = open(f"{self.folder}/log", "a")
        gateway = subprocess.Popen([self.binary, "serve", "-c", config], stderr=log)
        self.gateways.append((gateway, cluster))
        side = Side(name, self.folder, port, "ada")
        self.wait_for_banner(port)
        began = time.monotonic()
        subprocess.run(side.ssh() + ["true"], check=True)
        return gateway, side, (time.monotonic() - began) * 1e3

    def start_direct(self):
        """sshd inside a container of the same image, from the host's own OpenSSH package, as a user."""
        port = free_port()
        name = f"clusteria-{CLUSTER}-direct"
        subprocess.run(["docker", "rm", "-f", name], capture_output=True)
        out("docker", "run", "-d", "--name", name, "--label", f"clusteria.bench={CLUSTER}", "--network", "host", "--shm-size", "4g",
            "-v", "/:/host:ro", "--entrypoint", "sleep", IMAGE, "7200")
        self.direct = name
        libraries = " ".join(re.findall(r"/[^ ]*\.so[^ ]*", out("ldd", "/usr/sbin/sshd")))
        inside = lambda script: subprocess.run(["docker", "exec", name, "sh", "-ec", script], check=True)
        shutil.copy(f"{self.folder}/key.pub", f"{self.folder}/authorized")
        inside("groupadd -g 20000 ada; useradd -m -u 20000 -g 20000 -s /bin/bash ada; usermod -p '*' ada; mkdir -p /run/sshd /etc/ssh;"
               "id sshd >/dev/null 2>&1 || useradd -r -d /run/sshd sshd;"
               f"mkdir -p /home/ada/.ssh; cp /host{self.folder}/authorized /home/ada/.ssh/authorized_keys;"
               "chown -R ada:ada /home/ada/.ssh; chmod 700 /home/ada/.ssh; chmod 600 /home/ada/.ssh/authorized_keys;"
               # The sshd and the libraries of the host: the image has none of its own.
               "mkdir -p /opt/sshd; cp /host/usr/sbin/sshd /opt/sshd/;"
               f"for l in {libraries}; do [ -e $l ] || {{ mkdir -p $(dirname $l); cp -L /host$l $l; }}; done;"
               "[ -e /etc/ssh/ssh_host_ed25519_key ] || /host/usr/bin/ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key;"
               f"printf 'Port {port}\\nListenAddress 127.0.0.1\\nHostKey /etc/ssh/ssh_host_ed25519_key\\nUsePAM no\\nSubsystem sftp /usr/lib/openssh/sftp-server\\nMaxStartups 1000\\nMaxSessions 1000\\nUseDNS no\\nPrintMotd no\\n' > /etc/ssh/sshd_bench")
        out("docker", "exec", "-d", name, "/opt/sshd/sshd", "-D", "-f", "/etc/ssh/sshd_bench")
        self.straight = Side("direct", self.folder, port, "ada")
        self.wait_for_banner(port)
        subprocess.run(self.straight.ssh() + ["true"], check=True)

    def containers(self):
        return [name for _, cluster in self.gateways
                for name in out("docker", "ps", "-aq", "--filter", f"label=clusteria.cluster={cluster}").split()]

    @contextlib.contextmanager
    def apart(self):
        """The containers on one half of the cores, gateways and clients on the other: as if they were two machines."""
        cores = sorted(os.sched_getaffinity(0))
        ours, theirs = cores[:len(cores) // 2] or cores, cores[len(cores) // 2:]
        self.place(ours, theirs)
        try:
            yield
        finally:
            self.place(cores, cores)

    def place(self, ours, theirs):
        os.sched_setaffinity(0, ours)
        for gateway, _ in self.gateways:
            for thread in os.listdir(f"/proc/{gateway.pid}/task"):
                # One that has nothing to do may end at any moment.
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread), ours)
        for name in self.containers():
            out("docker", "update", "--cpuset-cpus", ",".join(map(str, theirs)), name)

    def wait_for_banner(self, port):
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                    if s.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit(f"nothing answers on port {port}: see {self.folder}/log")

    def stop(self):
        for gateway, _ in self.gateways:
            gateway.send_signal(signal.SIGTERM)
            try:
                gateway.wait(30)
            except subprocess.TimeoutExpired:
                gateway.kill()
        for name in self.containers() + ([self.direct] if self.direct else []):
            subprocess.run(["docker", "rm", "-f", "-v", name], capture_output=True)
        for _, cluster in self.gateways:
            subprocess.run(["docker", "network", "rm", f"clusteria-{cluster}"], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
