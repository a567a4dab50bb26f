"""The questions that libvirt 9 asks before it uses an emulator: the commands in its order, and what it must find in the answers."""
import os
import signal
import subprocess
import time

import pytest
from emulator import PROGRAM, Qmp, connect

# Names it looks for in device-list-properties; a class that is not here must be DeviceNotFound.
DEVICES = ["virtio-blk-pci", "virtio-net-pci", "virtio-scsi-pci", "vfio-pci", "scsi-hd", "ide-hd", "PIIX4_PM", "usb-redir", "usb-host",
           "usb-storage", "kvm-pit", "VGA", "vmware-svga", "qxl", "virtio-gpu-pci", "ICH9-LPC", "virtio-balloon-pci",
           "virtio-balloon-ccw", "intel-iommu", "mch", "nvdimm", "pcie-root-port", "vhost-user-fs-device", "virtio-mem-pci", "virtio-iommu-pci"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The very command line; the parent must end only when the socket listens and the pid is written."""
    d = tmp_path_factory.mktemp("qmp")
    sock, pid = d / "qmp.monitor", d / "qmp.pid"
    args = ["-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=kvm:tcg",
            "-qmp", f"unix:{sock},server=on,wait=off", "-pidfile", str(pid), "-daemonize"]
    p = subprocess.run([PROGRAM, *args], capture_output=True, timeout=10, env={"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": str(d)})
    assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")
    number = int(pid.read_text())
    try:
        stream = connect(sock)
        yield Qmp(stream)
    finally:
        os.kill(number, signal.SIGTERM)
    end = time.monotonic() + 5
    while os.path.exists(f"/proc/{number}") and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{number}") and not pid.exists()


def test_version(probe):
    version = probe.ok("query-version")
    assert (version["qemu"]["major"], version["qemu"]["minor"], version["qemu"]["micro"]) >= (4, 2, 0)
    assert isinstance(version["package"], str)
    assert probe.ok("query-target") == {"arch": "x86_64"}
    assert probe.ok("query-kvm").keys() >= {"enabled", "present"}


def test_commands_and_classes(probe):
    commands = {c["name"] for c in probe.ok("query-commands")}
    assert {"query-cpu-definitions", "query-cpu-model-expansion", "query-hotpluggable-cpus", "set-action", "query-machines",
            "query-tpm-models", "query-migrate-capabilities", "add-fd", "getfd"} <= commands
    classes = {t["name"] for t in probe.ok("qom-list-types")}
    assert {"tcg-accel", "max-x86_64-cpu", "VGA", "isa-serial", "pvpanic", "none-machine"} <= classes


def test_devices(probe):
    classes = {t["name"] for t in probe.ok("qom-list-types")}
    for name in DEVICES:
        reply = probe.call("device-list-properties", typename=name)
        if name in classes:
            assert all(p["name"] for p in reply["return"])
        else:
            assert reply["error"]["class"] == "DeviceNotFound"
    assert {"disable_s3", "disable_s4"} <= {p["name"] for p in probe.ok("device-list-properties", typename="PIIX4_PM")}
    assert "vgamem_mb" in {p["name"] for p in probe.ok("device-list-properties", typename="VGA")}


def test_objects(probe):
    """An error for one of these ends libvirtd, when the class is there."""
    classes = {t["name"] for t in probe.ok("qom-list-types")}
    for name in ("memory-backend-file", "memory-backend-memfd", "max-x86_64-cpu", "none-machine", "generic-pc-machine"):
        if name in classes:
            assert "type" in {p["name"] for p in probe.ok("qom-list-properties", typename=name)}
    assert {"unavailable-features", "migratable"} <= {p["name"] for p in probe.ok("qom-list-properties", typename="max-x86_64-cpu")}


def test_machines(probe):
    machines = {m["name"]: m for m in probe.ok("query-machines")}
    pc = machines["pc-i440fx-10.0"]
    assert pc["alias"] == "pc" and pc["is-default"] and pc["default-ram-id"] == "pc.ram"
    assert {"cpu-max", "hotpluggable-cpus", "numa-mem-supported", "default-cpu-type", "deprecated"} <= pc.keys()
    assert all("compat-props" not in m for m in machines.values())
    old = {m["name"]: m for m in probe.ok("query-machines", compat_props=True)}
    assert all(p.keys() == {"qom-type", "property", "value"} for m in old.values() for p in m["compat-props"])


def test_cpus(probe):
    for m in probe.ok("query-cpu-definitions"):
        assert m["name"] and m["typename"].endswith("-x86_64-cpu") and "unavailable-features" in m
    for kind, props in (("static", {}), ("static", {"migratable": False}), ("full", {"migratable": False, "hv-passthrough": True})):
        model = probe.ok("query-cpu-model-expansion", type=kind, model={"name": "host", "props": props})["model"]
        assert model["name"] in ("base", "host") and len(model["props"]) > 50


def test_options(probe):
    groups = {o["option"]: {p["name"] for p in o["parameters"]} for o in probe.ok("query-command-line-options")}
    assert {"hpet", "acpi", "usb", "smm", "memory", "kernel"} <= groups["machine"]
    assert {"smp-opts", "boot-opts", "memory", "overcommit", "add-fd"} <= groups.keys()
    assert "logfile" in groups["chardev"] and "reconnect-ms" in groups["chardev"]
    assert probe.ok("query-command-line-options", option="memory")[0]["option"] == "memory"
    assert probe.error("query-command-line-options", option="nosuch")[1] == "invalid option name: nosuch"


def test_nothing_there(probe):
    for command in ("query-tpm-models", "query-tpm-types", "query-migrate-capabilities"):
        assert probe.ok(command) == []


class Schema:
    """Paths as libvirt looks them up: command/arg-type/member/^enum-value, +branch, $feature."""

    def __init__(self, entries):
        self.by_name = {e["name"]: e for e in entries}

    def find(self, path):
        first, *steps = path.split("/")
        at = self.by_name.get(first)
        for step in steps:
            at = at and self.step(at, step)
        return at

    def type(self, name):
        at = self.by_name[name]
        return self.by_name[at["element-type"]] if at["meta-type"] == "array" else at

    def step(self, at, step):
        if step in ("arg-type", "ret-type"):
            return self.type(at[step])
        if step[0] == "$":
            return step[1:] in at.get("features", []) or None
        if step[0] == "^":
            return step[1:] in at.get("values", []) or None
        if step[0] == "+":
            types = [v["type"] for v in at.get("variants", []) if v["case"] == step[1:]]
        else:
            types = [m["type"] for m in at.get("members", []) if m.get("name") == step]
        return self.type(types[0]) if types else None


def test_schema(probe):
    entries = probe.ok("query-qmp-schema")
    schema = Schema(entries)
    for e in entries:  # whatever is named is there
        names = [e.get(k) for k in ("arg-type", "ret-type", "element-type")] + [m.get("type") for m in e.get("members", [])]
        names += [v["type"] for v in e.get("variants", [])]
        assert all(n in schema.by_name for n in names if n), e
        assert e["meta-type"] != "enum" or e["values"] or not e["members"]
    for path in ("device_add/$json-cli-hotplug", "screendump/arg-type/device", "screendump/arg-type/format/^png",
                 "query-hotpluggable-cpus/ret-type/props/die-id", "query-migrate/ret-type/blocked-reasons",
                 "chardev-add/arg-type/backend/+socket/data/reconnect", "device_add/arg-type/driver/^VGA",
                 "device_add/arg-type/+isa-serial/chardev", "device_add/arg-type/+VGA/vgamem_mb", "object-add/arg-type/qom-type"):
        assert schema.find(path), path
    for path in ("device_add/arg-type/driver/^device", "device_add/arg-type/+isa-serial/id", "device_add/arg-type/+nosuch"):
        assert not schema.find(path), path
