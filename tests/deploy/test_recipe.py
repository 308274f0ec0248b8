"""The recipes of deploy/image, without making anything big."""
import json
import os
import re
import shutil
import unittest
import uuid

from place import DEPLOY, ENGINE, ROOT, folder, sh

ML = DEPLOY / "image/ml"


def locked(name):
    """name → version of a locked list; every entry has its hashes."""
    found = {}
    text = (ML / name).read_text()
    for entry in re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        head, *hashes = [line.strip().rstrip(" \\") for line in entry.splitlines()]
        package, version = head.split("==")
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), entry[:200]
        assert package not in found, package
        found[package] = version
    return found


def pins(name):
    return [line for line in (ML / name).read_text().splitlines() if line and not line.startswith("#")]


class Lock(unittest.TestCase):
    def test_everything_is_locked_with_hashes(self):
        versions = locked("requirements.txt")
        self.assertGreater(len(versions), 150)
        self.assertEqual(locked("cupti.txt"), {"nvidia-cuda-cupti-cu11": "11.8.87"})

    def test_what_the_course_was_promised_is_there(self):
        versions = locked("requirements.txt")
        self.assertTrue(versions["tensorflow"].startswith("2.14."))
        for name in ("keras torch torchvision torchaudio qualia-core qualia-codegen-core scikit-learn scikit-image "
                     "opencv-python-headless pandas numpy matplotlib jupyterlab").split():
            self.assertIn(name, versions)

    def test_the_lists_that_it_was_made_of_are_in_it(self):
        versions = locked("requirements.txt")
        for pin in pins("overrides.txt") + pins("requirements.in"):
            name = re.match(r"[a-z0-9-]+", pin)[0]
            self.assertIn(name, versions)
            if "==" in pin:
                self.assertEqual(versions[name], pin.split("==")[1], pin)

    def test_there_is_one_cuda(self):
        cuda = [name for name in locked("requirements.txt") if name.startswith("nvidia-")]
        self.assertGreater(len(cuda), 10)
        self.assertEqual([name for name in cuda if not name.endswith("-cu11")], [])


class Text(unittest.TestCase):
    def test_both_languages_show_the_same_code(self):
        code = [re.findall(r"```(?:python|sh)\n.*?```", (ML / "root/etc/skel" / name).read_text(), re.DOTALL)
                for name in ("README.md", "LISEZMOI.md")]
        bare = [[re.sub(r"#.*", "#", block) for block in blocks] for blocks in code]
        self.assertEqual(bare[0], bare[1])
        self.assertEqual(len(bare[0]), 3)

    def test_the_notebook_is_one_and_has_no_output(self):
        book = json.loads((ML / "root/etc/skel/start.ipynb").read_text())
        self.assertEqual((book["nbformat"], book["nbformat_minor"]), (4, 5))
        code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        self.assertTrue(all(cell["outputs"] == [] for cell in code))
        for cell in code:
            text = "".join(line for line in cell["source"] if not line.startswith("!"))
            compile(text, "start.ipynb", "exec")

    def test_pip_says_why_not_in_both_languages(self):
        import configparser

        parser = configparser.ConfigParser(interpolation=None)
        parser.read(ML / "root/usr/lib/python3.11/EXTERNALLY-MANAGED")
        said = parser["externally-managed"]
        self.assertIn("deleted when your reservation ends", said["Error"])
        self.assertIn("fin de votre réservation", said["Error-fr"])
        for text in said.values():
            self.assertIn("python3 -m venv --system-site-packages", text)


