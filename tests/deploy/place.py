"""Where things are, and what the tests of deploy/ share."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
ENGINE = os.environ.get("CLUSTERIA_ENGINE", "unix:///var/run/docker.sock")


def sh(*command, wanted=0, **more):
    """Its output, of both kinds."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False, **more)
    assert wanted is None or done.returncode == wanted, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@contextlib.contextmanager
def folder():
    """A folder of one's own, that others may look into."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="clusteria-deploy-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
