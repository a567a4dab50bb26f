"""Debian's kernel boots to a shell from -kernel, from a disk and from a CD-ROM by GRUB, and uses both drives."""
import os
import subprocess

import pytest

from console import Guest, long_test, no_complaints, parts


@pytest.fixture(scope="session")
def media():
    return dict(zip(("kernel", "full", "disk", "cd"), parts("kernel", "full", "disk", "cd")))


def arguments(media, tmp_path, source):
    """Disk and CD-ROM are always there; what they are booted from differs. The disk is a copy: guests write to it."""
    disk = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", media["disk"], disk], check=True)
    drives = ["-drive", f"file={disk},format=raw", "-cdrom", media["cd"]]
    if source == "kernel":
        return [*drives, "-kernel", media["kernel"], "-initrd", media["full"], "-append", "console=ttyS0 panic=-1 from=kernel"]
    return [*drives, "-boot", "c" if source == "disk" else "d"]


def use_drives(g):
    """From Linux: files with checksums on both media, and a file written, read back after the caches are dropped."""
    g.run("while ! [ -b /dev/sda1 -a -b /dev/sr0 ]; do sleep 0.1; done")
    g.run("mount -t ext4 /dev/sda1 /mnt")
    assert "noise: OK" in g.run("cd /mnt; sha256sum -c noise.sum")
    g.run("cat noise noise > twice; sha256sum twice > twice.sum; sync; echo 3 > /proc/sys/vm/drop_caches; cd /")
    g.run("umount /mnt; mount -t ext4 /dev/sda1 /mnt; cd /mnt")
    assert "twice: OK" in g.run("sha256sum -c twice.sum")
    g.run("cd /; umount /mnt; mount -t iso9660 -o ro /dev/sr0 /mnt; cd /mnt")
    assert "noise: OK" in g.run("sha256sum -c noise.sum")
    g.run("cd /; umount /mnt")


def boot(media, tmp_path, source, cpus, *args):
    with Guest("-M", "pc", "-smp", cpus, *arguments(media, tmp_path, source), *args) as g:
        g.prompt()
        assert f"from={source}" in g.run("cat /proc/cmdline")
        assert f"\n{cpus}\n" in g.run("nproc")
        use_drives(g)
        text = g.power_off()
    if source != "kernel":
        assert "GRUB loads the kernel" in text
    no_complaints(text)
    disk = tmp_path / "disk.img"
    p = subprocess.run(["/sbin/e2fsck", "-fn", f"{disk}?offset={2048 * 512}"], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
    return text


@pytest.mark.parametrize("source,cpus", [("disk", 1), ("cd", 4)])
def test_boot(media, tmp_path, source, cpus):
    boot(media, tmp_path, source, cpus, "-m", "512")


@long_test
@pytest.mark.parametrize("memory", ["512", "6G"])
@pytest.mark.parametrize("cpus", [1, 4])
@pytest.mark.parametrize("source", ["kernel", "disk", "cd"])
def test_all(media, tmp_path, source, cpus, memory):
    boot(media, tmp_path, source, cpus, "-m", memory)


@long_test
def test_again_and_again(media):
    """A hundred boots in a row, 1 to 4 CPUs."""
    for n in range(int(os.environ.get("KESTREL_BOOTS", "100"))):
        with Guest("-M", "pc", "-smp", 1 + n % 4, "-m", "512", "-nodefaults", "-kernel", media["kernel"], "-initrd", media["full"],
                   "-append", "console=ttyS0 panic=-1 quiet run=batch") as g:
            no_complaints(g.ended())
