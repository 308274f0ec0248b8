"""deploy/storage/gluster on three machines (see machines.py), and containers of the real engine in it."""
import contextlib
import re
import subprocess
import time
import unittest
import uuid

from machines import Machine, Switch
from place import DEPLOY, ENGINE, folder, sh

TOOL, VOLUME = DEPLOY / "storage/gluster", DEPLOY / "storage/volume"
ADA, BOB = 20001, 20002
COPY = "/srv/clusteria/storage/brick"
SHARED = "/srv/clusteria/shared"

# Does something again and again until there is a file "over"; says how often, and the longest that anything of it took.
AGAIN = """
import os, time
print("begun", flush=True)
times, worst, last = 0, 0, time.monotonic()
while not os.path.exists("/storage/over"):
    {}
    time.sleep(0.05)
    times, worst, last = times + 1, max(worst, time.monotonic() - last), time.monotonic()
print(times, worst)
"""
READ = 'file = os.open("/storage/ada/file", os.O_RDONLY); assert os.read(file, 9) == b"ada\\n"; os.close(file)'
WRITE = """file = os.open("/storage/ada/lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, b"%d\\n" % times); os.fsync(file); os.close(file)"""


class Words(unittest.TestCase):
    """What would be run."""

    def test_three_machines_have_a_copy_each_and_nobody_else_may_mount(self):
        said = sh(TOOL, "create", "--dry-run", *named(["gpu1", "gpu2", "gpu3"]))
        self.assertIn("'replica' '3' 'transport' 'tcp' 'gpu1:/srv/clusteria/storage/brick' 'gpu2:", said)
        self.assertIn("'auth.allow' '127.0.0.1,gpu1,gpu2,gpu3'", said)
        said = sh(TOOL, "mount", "--dry-run", "--fstab", "none", "--sharing", "own", *named(["gpu1", "gpu2", "gpu3"]))
        self.assertIn("backup-volfile-servers=gpu2:gpu3", said)
        self.assertIn("'chmod' '1777'", said)

    def test_what_cannot_work_is_refused(self):
        self.assertIn("which machines?", sh(TOOL, "create", "--dry-run", wanted=1))
        self.assertIn("cannot agree", sh(TOOL, "create", "--dry-run", *named(["a", "b"]), wanted=1))
        self.assertIn("no name of a machine", sh(TOOL, "create", "--dry-run", *named(["*"]), wanted=1))


