"""Suspend to RAM (S3) by Linux: the firmware finds its way back, memory, drives and clock are as they were."""
import re
import subprocess

import pytest

from console import Guest, Qmp, no_complaints, parts


@pytest.mark.parametrize("cpus,by", [(1, "system_wakeup"), (1, "key"), (4, "alarm")])
def test_suspend(tmp_path, cpus, by):
    kernel, full, disk = parts("kernel", "full", "disk")
    copy = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    with Guest("-M", "pc", "-m", "512", "-smp", cpus, "-nodefaults", "-kernel", kernel, "-initrd", full,
               "-append", "console=ttyS0 no_console_suspend", "-drive", f"file={copy},format=raw",
               "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off") as g:
        g.prompt()
        q = Qmp(tmp_path / "qmp")
        g.run("while ! [ -b /dev/sda1 ]; do sleep 0.1; done; mount -t ext4 -o ro /dev/sda1 /mnt")
        g.run("sha256sum /mnt/noise > /tmp/sum; dd if=/dev/urandom of=/tmp/random bs=1M count=8; sha256sum /tmp/random >> /tmp/sum")
        g.send(("echo +6 > /sys/class/rtc/rtc0/wakealarm; " if by == "alarm" else "") + "echo mem > /sys/power/state")
        q.wait("SUSPEND")
        if by != "alarm":
            assert q.run("query-status") == {"running": False, "status": "suspended"}
        if by == "system_wakeup":
            q.run("system_wakeup")
        elif by == "key":
            q.run("human-monitor-command", **{"command-line": "sendkey ctrl"})
        q.wait("WAKEUP")
        g.expect(rb"PM: suspend exit")
        g.expect(rb"/ # ", g.output.index(b"suspend exit"))
        assert q.run("query-status")["status"] == "running"
        g.run("echo 3 > /proc/sys/vm/drop_caches")
        said = g.run("sha256sum -c /tmp/sum")
        assert said.count("OK") == 2
        assert f"\n{cpus}\n" in g.run("nproc")
        seconds = [int(s) for s in re.findall(r"^(\d{10})$", g.run("date +%s; cat /sys/class/rtc/rtc0/since_epoch"), re.M)]
        assert len(seconds) == 2 and abs(seconds[0] - seconds[1]) <= 2
        text = g.power_off()
    assert "Waking up from system sleep state S3" in text
    no_complaints(text)
