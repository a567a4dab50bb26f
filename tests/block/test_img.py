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
@pytest.mark.parametrize("options", ["", "refcount_bits=1", "cluster_size=512", "refcount_bits=64,cluster_size=4k"])
@pytest.mark.parametrize("damage", ["no first block", "no table", "unaligned block", "one block twice"])
def test_counts_are_rebuilt(tmp_path, options, damage):
    raw, image = tmp_path / "raw", tmp_path / "a.qcow2"
    fill(raw, 4 << 20, options)
    run("convert", "-f", "raw", "-O", "qcow2", *(["-o", options] if options else []), raw, image)
    with open(image, "r+b") as f:
        f.seek(48)
        table = int.from_bytes(f.read(8), "big")
        f.seek(table)
        first = f.read(8)
        if damage == "no table":
            f.seek(48)
            f.write(bytes(12))
        else:
            f.seek(table + 8 * (damage == "one block twice"))
            f.write({"no first block": bytes(8), "unaligned block": (0x10201).to_bytes(8, "big")}.get(damage, first))
    run("check", "-r", "all", image)
    for program in (IMG, OTHER):
        run("check", image, program=program)
        assert "identical" in run("compare", "-f", "raw", "-F", "qcow2", raw, image, program=program)


@needs_other
def test_length_in_sectors(tmp_path):
    raw = tmp_path / "raw"
    for size in (1, 10000, 65536 + 511):
        raw.write_bytes(random.Random(size).randbytes(size))
        same_json(raw, "info")
        same_json(raw, "map")
        run("convert", "-f", "raw", "-O", "qcow2", raw, tmp_path / "a.qcow2")
        assert "identical" in run("compare", "-f", "raw", "-F", "qcow2", raw, tmp_path / "a.qcow2", program=OTHER)


@needs_other
def test_create_without_looking(tmp_path):
    """-u: what lies below need not be there; then the size must be."""
    for args, status in ((("-u", "-b", "none", "-F", "raw", "1M"), 0), (("-u", "-b", "none", "-F", "raw"), 1), (("-b", "none", "-F", "raw", "1M"), 1),
                         (("-u", "-b", "none", "1M"), 1), (("-u", "1M"), 0)):
        options, size = ([*args[:-1]], [args[-1]]) if args[-1] == "1M" else ([*args], [])
        said = [run("create", "-f", "qcow2", *options, "a.qcow2", *size, program=p, status=status, cwd=tmp_path) for p in (IMG, OTHER)]
        assert said[0].splitlines()[0] == said[1].splitlines()[0]


def allocated(path):
    return os.stat(path).st_blocks * 512


@needs_other
@pytest.mark.parametrize("option, gives_back", [("pass-discard-request=off", False), ("discard-no-unref=on", True),
                                                ("discard-no-unref=on,pass-discard-request=off", False), ("pass-discard-request=on", True)])
def test_discard_options(tmp_path, option, gives_back):
    raw, zero, image = tmp_path / "raw", tmp_path / "zero", tmp_path / "a.qcow2"
    raw.write_bytes(random.Random(1).randbytes(4 << 20))
    zero.write_bytes(bytes(4 << 20))
    run("convert", "-f", "raw", "-O", "qcow2", raw, image)
    before = allocated(image), [r["offset"] for r in json.loads(run("map", "--output=json", image, program=OTHER))]
    run("convert", "-n", "-f", "raw", "--target-image-opts", zero, f"driver=qcow2,file.filename={image},discard=unmap,{option}")
    run("check", image, program=OTHER)
    assert "identical" in run("compare", "-f", "raw", "-F", "qcow2", zero, image, program=OTHER)
    assert (allocated(image) < before[0] - (3 << 20)) == gives_back
    kept = [r["offset"] for r in json.loads(run("map", "--output=json", image, program=OTHER)) if "offset" in r]
    assert kept == (before[1] if "no-unref" in option else [])


def test_discard_no_unref_needs_version_3(tmp_path):
    run("create", "-f", "qcow2", "-o", "compat=0.10", tmp_path / "a.qcow2", "1M")
    assert "discard-no-unref is only supported since qcow2 version 3" in run(
        "info", "--image-opts", f"driver=qcow2,file.filename={tmp_path}/a.qcow2,discard-no-unref=on", status=1)


@needs_other
@pytest.mark.parametrize("option, gives_back", [("", True), (",pass-discard-snapshot=off", False)])
def test_space_of_snapshots(tmp_path, option, gives_back):
    raw, other, image = tmp_path / "raw", tmp_path / "other", tmp_path / "a.qcow2"
    raw.write_bytes(random.Random(1).randbytes(4 << 20))
    other.write_bytes(random.Random(2).randbytes(4 << 20))
    run("convert", "-f", "raw", "-O", "qcow2", raw, image)
    run("snapshot", "-c", "one", image)
    run("convert", "-n", "-f", "raw", "-O", "qcow2", other, image)
    before = allocated(image)
    run("snapshot", "--image-opts", "-d", "one", f"driver=qcow2,file.filename={image}{option}")
    run("check", image, program=OTHER)
    assert "identical" in run("compare", "-f", "raw", "-F", "qcow2", other, image, program=OTHER)
    assert (allocated(image) < before - (3 << 20)) == gives_back


