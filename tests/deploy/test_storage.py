"""deploy/storage/volume on a small file system, and containers of the real engine in it."""
import hashlib
import os
import re
import subprocess
import unittest
import uuid

from place import DEPLOY, ENGINE, folder, sh

TOOL = DEPLOY / "storage/volume"
ADA, BOB = 20001, 20002


class Storage:
    """A /storage of 64 MB in a folder of the test's own, and two people's containers."""

    def __init__(self, place):
        self.place, self.folder, self.fstab = place, place / "storage", place / "fstab"
        self.fstab.write_text("# the machine's own\nUUID=x / ext4 defaults 0 1\n")

    def volume(self, command, *more, wanted=0):
        return sh(TOOL, command, "--folder", self.folder, "--image", self.place / "storage.img", "--fstab", self.fstab, *more,
                  wanted=wanted)

    def make(self, *more):
        return self.volume("make", "--size", "64MB", *more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=False, capture_output=True)

    def as_user(self, uid, script, wanted=0):
        """In a container of its own, as the gateway makes them: no root, no capabilities."""
        return sh("docker", "-H", ENGINE, "run", "--rm", "--name", f"clusteria-deploy-test-{uuid.uuid4().hex[:12]}", "--network",
                  "none", "--user", f"{uid}:{uid}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--volume",
                  f"{self.folder}:/storage", "clusteria/try:1", "bash", "-c", script, wanted=wanted)


class Volume(unittest.TestCase):
    def test_the_limit_is_hard_and_harms_nothing_else(self):
        with folder() as place, Storage(place) as storage:
            storage.make()
            storage.as_user(BOB, "head -c 5000000 /dev/urandom >/storage/bob.bin")
            before = hashlib.sha256((storage.folder / "bob.bin").read_bytes()).hexdigest()
            taken = (place / "storage.img").stat().st_blocks
            self.assertGreaterEqual(taken * 512, 62_000_000)

            said = storage.as_user(ADA, "dd if=/dev/zero of=/storage/ada.bin bs=1M; echo status $?; "
                                        "echo mine >/tmp/own && cat /tmp/own")
            self.assertIn("No space left on device", said)
            self.assertIn("status 1", said)
            self.assertIn("mine", said, "the container's own disk has room")
            size = (storage.folder / "ada.bin").stat().st_size
            self.assertGreater(size, 40_000_000)
            self.assertLess(size + 5_000_000, 64_000_000)

            # The others: what was there is whole, is read, may be deleted; new data is refused.
            self.assertEqual(hashlib.sha256((storage.folder / "bob.bin").read_bytes()).hexdigest(), before)
            said = storage.as_user(BOB, "cat /storage/bob.bin | wc -c; head -c 1000000 /dev/zero >/storage/more", wanted=1)
            self.assertIn("5000000", said)
            self.assertIn("No space left on device", said)
            self.assertRegex(storage.volume("status"), r"100%")
            # The machine's own disk lost nothing: the space was taken when the volume was made.
            self.assertLess((place / "storage.img").stat().st_blocks - taken, 4_000)

            storage.as_user(ADA, "rm /storage/ada.bin")
            storage.as_user(BOB, "echo x >/storage/more && cat /storage/more")

    def test_everyone_may_do_everything(self):
        with folder() as place, Storage(place) as storage:
            self.assertIn("everyone reads and writes everything", storage.make("--sharing", "everyone"))
            storage.as_user(ADA, "umask 077; mkdir /storage/ada && echo ada >/storage/ada/file")
            said = storage.as_user(BOB, "cat /storage/ada/file; echo bob >/storage/ada/file; echo new >/storage/ada/new; "
                                        "mkdir /storage/ada/in; stat -c %u /storage/ada/file /storage/ada/new; mv /storage/ada /storage/moved")
            self.assertEqual(said.split(), ["ada", str(ADA), str(BOB)], "files belong to who made them")
            storage.as_user(ADA, "grep bob /storage/moved/file && rm -r /storage/moved")

    def test_own_keeps_others_from_changing_or_deleting(self):
        with folder() as place, Storage(place) as storage:
            self.assertIn("changes only what is theirs", storage.make("--sharing", "own"))
            storage.as_user(ADA, "mkdir /storage/ada && echo ada >/storage/ada/file && echo top >/storage/top")
            refused = storage.as_user(BOB, """
                cat /storage/ada/file /storage/top
                for try in 'echo bob >/storage/ada/file' 'echo bob >/storage/top' 'rm -f /storage/top' 'mv /storage/top /storage/x' \\
                           'rm -rf /storage/ada' 'touch /storage/ada/new' 'chmod 777 /storage/ada'; do
                    if eval "$try" 2>/dev/null; then echo "allowed: $try"; fi
                done
                mkdir /storage/bob && echo mine >/storage/bob/file && cat /storage/bob/file
            """)
            self.assertEqual(refused.split(), ["ada", "top", "mine"])
            storage.as_user(ADA, "cat /storage/ada/file && rm -r /storage/ada /storage/top")

    def test_the_choice_can_be_changed_with_what_is_there(self):
        with folder() as place, Storage(place) as storage:
            storage.make("--sharing", "everyone")
            storage.as_user(ADA, "mkdir /storage/ada && echo ada >/storage/ada/file")
            storage.make("--sharing", "own")
            storage.as_user(BOB, "! echo bob >/storage/ada/file && ! rm -rf /storage/ada && cat /storage/ada/file")
            storage.as_user(ADA, "touch /storage/ada/new; test $(stat -c %a /storage/ada/new) = 644")
            storage.make("--sharing", "everyone")
            storage.as_user(BOB, "echo bob >/storage/ada/file && rm -r /storage/ada")

    def test_no_device_and_no_setuid_in_it(self):
        with folder() as place, Storage(place) as storage:
            storage.make()
            options = sh("findmnt", "--noheadings", "--output", "OPTIONS", storage.folder)
            self.assertTrue({"nosuid", "nodev"} <= set(options.strip().split(",")), options)

    def test_made_twice_it_is_the_same_and_grows_when_asked(self):
        with folder() as place, Storage(place) as storage:
            storage.make()
            storage.as_user(ADA, "echo kept >/storage/file")
            fstab = storage.fstab.read_text()
            self.assertEqual(len(re.findall("# clusteria storage", fstab)), 1)
            self.assertTrue(fstab.startswith("# the machine's own\nUUID=x / ext4 defaults 0 1\n"))
            storage.make()
            self.assertEqual(storage.fstab.read_text(), fstab)
            small = os.statvfs(storage.folder)
            said = storage.volume("make", "--size", "96MB")
            large = os.statvfs(storage.folder)
            self.assertGreater(large.f_blocks * large.f_frsize, small.f_blocks * small.f_frsize + 20_000_000, said)
            self.assertEqual((storage.folder / "file").read_text(), "kept\n")

    def test_removed_it_keeps_the_data_unless_asked(self):
        with folder() as place, Storage(place) as storage:
            storage.make()
            storage.as_user(ADA, "echo kept >/storage/file")
            storage.volume("remove")
            self.assertFalse(os.path.ismount(storage.folder))
            self.assertNotIn("clusteria", storage.fstab.read_text())
            self.assertIn("not mounted", storage.volume("status", wanted=1))
            storage.make()
            self.assertEqual((storage.folder / "file").read_text(), "kept\n")
            storage.volume("remove", "--data")
            self.assertFalse((place / "storage.img").exists())

    def test_what_is_not_ours_is_not_touched(self):
        with folder() as place, Storage(place) as storage:
            foreign = place / "storage.img"
            sh("truncate", "--size", "64M", foreign)
            sh("mkfs.ext4", "-q", "-L", "photographs", foreign)
            before = hashlib.sha256(foreign.read_bytes()).hexdigest()
            self.assertIn("did not make", storage.volume("make", "--size", "64MB", wanted=1))
            self.assertIn("it stays", storage.volume("remove", "--data", wanted=1))
            self.assertEqual(hashlib.sha256(foreign.read_bytes()).hexdigest(), before)

    def test_a_folder_with_something_in_it_is_not_hidden(self):
        with folder() as place, Storage(place) as storage:
            storage.folder.mkdir()
            (storage.folder / "thesis").write_text("of years")
            self.assertIn("is not empty", storage.volume("make", "--size", "64MB", wanted=1))

    def test_a_dry_run_does_nothing(self):
        with folder() as place, Storage(place) as storage:
            said = storage.make("--dry-run")
            self.assertIn("mkfs.ext4", said)
            self.assertEqual(sorted(path.name for path in place.iterdir()), ["fstab"])

    def test_more_than_the_disk_has_is_refused(self):
        with folder() as place, Storage(place) as storage:
            self.assertIn("are needed", storage.volume("make", "--size", "900TB", wanted=1))
            self.assertFalse((place / "storage.img").exists())
            self.assertIn("is no size", storage.volume("make", "--size", "ten", wanted=1))


