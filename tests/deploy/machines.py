"""Machines on this one: each has its own network, mounts, processes and name, on a switch that connects them.

What they are dies with the test, however it ends: the kernel ends a machine's processes with its first one, and takes away its
mounts and its network. On this machine there is only what `Machine.show` makes, for containers.
"""
import ctypes
import os
import pathlib
import signal
import subprocess

from place import sh

# Dies with the test, and its processes with it.
HELD = ("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--kill-child", "--fork", "--pid", "--mount-proc", "--net", "--uts")

# As after a boot: nothing in /run. Its first process takes in those whose parents have ended.
FIRST = """
set -e
own=$1
hostname "$2"
mount --bind "$own/srv" /srv
for folder in /var/lib/glusterd /var/log/glusterfs; do mount --bind "$own$folder" "$folder"; done
mount --bind "$own/hosts" /etc/hosts
mount -t tmpfs -o mode=0755 run /run
ip link set lo up
echo up
while :; do sleep 1000; done
"""


class Switch:
    """What the machines are plugged into: 198.51.100.0/24."""

    def __enter__(self):
        # Its name is no matter.
        self.holder = subprocess.Popen([*HELD, "sh", "-c", "ip link add br0 type bridge && ip link set br0 up && echo up && "
                                        "exec sleep 1000"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL)
        assert self.holder.stdout.readline() == b"up\n"
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def ip(self, *words, wanted=0):
        sh("nsenter", "--target", first_of(self.holder), "--net", "ip", *words, wanted=wanted)


class Machine:
    """One of several, numbered from 1: gpu1 is 198.51.100.11."""

    def __init__(self, place, switch, number, names=()):
        self.place, self.switch, self.number = place / f"gpu{number}", switch, number
        self.name, self.port = f"gpu{number}", f"p{number}"
        self.holder, self.shown = None, self.place / "shown"
        for folder in ("srv", "var/lib/glusterd", "var/log/glusterfs", "shown"):
            (self.place / folder).mkdir(parents=True)
        hosts = [f"198.51.100.{10 + other} gpu{other}\n" for other in names]
        (self.place / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts))

    def __enter__(self):
        self.power_on()
        return self

    def __exit__(self, *_):
        self.power_off()

    def power_on(self):
        """With a network card that is plugged in, and what is on its disks."""
        self.holder = subprocess.Popen([*HELD, "--mount", "--propagation", "slave", "bash", "-c", FIRST, "first", self.place,
                                        self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL)
        assert self.holder.stdout.readline() == b"up\n", self.name
        self.switch.ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", first_of(self.holder))
        self.switch.ip("link", "set", self.port, "master", "br0", "up")
        self.run("ip", "addr", "add", f"198.51.100.{10 + self.number}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def power_off(self):
        """At once: its network is gone before anything in it could say goodbye."""
        self.hide()
        if self.holder:
            self.switch.ip("link", "set", self.port, "down")
            os.kill(first_of(self.holder), signal.SIGKILL)
            self.holder.wait()
            self.holder.stdout.close()
            self.holder = None
            # The kernel takes it away too, but in its own time.
            self.switch.ip("link", "del", self.port, wanted=None)

    def run(self, *command, wanted=0):
        """As root on it."""
        return sh("nsenter", "--target", first_of(self.holder), "--mount", "--net", "--uts", "--pid", *command, wanted=wanted)

    def show(self, folder):
        """A folder of its file systems on this machine, for containers here."""
        assert self.holder
        here, there = (os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY) for pid in ("self", first_of(self.holder)))
        child = os.fork()
        if not child:
            # The process of its own because a change of the mounts' namespace is for good.
            status = 1
            try:
                call("setns", there, 0)
                tree = call("syscall", OPEN_TREE, AT_FDCWD, os.fsencode(folder), OPEN_TREE_CLONE)
                call("setns", here, 0)
                call("syscall", MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(self.shown), MOVE_MOUNT_F_EMPTY_PATH)
                status = 0
            finally:
                os._exit(status)
        for file in (here, there):
            os.close(file)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, f"{folder} of {self.name}"
        return self.shown

    def hide(self):
        """What was shown."""
        subprocess.run(["umount", "--lazy", self.shown], check=False, capture_output=True)


OPEN_TREE, MOVE_MOUNT, AT_FDCWD, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 428, 429, -100, 1, 4
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name, *words):
    """A call of the kernel."""
    done = getattr(LIBC, name)(*words)
    if done < 0:
        raise OSError(ctypes.get_errno(), f"{name}{words}: {os.strerror(ctypes.get_errno())}")
    return done


def first_of(holder):
    """The process by which the namespaces are known."""
    return int(pathlib.Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
