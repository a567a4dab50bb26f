"""qemu-img: what it makes and says; against the system's qemu-img, where there is one, both ways."""
import json
import os
import random
import shutil
import subprocess

import pytest

IMG = os.environ["QEMU_IMG"]
OTHER = next((p for p in ("/usr/bin/qemu-img",) if shutil.which(p)), None)
needs_other = pytest.mark.skipif(not OTHER, reason="no qemu-img in the system")


def run(*args, program=IMG, status=0, cwd=None):
    p = subprocess.run([program, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=60)
    assert p.returncode == status, (args, p.stdout, p.stderr)
    return p.stdout if not status else p.stdout + p.stderr


def same_json(path, *command):
    """What both programs say of it."""
    def clean(v):
        if isinstance(v, dict):
            return {k: clean(x) for k, x in v.items() if k not in ("actual-size", "children")}
        return [clean(x) for x in v] if isinstance(v, list) else v
    ours, theirs = (clean(json.loads(run(*command, "--output=json", path, program=p))) for p in (IMG, OTHER))
    if command[0] == "map":  # holes of the host's file are told by both, but not always by the other
        ours, theirs = merge(ours), merge(theirs)
    assert ours == theirs, command


def merge(runs):
    """Neighbours that differ in nothing but zero, joined."""
    out = []
    for r in runs:
        r = {**r, "zero": r["zero"] or r["data"]}
        last = out[-1] if out else None
        if last and all(last.get(k) == r.get(k) for k in ("depth", "present", "data", "compressed")) and (
                ("offset" not in r and "offset" not in last) or last.get("offset", 0) + last["length"] == r.get("offset")):
            last["length"] += r["length"]
        else:
            out.append(r)
    return out


def fill(path, size, seed, runs=12):
    """A sparse raw file: data, data that compresses, holes."""
    rng = random.Random(seed)
    with open(path, "wb") as f:
        f.truncate(size)
        for _ in range(runs):
            f.seek(rng.randrange(size))
            n = min(rng.randrange(1, 300000), size - f.tell())
            f.write(rng.randbytes(n) if rng.random() < 0.5 else bytes([rng.randrange(256)]) * n)


OPTIONS = ["", "compat=0.10", "cluster_size=512", "cluster_size=2M", "refcount_bits=1", "refcount_bits=64,cluster_size=4k", "extended_l2=on",
           "extended_l2=on,cluster_size=16k", "lazy_refcounts=on", "compression_type=zstd"]


@needs_other
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("compress", [False, True])
def test_convert_both_ways(tmp_path, options, compress):
    raw, ours, theirs = tmp_path / "raw", tmp_path / "ours.qcow2", tmp_path / "theirs.qcow2"
    fill(raw, 5_000_192, options)
    args = ["convert", "-f", "raw", "-O", "qcow2"] + (["-c"] if compress else []) + (["-o", options] if options else [])
    run(*args, raw, ours)
    run(*args, raw, theirs, program=OTHER)
    for image in (ours, theirs):
        for a, b in ((IMG, OTHER), (OTHER, IMG)):
            assert "identical" in run("compare", "-f", "raw", "-F", "qcow2", raw, image, program=a)
            run("check", image, program=b)
        same_json(image, "info")
        same_json(image, "check")
        same_json(image, "map")
    back = tmp_path / "back"
    run("convert", "-f", "qcow2", "-O", "raw", theirs, back)
    assert back.read_bytes() == raw.read_bytes()


@needs_other
def test_chain_snapshots_commit_rebase(tmp_path):
    base, mid, top, raw = (tmp_path / n for n in ("base.qcow2", "mid.qcow2", "top.qcow2", "raw"))
    fill(raw, 3 << 20, 1)
    run("convert", "-f", "raw", "-O", "qcow2", raw, base)
    run("create", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", mid)
    run("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "mid.qcow2", top, "4M")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 70000 300000", "-c", "write -z 1M 128k", str(top)], check=True, capture_output=True)
    same_json(top, "info", "--backing-chain")
    same_json(top, "map")
    flat = tmp_path / "flat"
    run("convert", "-O", "raw", top, flat)
    for image in (top, mid):
        run("snapshot", "-c", "one", image)
    assert "one" in run("snapshot", "-l", top)
    same_json(top, "info")
    run("check", top, program=OTHER)
    run("commit", top)
    assert "identical" in run("compare", "-f", "raw", flat, top, program=OTHER)
    run("snapshot", "-a", "one", top)
    run("snapshot", "-d", "one", top)
    run("check", top, program=OTHER)
    assert "identical" in run("compare", "-f", "raw", flat, top, program=OTHER)
    run("rebase", "-F", "qcow2", "-b", "base.qcow2", top)
    assert "identical" in run("compare", "-f", "raw", flat, top, program=OTHER)
    run("check", top, program=OTHER)
    run("convert", "-l", "one", "-O", "raw", mid, tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == raw.read_bytes()


@needs_other
def test_data_file_and_resize(tmp_path):
    raw, image = tmp_path / "raw", tmp_path / "a.qcow2"
    fill(raw, 1 << 20, 2)
    run("convert", "-f", "raw", "-O", "qcow2", "-o", f"data_file={tmp_path}/data,data_file_raw=on", raw, image)
    run("check", image, program=OTHER)
    assert "identical" in run("compare", "-f", "raw", raw, image, program=OTHER)
    assert (tmp_path / "data").read_bytes() == raw.read_bytes()
    run("resize", image, "+3M")
    run("resize", image, "1M", status=1)
    run("resize", "--shrink", image, "1M")
    assert "identical" in run("compare", "-f", "raw", raw, image, program=OTHER)


@needs_other
def test_damage_is_found_and_repaired(tmp_path):
    raw, image = tmp_path / "raw", tmp_path / "a.qcow2"
    fill(raw, 4 << 20, 3)
    for at, count, status in ((0x20002, 0, 2), (0x20000 + 2 * 10, 5, 2)):
        run("convert", "-f", "raw", "-O", "qcow2", raw, image)
        with open(image, "r+b") as f:
            f.seek(at)
            f.write(count.to_bytes(2, "big"))
        ours, theirs = (subprocess.run([p, "check", image], capture_output=True) for p in (IMG, OTHER))
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout) and ours.returncode == status
        run("check", "-r", "all", image)
        run("check", image, program=OTHER)
        assert "identical" in run("compare", "-f", "raw", raw, image, program=OTHER)


@needs_other
def test_huge_sparse(tmp_path):
    image = tmp_path / "a.qcow2"
    run("create", "-f", "qcow2", image, "2T")
    same_json(image, "info")
    same_json(image, "map")
    run("check", image, program=OTHER)
    run("convert", "-O", "qcow2", image, tmp_path / "b.qcow2")
    run("check", tmp_path / "b.qcow2", program=OTHER)


@needs_other
@pytest.mark.parametrize("args", [("--size", "10G"), ("--size", "100M", "-o", "cluster_size=512"), ("--size", "1T", "-o", "extended_l2=on")])
def test_measure(args):
    ours, theirs = (json.loads(run("measure", "-O", "qcow2", "--output=json", *args, program=p)) for p in (IMG, OTHER))
    assert {k: theirs[k] for k in ours} == ours


def test_errors_name_the_item(tmp_path):
    image = tmp_path / "a.qcow2"
    for args, text in (
            (("create", "-f", "qcow2", image), "Image creation needs a size parameter"),
            (("create", "-f", "qcow3", image, "1M"), "Unknown file format 'qcow3'"),
            (("create", "-f", "qcow2", "-o", "cluster_size=3", image, "1M"), "Cluster size must be a power of two between 512 and 2048k"),
            (("create", "-f", "qcow2", "-o", "colour=red", image, "1M"), "Invalid parameter 'colour'"),
            (("info", tmp_path / "none"), "No such file or directory"),
            (("info", "nosuch:x"), "Unknown protocol 'nosuch'"),
            (("frobnicate",), "Command not found: frobnicate")):
        assert text in run(*args, status=1)


def test_locked(tmp_path):
    """An image that somebody writes to is not opened, unless sharing is asked for."""
    import fcntl
    import struct
    image = tmp_path / "a.qcow2"
    run("create", "-f", "qcow2", image, "1M")
    with open(image, "r+b") as f:
        for at in (100, 101, 201):
            fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, at, 1, 0))  # F_OFD_SETLK
        assert 'Failed to get' in run("info", image, status=1)
        run("info", "-U", image)
    run("info", image)
