"""Models of processors over QMP, also before there is a machine."""
import pytest
from emulator import Emulator


@pytest.fixture(scope="module", params=[("-M", "none"), ("-M", "none", "-preconfig")])
def qmp(request):
    with Emulator(machine=request.param) as e:
        yield e.qmp


def expand(qmp, kind, name, **props):
    model = {"name": name, **({"props": props} if props else {})}
    return qmp.ok("query-cpu-model-expansion", type=kind, model=model)["model"]


def test_definitions(qmp):
    models = {m["name"]: m for m in qmp.ok("query-cpu-definitions")}
    assert models["max"]["unavailable-features"] == [] and not models["max"]["migration-safe"]
    assert models["base"]["static"] and models["host"]["unavailable-features"] == ["kvm"]
    assert models["qemu64"]["alias-of"] == "qemu64-v1" and models["qemu64"]["typename"] == "qemu64-x86_64-cpu"
    assert models["Broadwell-IBRS"]["alias-of"] == "Broadwell-v3"
    assert "rtm" in models["Broadwell"]["unavailable-features"]
    assert "avx512f" in models["Skylake-Server"]["unavailable-features"]
    types = {t["name"] for t in qmp.ok("qom-list-types", implements="x86_64-cpu")}
    assert types == {m["typename"] for m in models.values()}


def test_expansion(qmp):
    best = expand(qmp, "static", "max")
    assert best["name"] == "base"
    assert best["props"]["sse4.2"] is True and best["props"]["avx512f"] is False and best["props"]["pni"] is True
    assert expand(qmp, "static", "host", migratable=False) == best
    full = expand(qmp, "full", "host", **{"migratable": False, "hv-passthrough": True})
    assert full["name"] == "host" and full["props"]["sse4.2"] is True and full["props"]["migratable"] is False
    assert expand(qmp, "static", "qemu64", aes=True)["props"]["aes"] is True
    assert expand(qmp, "static", "base")["props"]["sse2"] is False
    assert qmp.error("query-cpu-model-expansion", type="static", model={"name": "foo"}) == \
        ("GenericError", "CPU model 'foo' not found")
    assert qmp.error("query-cpu-model-expansion", type="static", model={"name": "qemu64", "props": {"foo": True}}) == \
        ("GenericError", "Property 'qemu64-x86_64-cpu.foo' not found")
    assert qmp.error("query-cpu-model-expansion", type="full", model={"name": "qemu64", "props": []})[0] == "GenericError"


def test_what_is_expanded_is_what_runs():
    """-cpu of the expansion shows what the model shows."""
    with Emulator("-S", "-cpu", "qemu64,-sse3", machine=("-M", "pc")) as e:
        path = e.qmp.ok("query-cpus-fast")[0]["qom-path"]
        props = expand(e.qmp, "static", "qemu64")["props"]
        assert {f for f in e.qmp.ok("qom-get", path=path, property="unavailable-features") if props[f]} == set()


@pytest.mark.parametrize("smp, places", [
    ("2,sockets=1,cores=2", [(0, None, 0, 0), (0, None, 1, 0)]),
    ("4,sockets=2,dies=2", [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0)]),
    ("4,sockets=2,threads=2", [(0, None, 0, 0), (0, None, 0, 1), (1, None, 0, 0), (1, None, 0, 1)]),
])
def test_places(smp, places):
    with Emulator("-S", "-smp", smp, machine=("-M", "pc")) as e:
        names = ("socket-id", "die-id", "core-id", "thread-id")
        cpus = e.qmp.ok("query-cpus-fast")
        assert [tuple(c["props"].get(n) for n in names) for c in cpus] == places
        there = e.qmp.ok("query-hotpluggable-cpus")
        assert [c["qom-path"] for c in reversed(there)] == [c["qom-path"] for c in cpus]
        assert [c["props"] for c in reversed(there)] == [c["props"] for c in cpus]
        assert "dumping local APIC state for CPU 1" in e.qmp.hmp("info lapic 1")
        assert "core-id: \"" in e.qmp.hmp("info hotpluggable-cpus")
