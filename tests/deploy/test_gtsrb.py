"""deploy/dataset/gtsrb, with small archives of the same form."""
import hashlib
import http.server
import os
import threading
import unittest
import zipfile

from place import DEPLOY, folder, sh

TOOL = DEPLOY / "dataset/gtsrb"


class Archives:
    """Two pictures for training and one for the test, and the list that describes them."""

    def __init__(self, place):
        self.place = place
        self.url = place.as_uri()
        self.lines = []
        self.add("train.zip", "GTSRB/Training", {"GTSRB/Training/00000/a.ppm": "P6 one", "GTSRB/Training/00001/b.ppm": "P6 two",
                                                 "GTSRB/Training/00000/GT-00000.csv": "x"}, 2)
        self.add("test.zip", "GTSRB/Final_Test/Images", {"GTSRB/Final_Test/Images/00000.ppm": "P6 three"}, 1)
        self.add("gt.zip", "GT-final_test.csv", {"GT-final_test.csv": "Filename;ClassId\n00000.ppm;1\n"}, 1)

    def add(self, name, fills, files, count):
        with zipfile.ZipFile(self.place / name, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        md5 = hashlib.md5((self.place / name).read_bytes()).hexdigest()
        self.lines.append(f"{name} {md5} {fills} {count} 1")
        self.write()

    def write(self):
        (self.place / "list").write_text("# a comment\n" + "\n".join(self.lines) + "\n")


def run(place, source, *more, wanted=0):
    return sh(TOOL, "--folder", place / "out", "--from", source, "--list", place / "list", *more, wanted=wanted)


class Gtsrb(unittest.TestCase):
    def test_the_layout_and_that_a_second_run_fetches_nothing(self):
        with folder() as place:
            archives = Archives(place)
            self.assertIn("complete: GTSRB/Training 2", run(place, archives.url))
            out = place / "out/gtsrb"
            self.assertEqual((out / "GTSRB/Training/00001/b.ppm").read_text(), "P6 two")
            self.assertEqual((out / "GT-final_test.csv").stat().st_mode & 0o777, 0o644)
            self.assertEqual(sorted(p.name for p in out.iterdir()), ["GT-final_test.csv", "GTSRB", "SHA256SUMS"])
            sh("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=out)
            self.assertIn("complete", run(place, "file:///nowhere"))
            self.assertIn("complete", run(place, "file:///nowhere", "--check"))

    def test_what_is_missing_is_fetched_again_and_no_more(self):
        with folder() as place:
            archives = Archives(place)
            run(place, archives.url)
            (place / "out/gtsrb/GTSRB/Training/00000/a.ppm").unlink()
            said = run(place, "file:///nowhere", "--check", wanted=1)
            self.assertIn("has 1 entries, 2 are right", said)
            said = run(place, archives.url)
            self.assertIn("train.zip", said)
            self.assertNotIn("test.zip", said)

    def test_a_picture_that_was_changed_is_found(self):
        with folder() as place:
            archives = Archives(place)
            run(place, archives.url)
            (place / "out/gtsrb/GTSRB/Training/00000/a.ppm").write_text("P6 eins")
            said = run(place, archives.url, "--check", wanted=1)
            self.assertIn("1 files are not as they were laid out, GTSRB/Training/00000/a.ppm", said)

    def test_an_archive_that_is_not_the_right_one_is_refused(self):
        with folder() as place:
            archives = Archives(place)
            (place / "test.zip").write_bytes((place / "gt.zip").read_bytes())
            said = run(place, archives.url, wanted=1)
            self.assertIn("is not the archive that it should be", said)
            self.assertFalse((place / "out/gtsrb/GTSRB/Final_Test").exists())
            self.assertTrue((place / "out/gtsrb/GTSRB/Training").exists(), "what came before it stays")

    def test_an_archive_that_reaches_outside_is_refused(self):
        with folder() as place:
            archives = Archives(place)
            archives.lines.clear()
            archives.add("bad.zip", "GTSRB", {"GTSRB/x.ppm": "P6", "../../escaped": "out"}, 1)
            self.assertIn("a file outside of its folder", run(place, archives.url, wanted=1))
            self.assertFalse((place / "escaped").exists())

    def test_no_network_says_what_to_do(self):
        with folder() as place:
            Archives(place)
            said = run(place, "http://127.0.0.1:1", wanted=1)
            self.assertIn("could not be fetched", said)
            self.assertIn("--from file:///FOLDER", said)
            self.assertIn("would be fetched", run(place, "http://127.0.0.1:1", "--dry-run"))

    def test_a_download_that_was_cut_off_goes_on(self):
        with folder() as place:
            archives = Archives(place)
            big = os.urandom(300_000)
            archives.lines.clear()
            archives.add("big.zip", "GTSRB", {"GTSRB/x.ppm": big.hex()}, 1)
            with CutOff(place) as server:
                self.assertIn("cut off", run(place, server.url, wanted=1))
                self.assertIn("complete", run(place, server.url))
            whole = (place / "big.zip").stat().st_size
            self.assertEqual(server.asked, [None, f"bytes={whole // 2}-"])


class CutOff:
    """A server whose first answer ends in the middle."""

    def __init__(self, place):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = (place / self.path.strip("/")).read_bytes()
                wanted = self.headers["Range"]
                asked.append(wanted)
                start = int(wanted[6:-1]) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                self.wfile.write(data[start:] if wanted else data[: len(data) // 2])

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    unittest.main()
