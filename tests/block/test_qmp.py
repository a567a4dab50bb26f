"""Disks over QMP: what is made, told, resized and deleted, against the system's emulator where there is one."""
import os
import random
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "monitor"))
import emulator  # noqa: E402

OTHER = shutil.which("qemu-system-x86_64", path="/usr/bin")
IMG = os.environ["QEMU_IMG"]
NODE = {"node-name", "drv", "ro", "backing_file_depth", "detect_zeroes", "cache", "file", "backing_file", "active"}
IMAGE = {"virtual-size", "format", "cluster-size", "backing-filename", "backing-filename-format", "dirty-flag"}


class Both:
    """The same command to both programs; what both know of the answers must be equal. Images of the one are not the other's."""

    def __init__(self, tmp_path, *args):
        self.dirs, self.all = [], []
        for i, program in enumerate([emulator.PROGRAM] + ([OTHER] if OTHER else [])):
            d = tmp_path / str(i)
            d.mkdir()
            subprocess.run([IMG, "create", "-q", "-f", "qcow2", d / "base.qcow2", "1M"], check=True)
            subprocess.run([IMG, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", d / "top.qcow2", "2M"], check=True)
            (d / "raw").write_bytes(random.Random(1).randbytes(10000))
            before, emulator.PROGRAM = emulator.PROGRAM, program
            self.dirs.append(str(d))
            self.all.append(emulator.Emulator(*self.here(list(args), str(d))))
            emulator.PROGRAM = before

    def here(self, v, d):
        if isinstance(v, str):
            return v.replace("DIR", d)
        if isinstance(v, list):
            return [self.here(x, d) for x in v]
        return {k: self.here(x, d) for k, x in v.items()} if isinstance(v, dict) else v

    def call(self, command, **args):
        answers = []
        for e, d in zip(self.all, self.dirs):
            a = e.qmp.call(command, **self.here(args, d))
            answers.append(("return", a["return"]) if "return" in a else ("error", a["error"]["desc"].replace(d, "DIR")))
        return answers

    def same(self, command, **args):
        a = self.call(command, **args)
        assert a[0] == a[-1], (command, args)
        return a[0]

    def nodes(self):
        """Named nodes, without those whose names the program chose."""
        out = []
        for e, d in zip(self.all, self.dirs):
            nodes = {}
            for n in e.qmp.ok("query-named-block-nodes"):
                if not n["node-name"].startswith("#"):
                    nodes[n["node-name"]] = {k: v for k, v in n.items() if k in NODE}
                    nodes[n["node-name"]]["image"] = {k: v for k, v in n["image"].items() if k in IMAGE}
            out.append(eval(repr(nodes).replace(d, "DIR")))
        assert out[0] == out[-1]
        return out[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for e in self.all:
            e.__exit__(*exc)


def file(name, **more):
    return {"driver": "file", "filename": f"DIR/{name}", **more}


def test_nodes_come_and_go(tmp_path):
    with Both(tmp_path) as b:
        assert b.same("blockdev-add", driver="file", **{"node-name": "f", "filename": "DIR/top.qcow2"})[0] == "return"
        assert b.same("blockdev-add", driver="qcow2", file="f", **{"node-name": "q"})[0] == "return"
        assert b.same("blockdev-add", driver="raw", file=file("raw", locking="off"), **{"node-name": "r", "read-only": True})[0] == "return"
        assert b.same("blockdev-add", driver="null-co", **{"node-name": "n"})[0] == "return"
        nodes = b.nodes()
        assert nodes["q"]["image"]["virtual-size"] == 2 << 20 and nodes["r"]["image"]["virtual-size"] == 10240 and nodes["r"]["ro"]
        assert nodes["q"]["backing_file_depth"] == 1 and nodes["n"]["image"]["virtual-size"] == 1 << 30
        assert b.same("block_resize", size=3 << 20, **{"node-name": "q"})[0] == "return"
        assert b.nodes()["q"]["image"]["virtual-size"] == 3 << 20
        for node in ("q", "f", "r", "n"):
            assert b.same("blockdev-del", **{"node-name": node})[0] == "return"
        assert b.nodes() == {}


@pytest.mark.parametrize("command, args", [
    ("blockdev-add", {"driver": "qcow2", "node-name": "x", "file": "nosuch"}),
    ("blockdev-add", {"driver": "null-co", "node-name": "n"}),
    ("blockdev-add", {"driver": "null-co"}),
    ("blockdev-add", {"driver": "qcow2", "node-name": "x", "file": file("raw")}),
    ("blockdev-add", {"driver": "file", "node-name": "x", "filename": "DIR/none"}),
    ("blockdev-del", {"node-name": "nosuch"}),
    ("block_resize", {"node-name": "nosuch", "size": 512}),
    ("block_resize", {"size": 512}),
])
def test_refused(tmp_path, command, args):
    with Both(tmp_path, "-blockdev", "null-co,node-name=n") as b:
        assert b.same(command, **args)[0] == "error"
        assert list(b.nodes()) == ["n"]


@pytest.mark.parametrize("cache, direct, no_flush, writeback", [
    ("writeback", False, False, True), ("writethrough", False, False, False), ("none", True, False, True), ("directsync", True, False, False),
    ("unsafe", False, True, True)])
def test_cache_of_drives(tmp_path, cache, direct, no_flush, writeback):
    with Both(tmp_path, "-drive", f"if=none,id=d,file=DIR/top.qcow2,cache={cache}") as b:
        for a in b.call("query-block"):
            disk, = (d for d in a[1] if d["device"] == "d")
            assert disk["inserted"]["cache"] == {"direct": direct, "no-flush": no_flush, "writeback": writeback}
            assert disk["inserted"]["drv"] == "qcow2" and disk["inserted"]["backing_file_depth"] == 1


def test_snapshot_of_drive(tmp_path):
    """Writes go to an image that nobody sees: the drive's own is opened for reading only."""
    with Both(tmp_path, "-drive", "if=none,id=d,file=DIR/raw,format=raw,snapshot=on") as b:
        for a, d in zip(b.call("query-block"), b.dirs):
            disk, = (x for x in a[1] if x["device"] == "d")
            i = disk["inserted"]
            assert (i["drv"], i["ro"], i["backing_file_depth"], i["backing_file"]) == ("qcow2", False, 1, f"{d}/raw")
            assert i["image"]["virtual-size"] == 10240
            assert not os.path.exists(i["file"])
    assert (tmp_path / "0" / "raw").read_bytes() == random.Random(1).randbytes(10000)