class Nfs(unittest.TestCase):
    """What would be written; a server needs a kernel that has one, which test machines lack."""

    def test_the_export_names_the_machines_and_nobody_else(self):
        said = sh(DEPLOY / "storage/nfs", "serve", "--dry-run", "--folder", "/srv/x", "--client", "192.0.2.1", "--client",
                  "198.51.100.0/24")
        exports = next(line for line in said.splitlines() if line.startswith("/srv/x "))
        self.assertRegex(exports, r"^/srv/x 192\.0\.2\.1\((\S+)\) 198\.51\.100\.0/24\(\1\)$")
        self.assertIn("rw,sync,no_subtree_check,root_squash,sec=sys,fsid=", exports)
        self.assertIn("vers3=n", said)
        again = sh(DEPLOY / "storage/nfs", "serve", "--dry-run", "--folder", "/srv/x", "--client", "192.0.2.1", "--client",
                   "198.51.100.0/24")
        self.assertEqual(said, again)
        self.assertIn("(ro,", sh(DEPLOY / "storage/nfs", "serve", "--dry-run", "--read-only", "--client", "192.0.2.1"))

    def test_the_whole_world_is_no_client(self):
        for client in ("*", "192.0.2.1(rw,no_root_squash)", "a b"):
            said = sh(DEPLOY / "storage/nfs", "serve", "--dry-run", "--client", client, wanted=1)
            self.assertIn("is no address", said)
        self.assertIn("who may mount it?", sh(DEPLOY / "storage/nfs", "serve", "--dry-run", wanted=1))


if __name__ == "__main__":
    unittest.main()