class Three(unittest.TestCase):
    """One thing after the other on the same machines: they take half a minute to make."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.place, self.switch = (self.stack.enter_context(one) for one in (folder(), Switch()))
        self.machines = [self.machine(number) for number in (1, 2, 3)]
        for machine in self.machines:
            machine.run(VOLUME, "make", "--size", "64MB", *files(machine))
            machine.run(TOOL, "install")
        self.machines[0].run(TOOL, "create", *named(machine.name for machine in self.machines))
        for machine in self.machines:
            self.mount(machine, *(["--sharing", "own"] if machine is self.machines[0] else []))

    def machine(self, number):
        return self.stack.enter_context(Machine(self.place, self.switch, number, (1, 2, 3, 4)))

    def mount(self, machine, *more):
        others = [other.name for other in self.machines if other is not machine]
        machine.run(TOOL, "mount", *named([machine.name, *others]), "--fstab", machine.place / "fstab", *more)
        machine.show(SHARED)

    def test_three_copies(self):
        one, two, three = self.machines
        self.all_see_the_same(one, two, three)
        self.others_may_not_mount_it(two)
        self.one_dies(one, two, three)
        self.it_comes_back(one, two)
        for machine in (one, two):
            self.is_full(machine)

    def all_see_the_same(self, one, two, three):
        inside(one, ADA, "mkdir /storage/ada && echo ada >/storage/ada/file")
        said = inside(two, BOB, "exec 2>&1; cat /storage/ada/file; stat -c %u /storage/ada/file; echo bob >/storage/ada/file", wanted=1)
        self.assertRegex(said, rf"^ada\n{ADA}\n.*Permission denied")
        inside(three, ADA, "grep -qx ada /storage/ada/file && echo more >/storage/ada/more")
        self.assertEqual([machine.run("cat", f"{COPY}/ada/more") for machine in self.machines], ["more\n"] * 3)
        for machine in self.machines:
            said = machine.run(TOOL, "status")
            self.assertEqual(said.count("Connected"), 3, said)

    def others_may_not_mount_it(self, machine):
        stranger = self.machine(4)
        stranger.run("mkdir", "/srv/it")
        # It may be told that this has worked, a moment before it has not.
        stranger.run("mount", "-t", "glusterfs", f"{machine.name}:/clusteria", "/srv/it", wanted=None)
        until(lambda: "authentication failed" in stranger.run("cat", "/var/log/glusterfs/srv-it.log"), "it is refused")
        until(lambda: " /srv/it " not in stranger.run("cat", "/proc/self/mounts"), "it has nothing")
        self.assertEqual(stranger.run("ls", "-A", "/srv/it"), "")

    def one_dies(self, one, two, three):
        """Whoever works on the others waits for seconds, and goes on."""
        writer, reader = self.start(two, ADA, WRITE), self.start(three, BOB, READ)
        one.power_off()
        began = time.monotonic()
        said = two.run(TOOL, "status", wanted=1)
        self.assertIn("a copy is not there", said)
        self.assertLess(time.monotonic() - began, 30)
        inside(two, ADA, "head -c 3000000 /dev/urandom >/storage/ada/while && sha256sum /storage/ada/while >/storage/ada/sum")
        inside(three, ADA, "sha256sum --quiet --check /storage/ada/sum && touch /storage/over")
        for what, program in (("writing", writer), ("reading", reader)):
            said = program.communicate(timeout=60)[0]
            self.assertEqual(program.returncode, 0, said)
            times, worst = said.split()
            print(f"{what}: {times} times, at most {float(worst):.1f} s from one to the next", flush=True)
            self.assertLess(float(worst), 12)
        lines = (three.shown / "ada/lines").read_text().split()
        self.assertEqual(lines, [str(number) for number in range(len(lines))], "what was said to be written is there")

    def it_comes_back(self, one, two):
        """Its copy is made whole."""
        one.power_on()
        one.run(VOLUME, "make", "--size", "64MB", *files(one))
        one.run(TOOL, "install")
        self.mount(one)
        began = time.monotonic()
        while (left := pending(two)) != [0, 0, 0]:
            self.assertLess(time.monotonic() - began, 60, left)
            time.sleep(0.5)
        print(f"healed within {time.monotonic() - began:.0f} s", flush=True)
        for name in ("lines", "while"):
            copies = [machine.run("sha256sum", f"{COPY}/ada/{name}") for machine in self.machines]
            self.assertEqual(copies, [copies[0]] * 3)
        one.run(TOOL, "status")
        inside(one, BOB, "cat /storage/ada/file /storage/ada/lines >/dev/null")

    def is_full(self, machine):
        """A user fills it; the others read, are refused more, and have room again when the file is gone."""
        said = inside(machine, ADA, "exec 2>&1; dd if=/dev/zero of=/storage/ada/big bs=64k; echo status $?; stat -c %s /storage/ada/big")
        self.assertRegex(said, r"No space left on device[\s\S]*status 1")
        size = int(said.split()[-1])
        print(f"filled on {machine.name}: {size} bytes fit", flush=True)
        self.assertTrue(40_000_000 < size < 64_000_000, said)
        for other in self.machines:
            said = inside(other, BOB, "exec 2>&1; cat /storage/ada/file; df --output=pcent /storage; head -c 1000000 /dev/zero >/storage/bob; "
                                      "echo status $?; rm -f /storage/bob")
            self.assertRegex(said, r"^ada\n[\s\S]*100%[\s\S]*No space left on device[\s\S]*status 1")
        inside(machine, ADA, "rm /storage/ada/big")
        for other in self.machines:
            inside(other, BOB, "head -c 1000000 /dev/zero >/storage/bob && rm /storage/bob")

    def start(self, machine, uid, script):
        """Does it again and again in a container, whose name is known: it must not outlive the test."""
        name = new_name()
        program = subprocess.Popen([*container(machine, uid, name), "python3", "-c", AGAIN.format(script)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.stack.callback(program.wait)
        self.stack.callback(subprocess.run, ["docker", "-H", ENGINE, "rm", "--force", name], check=False, capture_output=True)
        self.stack.callback(program.stdout.close)
        self.assertEqual(program.stdout.readline(), "begun\n")
        return program


def named(names):
    return [word for name in names for word in ("--machine", name)]


def files(machine):
    return ["--image", machine.place / "storage.img", "--fstab", machine.place / "fstab"]


def container(machine, uid, name):
    """As the gateway makes them: no root, no capabilities."""
    return ["docker", "-H", ENGINE, "run", "--rm", "--name", name, "--network", "none", "--user", f"{uid}:{uid}", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--volume", f"{machine.shown}:/storage", "clusteria/try:1"]


def new_name():
    return f"clusteria-deploy-test-{uuid.uuid4().hex[:12]}"


def inside(machine, uid, script, wanted=0):
    """In a container of its own on a machine."""
    return sh(*container(machine, uid, new_name()), "bash", "-c", script, wanted=wanted)


def until(is_so, what):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def pending(machine):
    """How many files each copy has that another one lacks."""
    said = machine.run("gluster", "volume", "heal", "clusteria", "info")
    return [int(count) if count.isdigit() else None for count in re.findall(r"Number of entries: (\S+)", said)]


if __name__ == "__main__":
    unittest.main()
