"""What programs cost: processor time and memory."""

import os
import re
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"Pss:\s+(\d+)", file.read()).group(1))


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def established(port):
    listing = subprocess.run(["ss", "-Htn", "state", "established", f"( sport = :{port} )"], capture_output=True, text=True)
    return listing.stdout.count("\n")


def banners(port, count, seconds):
    """Opens `count` connections, evenly over `seconds`; how many got the server's version line."""
    opened, began = [], time.monotonic()
    for n in range(count):
        wait = began + n * seconds / count - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        c = socket.socket()
        c.settimeout(10)
        try:
            c.connect(("127.0.0.1", port))
            opened.append(c)
        except OSError:
            c.close()
    answered = 0
    for c in opened:
        try:
            answered += c.recv(4) == b"SSH-"
        except OSError:
            pass
        c.close()
    return answered
