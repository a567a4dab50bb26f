"""The kernel says and sees the same as under Debian's QEMU 10.0: see compare.py."""
import pytest

import compare
from console import long_test, parts

QUICK = ("-cpu", "Nehalem", "-smp", "2,sockets=2")
LONG = [("-cpu", "qemu64"), ("-cpu", "qemu64", "-smp", "4"), ("-cpu", "Nehalem", "-m", "6G"), ("-cpu", "Nehalem", "-smp", "4,threads=2")]


def same(*args):
    theirs = compare.peer()
    if not theirs:
        pytest.skip(f"{compare.PEER} 10.0 is not installed; scripts/bench installs it")
    rest, _ = compare.compare(theirs, args)
    assert not rest, "\n".join(rest)


def test_disk_and_cd(tmp_path):
    """With drives, so that what IDE drives say is compared too."""
    disk, cd = parts("disk", "cd")
    copy = tmp_path / "disk.img"
    copy.write_bytes(disk.read_bytes())
    same(*QUICK, "-drive", f"file={copy},format=raw", "-cdrom", cd)


@long_test
@pytest.mark.parametrize("args", LONG, ids=" ".join)
def test_models(args):
    same(*args)
