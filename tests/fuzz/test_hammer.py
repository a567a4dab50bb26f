"""QMP clients that hammer: 10,000 commands, 50 connections, half of them rude. The emulator answers each, in order, and keeps its size."""
import json
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "monitor"))
from emulator import Emulator, Qmp, connect  # noqa: E402

SEED = int(time.time() * 1000)
SANITIZED = "build-asan" in os.environ.get("QEMU", "")
COMMANDS = [
    ("query-status", {}), ("query-version", {}), ("query-chardev", {}), ("qom-list", {"path": "/"}), ("query-commands", {}),
    ("qom-get", {"path": "/machine", "property": "type"}), ("human-monitor-command", {"command-line": "info qtree"}),
    ("human-monitor-command", {"command-line": "print 1+1"}), ("no-such-command", {}), ("qom-list", {"path": "/nowhere"}),
    ("query-status", {"nothing": 1}), ("stop", {}), ("cont", {}), ("chardev-add", {"id": "twice", "backend": {"type": "null", "data": {}}}),
    ("chardev-remove", {"id": "twice"}), ("device_add", {"driver": "isa-serial", "id": "no", "indx": 3}),
]


def memory(e):
    with open(f"/proc/{e.p.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def hammer(stream, rng, count, in_flight):
    """count requests, up to in_flight of them unanswered; each answer has its id, in order."""
    sent = got = 0
    while got < count:
        batch = b""
        while sent < count and sent - got < in_flight:
            command, args = rng.choice(COMMANDS)
            batch += json.dumps({"execute": command, "arguments": args, "id": sent}).encode() + rng.choice([b"\n", b"", b" \r\n"])
            sent += 1
        stream.send(batch)
        reply = json.loads(stream.line())
        if "event" in reply:
            continue
        assert reply["id"] == got and ("return" in reply) != ("error" in reply), reply
        got += 1


def test_ten_thousand_commands():
    print("seed", SEED)
    rng = random.Random(SEED)
    with Emulator("-accel", "qtest", "-nodefaults", machine=("-M", "pc", "-m", "16")) as e:
        hammer(e.io, rng, 1000, 8)
        before = memory(e)
        hammer(e.io, rng, 9000, 8)
        if not SANITIZED:  # which keeps what was freed for a while
            assert memory(e) < before + (4 << 20)
        e.qmp.ok("quit")
        assert e.end() == 0


def test_fifty_at_once(tmp_path):
    names = [str(tmp_path / str(i)) for i in range(50)]
    args = [word for i, n in enumerate(names) for word in ("-chardev", f"socket,id=c{i},path={n},server=on,wait=off", "-mon", f"chardev=c{i},mode=control")]
    wrong = []

    def client(i, name):
        try:
            stream = connect(name)
            Qmp(stream)
            hammer(stream, random.Random(SEED + i), 100, 4)
        except Exception as e:  # pylint: disable=broad-except
            wrong.append((i, repr(e)))

    with Emulator(*args, "-accel", "qtest", "-nodefaults", machine=("-M", "none")) as e:
        threads = [threading.Thread(target=client, args=(i, n)) for i, n in enumerate(names)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not wrong
        e.qmp.ok("quit")
        assert e.end() == 0


def test_fifty_that_come_and_go(tmp_path):
    """One monitor, one client after the other: many leave in the middle of something, or never read."""
    rng = random.Random(SEED)
    path = str(tmp_path / "m")
    rude = [b"", b"{", b'{"execute": "query-qmp-schema"}' * 50, b"\xff" * 1000, b"[" * 5000, b'{"execute": "qmp_capabilities"}{"execute": "query-commands"}' * 200]
    with Emulator("-qmp", f"unix:{path},server=on,wait=off", "-accel", "qtest", "-nodefaults") as e:
        e.qmp.ok("query-status")
        before = memory(e)
        for _ in range(50):
            stream = connect(path)
            if rng.random() < 0.5:
                stream.send(rng.choice(rude))
            else:
                Qmp(stream).ok("query-status")
            stream.socket.close()
        stream = connect(path)
        assert Qmp(stream).ok("query-status")["status"]
        if not SANITIZED:
            assert memory(e) < before + (16 << 20)
        e.qmp.ok("quit")
        assert e.end() == 0
