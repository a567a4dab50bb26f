"""Starts the system emulator and talks to it. QEMU in the environment is the program."""
import json
import os
import pathlib
import select
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("QEMU") or str(ROOT / "build/qemu-system-x86_64")
TIMEOUT = 10


def run(*args, input=b""):
    """The program to its end: (status, stdout, stderr)."""
    p = subprocess.run([PROGRAM, *args], input=input, capture_output=True, timeout=TIMEOUT)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


class Stream:
    """Bytes in both directions over descriptors that select knows, with a limit of time."""

    def __init__(self, read, write):
        self.read_fd, self.write_fd, self.buf = read, write, b""

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        while data:
            data = data[os.write(self.write_fd, data):]

    def fill(self, timeout=TIMEOUT):
        """Reads once; False at the end."""
        if not select.select([self.read_fd], [], [], timeout)[0]:
            raise TimeoutError(self.buf)
        try:
            data = os.read(self.read_fd, 1 << 16)
        except OSError:  # a pty whose other end was closed
            data = b""
        self.buf += data
        return bool(data)

    def until(self, text, timeout=TIMEOUT):
        """Everything up to and with text."""
        text = text if isinstance(text, bytes) else text.encode()
        end = time.monotonic() + timeout
        while text not in self.buf:
            if not self.fill(max(0, end - time.monotonic())):
                raise EOFError(self.buf)
        at = self.buf.index(text) + len(text)
        out, self.buf = self.buf[:at], self.buf[at:]
        return out

    def line(self):
        return self.until(b"\n")

    def nothing(self, seconds=0.05):
        """True iff nothing more comes."""
        return not self.buf and not select.select([self.read_fd], [], [], seconds)[0]


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(TIMEOUT)
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            s.connect(str(path))
            break
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError): # the last: one waits already
            if time.monotonic() > end:
                raise
            time.sleep(0.005)
    stream = Stream(s.fileno(), s.fileno())
    stream.socket = s
    return stream


class Qmp:
    """A client of a QMP stream. Events that come between are kept."""

    def __init__(self, stream, negotiate=True, oob=False):
        self.stream, self.events, self.count = stream, [], 0
        self.greeting = json.loads(stream.line())["QMP"]
        if negotiate:
            self.ok("qmp_capabilities", **({"enable": ["oob"]} if oob else {}))

    def receive(self):
        while True:
            msg = json.loads(self.stream.line())
            if "event" not in msg:
                return msg
            self.events.append(msg)

    def raw(self, text):
        self.stream.send(text)
        return self.receive()

    def call(self, command, **args):
        self.count += 1
        request = {"execute": command, "id": self.count}
        if args:
            request["arguments"] = {k.rstrip("_").replace("_", "-") if k != "fdname" else k: v for k, v in args.items()}
        reply = self.raw(json.dumps(request))
        assert reply.pop("id") == self.count
        return reply

    def ok(self, command, **args):
        reply = self.call(command, **args)
        assert "return" in reply, reply
        return reply["return"]

    def error(self, command, **args):
        reply = self.call(command, **args)
        assert "error" in reply, reply
        return reply["error"]["class"], reply["error"]["desc"]

    def hmp(self, line):
        return self.ok("human-monitor-command", command_line=line)

    def event(self, name):
        """The next event of this name."""
        while True:
            for e in self.events:
                if e["event"] == name:
                    self.events.remove(e)
                    return e
            msg = json.loads(self.stream.line())
            assert "event" in msg, msg
            self.events.append(msg)


class Emulator:
    """A running one; its standard input and output are a QMP monitor unless args have another."""

    def __init__(self, *args, qmp=True, machine=("-M", "none"), negotiate=True, oob=False, **popen):
        argv = [PROGRAM, *machine, "-display", "none", *(["-qmp", "stdio"] if qmp else []), *args]
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
        self.io = Stream(self.p.stdout.fileno(), self.p.stdin.fileno())
        self.qmp = Qmp(self.io, negotiate, oob) if qmp else None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()
        for f in (self.p.stdin, self.p.stdout, self.p.stderr):
            f.close()

    def end(self):
        """Its exit status, when it has ended by itself."""
        return self.p.wait(TIMEOUT)
