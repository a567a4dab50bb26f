"""A guest, its serial console and its QMP: what the whole-system tests share."""
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("QEMU") or str(ROOT / "build/qemu-system-x86_64")
LIMIT = 120  # seconds for whatever is waited for; on an idle host a boot takes a few
PROMPT = rb"/ # "
TROUBLE = re.compile(r"BUG|Oops|WARNING:|Call Trace|Kernel panic|soft lockup|rcu_.*stall|ata\d.*(?:error|failed|timeout)")

long_test = pytest.mark.skipif(not os.environ.get("KESTREL_LONG"), reason="long: scripts/check --long runs it")


def parts(*names):
    """Paths of guests made by scripts/guest; made once."""
    p = subprocess.run([ROOT / "scripts/guest", *names], stdout=subprocess.PIPE, text=True, check=True)
    return [pathlib.Path(line) for line in p.stdout.split()]


def no_complaints(text):
    """The kernel found nothing wrong with itself or the machine."""
    bad = [line for line in text.splitlines() if TROUBLE.search(line)]
    assert not bad, "\n".join(bad)


class Qmp:
    """A client of the QMP server at a socket, which the program makes."""

    def __init__(self, path):
        until = time.monotonic() + LIMIT
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(str(path)):
            assert time.monotonic() < until, f"no QMP at {path}"
            time.sleep(0.05)
        self.socket.settimeout(LIMIT)
        self.file, self.events = self.socket.makefile("rw"), []
        self.file.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        """What the command returns; events before it are kept."""
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while "event" in (reply := json.loads(self.file.readline())):
            self.events.append(reply["event"])
        assert "return" in reply, reply
        return reply["return"]

    def wait(self, event):
        while event not in self.events:
            reply = json.loads(self.file.readline())
            self.events.append(reply.get("event"))
        self.events.remove(event)


class Guest:
    """A running guest with its serial port on our pipes."""

    def __init__(self, *args, program=PROGRAM):
        self.cmd = [str(a) for a in (program, "-accel", "tcg", "-display", "none", "-serial", "stdio", "-monitor", "none",
                                     "-no-reboot", *args)]
        self.process = subprocess.Popen(self.cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.output = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def text(self):
        return self.output.decode(errors="replace").replace("\r", "")

    def _more(self, until):
        """Reads what comes until the time; False at the end of the output."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
        assert ready, f"nothing more for {LIMIT} s from: {' '.join(self.cmd)}\n{self.text[-3000:]}"
        data = os.read(self.process.stdout.fileno(), 65536)
        self.output += data
        return bool(data)

    def expect(self, pattern, after=0):
        """The match of the pattern in what came after the offset."""
        until = time.monotonic() + LIMIT
        while not (m := re.compile(pattern).search(self.output, after)):
            assert self._more(until), f"{pattern!r} not seen from: {' '.join(self.cmd)}\n{self.text[-3000:]}"
        return m

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def prompt(self):
        """The first prompt of the shell."""
        self.expect(PROMPT)

    def run(self, command):
        """What a command of the shell prints, which must succeed."""
        start = len(self.output)
        self.send(command + "; echo =$?=")
        m = self.expect(rb"=(\d+)=\r?\n", start)
        said = self.output[start:m.start()].decode(errors="replace").replace("\r", "")
        assert m.group(1) == b"0", f"{command}: {said}"
        return said

    def power_off(self):
        """Leaves; all that the console said."""
        self.send("poweroff -f")
        return self.ended()

    def ended(self):
        until = time.monotonic() + LIMIT
        while self._more(until):
            pass
        assert self.process.wait(LIMIT) == 0, self.text[-2000:]
        assert "Power down" in self.text, self.text[-3000:]
        return self.text