@needs_other
def test_bench(tmp_path):
    image = tmp_path / "a.qcow2"
    run("create", "-f", "qcow2", image, "4M")
    for args, status in ((["-c", "200"], 0), (["--flush-interval=100"], 1), (["-w", "--flush-interval=10"], 1),
                         (["-w", "-c", "500", "-d", "8", "--flush-interval=10"], 0),
                         (["-w", "-c", "500", "-d", "8", "--flush-interval=10", "--no-drain"], 0)):
        a, b = (run("bench", *args, image, program=p, status=status).splitlines() for p in (IMG, OTHER))
        assert a[:-1] == b[:-1] and (status == 0 or a == b)


@pytest.mark.parametrize("order", [[], ["-W"]])
def test_convert_in_and_out_of_order(tmp_path, order):
    raw, image, back = (tmp_path / n for n in ("raw", "a.qcow2", "back"))
    fill(raw, 40 << 20, 5, runs=60)
    run("convert", "-c", "-f", "raw", "-O", "qcow2", raw, image)
    run("convert", *order, "-m", "16", "-f", "qcow2", "-O", "raw", image, back)
    assert back.read_bytes() == raw.read_bytes()


def bitmaps(path):
    """name -> (flags, granularity, the bits as one number), as the specification's "Bitmaps extension" says."""
    d = path.read_bytes()

    def at(offset, size):
        return int.from_bytes(d[offset:offset + size], "big")
    cluster, ext = 1 << at(20, 4), at(100, 4)
    while at(ext, 4) != 0x23852875:
        ext += 8 + (at(ext + 4, 4) + 7) // 8 * 8
    here, out = at(ext + 24, 8), {}
    for _ in range(at(ext + 8, 4)):
        bits = b""
        for i in range(at(here + 8, 4)):
            e = at(at(here, 8) + 8 * i, 8)
            bits += d[e:e + cluster] if e & ~1 else b"\xff" * cluster if e else bytes(cluster)
        name = d[here + 24:here + 24 + at(here + 18, 2)].decode()
        out[name] = at(here + 12, 4), 1 << d[here + 17], int.from_bytes(bits, "little")
        here += (24 + at(here + 18, 2) + at(here + 20, 4) + 7) // 8 * 8
    return out


@needs_other
@pytest.mark.parametrize("options", ["", "cluster_size=512", "extended_l2=on"])
def test_bitmaps_follow(tmp_path, options):
    raw, image, changed = tmp_path / "raw", tmp_path / "a.qcow2", tmp_path / "changed"
    fill(raw, 12 << 20, 1)
    run("convert", "-f", "raw", "-O", "qcow2", *(["-o", options] if options else []), raw, image)
    for name, *more in (("fine", "-g", "4096"), ("coarse", "-g", "65536"), ("off",)):
        run("bitmap", "--add", *more, image, name, program=OTHER)
    run("bitmap", "--disable", image, "off", program=OTHER)
    rng, whole = random.Random(options), set()
    for _ in range(6):  # each opens, changes, closes
        at, n = rng.randrange(0, (12 << 20) // 512) * 512, rng.randrange(1, 400) * 512
        n = min(n, (12 << 20) - at)
        changed.write_bytes(rng.randbytes(n))
        whole |= set(range(at // 512, (at + n) // 512))
        options_of_part = f"driver=raw,offset={at},size={n},file.driver=qcow2,file.file.driver=file,file.file.filename={image}"
        run("convert", "-n", "-f", "raw", "--target-image-opts", changed, options_of_part)
        now = bitmaps(image)
        for name, expected_flags in (("fine", 2), ("coarse", 2), ("off", 0)):
            flags, granularity, bits = now[name]
            want = 0 if name == "off" else sum(1 << b for b in {s * 512 // granularity for s in whole})
            assert (flags, bits) == (expected_flags, want), name
        run("check", image, program=OTHER)
    assert {b["name"]: b["flags"] for b in json.loads(run("info", "--output=json", image, program=OTHER))["format-specific"]["data"]["bitmaps"]} == {
        "fine": ["auto"], "coarse": ["auto"], "off": []}
    run("resize", image, "20M", status=1)
    run("snapshot", "-c", "one", image)
    run("snapshot", "-a", "one", image)
    assert bitmaps(image)["coarse"][2] == (1 << 192) - 1 and bitmaps(image)["off"][2] == 0
    run("check", image, program=OTHER)


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