class Scripts(unittest.TestCase):
    def test_shellcheck_has_nothing_to_say(self):
        scripts = [path for path in [*DEPLOY.rglob("*"), ROOT / "tests/run", ROOT / "tests/deploy/run"]
                   if path.is_file() and (path.suffix == ".sh" or b"bash" in path.read_bytes()[:40])]
        self.assertGreater(len(scripts), 8)
        sh("shellcheck", "-x", "-P", ROOT, *scripts, cwd=ROOT)

    def test_every_script_explains_itself(self):
        for script in ("image/build", "image/test", "storage/volume", "storage/nfs", "storage/gluster", "dataset/gtsrb"):
            said = sh(DEPLOY / script, "--help")
            self.assertIn(f"deploy/{script}", said)

    def test_a_list_of_packages_is_the_same_each_time(self):
        texts = {sh("python3", DEPLOY / "image/sbom", "--name", "here", env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
                 for _ in range(2)}
        self.assertEqual(len(texts), 1)
        listed = json.loads(texts.pop())
        self.assertEqual(listed["spdxVersion"], "SPDX-2.3")
        self.assertEqual(listed["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        ids = [one["SPDXID"] for one in listed["packages"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertTrue(any(one["name"] == "bash" for one in listed["packages"]))


class Build(unittest.TestCase):
    """deploy/image/build with a recipe of one file, on the real engine."""

    def setUp(self):
        self.tag = f"clusteria-deploy-test:{uuid.uuid4().hex[:8]}"

    def tearDown(self):
        self.docker("image", "rm", "--force", self.tag, wanted=None)

    def docker(self, *command, wanted=0):
        return sh("docker", "-H", ENGINE, *command, wanted=wanted)

    def recipe(self, place):
        target = place / "deploy"
        (target / "image/tiny/root").mkdir(parents=True)
        shutil.copy(DEPLOY / "lib.sh", target)
        for name in ("build", "debian.sh", "sbom"):
            shutil.copy(DEPLOY / "image" / name, target / "image")
        tiny = target / "image/tiny"
        # A number that is new each time, so that neither the engine nor the script has it already.
        (tiny / "root/file").write_text(f"{self.tag}\n")
        (tiny / "config").write_text('ENV GREETING="two words"\nCMD ["/nothing"]\n')
        (tiny / "make").write_text('#!/bin/bash\ncp "$(dirname "$0")/root/file" "$1/file"\nmkdir "$1/usr" "$1/usr/share"\n'
                                   'echo "{}" >"$1/usr/share/clusteria-sbom.spdx.json"\n')
        (tiny / "inside").write_text('#!/bin/bash\ncp /recipe/root/file /file\n'
                                     'echo "{}" >/usr/share/clusteria-sbom.spdx.json\n')
        return target / "image/build"

    def build(self, build, *more):
        return sh(build, "tiny", "--tag", self.tag, "--engine", ENGINE, *more)

    def inspect(self):
        return json.loads(self.docker("image", "inspect", self.tag))[0]

    def test_the_same_recipe_is_the_same_layer_and_says_what_it_is(self):
        with folder() as place:
            build = self.recipe(place)
            self.build(build, "--sbom", place / "sbom.json")
            first = self.inspect()
            labels = first["Config"]["Labels"]
            self.assertRegex(labels["org.opencontainers.image.created"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertEqual(labels["clusteria.recipe"], f"tiny-{labels['org.opencontainers.image.version']}")
            self.assertIn("GREETING=two words", first["Config"]["Env"])
            self.assertEqual((place / "sbom.json").read_text(), "{}\n")
            self.assertIn("is up to date", self.build(build))
            # Made again from nothing: another image by its date, the same content.
            self.docker("image", "rm", "--force", first["Id"])
            self.build(build)
            self.assertEqual(self.inspect()["RootFS"], first["RootFS"])

    def test_on_top_of_another_image(self):
        """With BuildKit where docker has it, without where it has not."""
        with folder() as place:
            build = self.recipe(place)
            self.build(build, "--from", "clusteria/try:1", "--sbom", place / "sbom.json")
            said = self.docker("run", "--rm", "--network", "none", self.tag, "cat", "/file")
            self.assertEqual(said.strip(), self.tag)
            settings = self.inspect()["Config"]
            self.assertIn("clusteria.recipe", settings["Labels"])
            self.assertIn("GREETING=two words", settings["Env"])
            self.assertEqual((place / "sbom.json").read_text(), "{}\n")

    def test_a_recipe_that_starts_from_nothing_else_says_so(self):
        said = sh(DEPLOY / "image/build", "empty", "--from", "debian:12", wanted=1)
        self.assertIn("starts from nothing else", said)


if __name__ == "__main__":
    unittest.main()
