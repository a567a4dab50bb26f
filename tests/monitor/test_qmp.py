"""The QMP server: sessions, replies, errors, events. What is expected was seen from version 10.0.2."""
import array
import json
import os
import random
import socket

import pytest
from emulator import Emulator, Qmp, connect

GENERIC, NOT_FOUND = "GenericError", "CommandNotFound"


def test_greeting_and_negotiation():
    with Emulator(negotiate=False) as e:
        assert e.qmp.greeting["version"]["qemu"] == {"major": 10, "minor": 0, "micro": 2}
        assert e.qmp.greeting["capabilities"] == ["oob"]
        assert e.qmp.error("query-status") == (NOT_FOUND, "Expecting capabilities negotiation with 'qmp_capabilities'")
        assert e.qmp.error("nonsense")[0] == NOT_FOUND
        assert e.qmp.error("qmp_capabilities", enable=["bus"])[0] == GENERIC
        assert e.qmp.ok("qmp_capabilities") == {}
        assert e.qmp.error("qmp_capabilities") == (NOT_FOUND, "Capabilities negotiation is already complete, command ignored")
        assert e.qmp.ok("query-status") == {"status": "running", "running": True}


def test_bytes_of_a_session():
    """The text itself, as clients that do not parse JSON compare it."""
    with Emulator() as e:
        e.io.send(b'{"execute":"query-status","id":{"a":[1,null,"x"]}}')
        assert e.io.line() == b'{"return": {"status": "running", "running": true}, "id": {"a": [1, null, "x"]}}\r\n'
        e.io.send(b"xx\n")
        assert e.io.line() == b'{"error": {"class": "GenericError", "desc": "JSON parse error, invalid keyword \'xx\'"}}\r\n'
        e.io.send(b"{'execute':'stop'}")
        assert b'"event": "STOP"' in e.io.line()
        assert e.io.line() == b'{"return": {}}\r\n'


@pytest.mark.parametrize("text, desc", [
    ("[]", "QMP input must be a JSON object"),
    ("{}", "QMP input lacks member 'execute'"),
    ('{"execute":3}', "QMP input member 'execute' must be a string"),
    ('{"execute":"stop","control":1}', "QMP input member 'control' is unexpected"),
    ('{"execute":"stop","arguments":[]}', "QMP input member 'arguments' must be an object"),
    ('{"execute":"stop","arguments":{"a":1}}', "Parameter 'a' is unexpected"),
    ('{"execute":"stop",}', "JSON parse error, expecting value. There is a comma too many before '}'"),
    ('{"execute":"qom-list"}', "Parameter 'path' is missing"),
    ('{"execute":"qom-list","arguments":{"path":1}}', "Invalid parameter type for 'path', expected: string"),
    ('{"exec-oob":"stop"}', "QMP input member 'exec-oob' is unexpected"),
])
def test_wrong_requests(text, desc):
    with Emulator() as e:
        assert e.qmp.raw(text) == {"error": {"class": GENERIC, "desc": desc}}
        assert e.qmp.ok("query-name") == {}


def test_many_requests_on_a_line_and_cut_anywhere():
    with Emulator() as e:
        e.io.send("".join(json.dumps({"execute": "query-status", "id": i}) for i in range(500)))
        assert [e.qmp.receive()["id"] for _ in range(500)] == list(range(500))
        for c in '{"execute": "query-status", "id": "x"} ':
            e.io.send(c)
        assert e.qmp.receive()["id"] == "x"


def test_end_of_input_does_not_drop_requests():
    """As libguestfs does: three commands on one line, then the end."""
    with Emulator(negotiate=False) as e:
        e.io.send('{ "execute": "qmp_capabilities" } { "execute": "query-qmp-schema" } { "execute": "quit" }\n')
        e.p.stdin.close()
        assert json.loads(e.io.line()) == {"return": {}}
        assert len(json.loads(e.io.line())["return"]) > 50
        assert e.end() == 0


def test_run_state_and_events():
    with Emulator("-S") as e:
        q = e.qmp
        assert q.ok("query-status") == {"status": "prelaunch", "running": False}
        q.ok("stop")
        assert q.ok("query-status")["status"] == "prelaunch" and not q.events
        q.ok("cont")
        q.ok("stop")
        assert [x["event"] for x in q.events] == ["RESUME", "STOP"]
        assert q.ok("query-status") == {"status": "paused", "running": False}
        q.events.clear()
        q.ok("system_reset")
        assert q.events[0]["event"] == "RESET" and q.events[0]["data"] == {"guest": False, "reason": "host-qmp-system-reset"}
        q.ok("system_powerdown")
        assert q.event("POWERDOWN")["timestamp"]["seconds"] > 1700000000
        q.ok("quit")
        assert q.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}
        assert e.end() == 0


def test_out_of_band():
    with Emulator(oob=True) as e:
        assert e.qmp.raw('{"exec-oob":"query-name","id":1}') == {"return": {}, "id": 1}
        assert e.qmp.raw('{"exec-oob":"query-status","id":2}')["error"]["desc"] == "The command query-status does not support OOB"
        e.io.send("".join('{"execute":"query-qmp-schema","id":%d}' % i for i in range(3)) + '{"exec-oob":"query-name","id":"now"}')
        assert e.qmp.receive()["id"] == "now"


def test_several_clients_and_a_session_that_ends(tmp_path):
    with Emulator("-qmp", f"unix:{tmp_path}/q,server=on,wait=off") as e:
        a = connect(tmp_path / "q")
        q = Qmp(a)
        e.qmp.ok("stop")
        assert q.event("STOP") and e.qmp.event("STOP")
        q.ok("cont")
        assert e.qmp.event("RESUME")
        a.socket.close()
        b = Qmp(connect(tmp_path / "q"), negotiate=False)  # a new session, from the start
        assert b.error("query-status")[0] == NOT_FOUND
        b.ok("qmp_capabilities")
        assert b.ok("query-status")["running"]


def test_a_client_that_does_not_read(tmp_path):
    """Others are served, and the emulator's memory stays small."""
    with Emulator("-qmp", f"unix:{tmp_path}/q,server=on,wait=off") as e:
        s = connect(tmp_path / "q")
        Qmp(s)
        s.socket.setblocking(False)
        try:
            for _ in range(20000):
                s.socket.send(b'{"execute":"query-qmp-schema"}' * 10)
        except BlockingIOError:
            pass
        assert e.qmp.ok("query-status")["running"]
        pages = int(open(f"/proc/{e.p.pid}/statm").read().split()[1])
        assert pages * 4096 < 128 << 20 or "asan" in os.environ.get("QEMU", "")


def test_getfd(tmp_path):
    with Emulator("-qmp", f"unix:{tmp_path}/q,server=on,wait=off") as e:
        s = connect(tmp_path / "q")
        q = Qmp(s)
        assert q.error("getfd", fdname="f")[1] == "No file descriptor supplied via SCM_RIGHTS"
        r, w = os.pipe()
        s.socket.sendmsg([b'{"execute":"getfd","arguments":{"fdname":"f"}}'],
                         [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [w]))])
        assert q.receive() == {"return": {}}
        os.close(w)
        q.ok("closefd", fdname="f")
        assert os.read(r, 1) == b""  # nobody else has it
        assert q.error("closefd", fdname="f")[1] == "File descriptor named 'f' not found"
        os.close(r)
        assert e.qmp.ok("query-status")


def test_pretty():
    with Emulator("-qmp-pretty", "stdio", qmp=False) as e:
        e.io.until("}\r\n}")
        e.io.send('{"execute":"qmp_capabilities"}')
        assert e.io.until("}\r\n}").strip() == b'{\r\n    "return": {\r\n    }\r\n}'


def test_every_example():
    """Each command's own example gives a reply that is no error. -introspect tells them."""
    with Emulator("-S") as e:
        from emulator import run
        document = json.loads(run("-introspect")[1])
        examples = [json.loads(c["example"]) if isinstance(c["example"], str) else c["example"] for c in document["commands"] if c.get("example")]
        assert len(examples) > 15
        for x in examples:
            reply = e.qmp.raw(json.dumps(x))
            assert "return" in reply, (x, reply)


def test_schema_and_commands_agree():
    with Emulator() as e:
        names = {c["name"] for c in e.qmp.ok("query-commands")}
        schema = e.qmp.ok("query-qmp-schema")
    assert names == {x["name"] for x in schema if x["meta-type"] == "command"}
    assert {"qmp_capabilities", "query-status", "human-monitor-command"} <= names
    by_name = {x["name"]: x for x in schema}
    args = by_name[by_name["screendump"]["arg-type"]]
    assert {m["name"]: "default" in m for m in args["members"]} == {"filename": False, "device": True, "head": True, "format": True}
    by_name = {x["name"]: x for x in schema}
    args = by_name[by_name["screendump"]["arg-type"]]
    assert {m["name"]: "default" in m for m in args["members"]} == {"filename": False, "device": True, "head": True, "format": True}


def test_qom():
    with Emulator() as e:
        q = e.qmp
        assert {"name": "machine", "type": "child<none-machine>"} in q.ok("qom-list", path="/")
        assert q.ok("qom-get", path="/chardevs/compat_monitor0", property="signal") is True
        assert q.error("qom-get", path="/nowhere", property="x") == ("DeviceNotFound", "Device '/nowhere' not found")
        assert q.error("qom-set", path="/machine", property="kernel", value="x")[0] == GENERIC
        types = {t["name"] for t in q.ok("qom-list-types")}
        assert "none-machine" in types and "chardev-socket" in types
        assert q.error("device-list-properties", typename="no-such")[0] == "DeviceNotFound"
        assert "graphics" in {p["name"] for p in q.ok("qom-list-properties", typename="none-machine")}


def test_names():
    uuid = "2d45ed4a-0d5c-4b5e-9b2f-1b8e9e1f2a3b"
    with Emulator("-name", "guest=a name,debug-threads=on", "-uuid", uuid.upper()) as e:
        assert e.qmp.ok("query-name") == {"name": "a name"}
        assert e.qmp.ok("query-uuid") == {"UUID": uuid}
        assert e.qmp.hmp("info name") == "a name\r\n"


def test_random_bytes():
    """Whatever comes, the server answers what comes after it."""
    rng = random.Random(1)
    good = [b'{"execute":"query-status","id":%d}' % i for i in range(3)] + [b"{'execute':'qom-list','arguments':{'path':'/'}}"]
    with Emulator() as e:
        for n in range(300):
            text = bytearray(b" ".join(rng.choices(good, k=rng.randint(1, 3))))
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(text))
                text[at:at + rng.randint(0, 2)] = bytes(rng.choices(b'{}[]",:\\\'\x00\xff\xc3e1-.\n tfn', k=rng.randint(0, 3)))
            # Out of whatever state that has left: strings and brackets closed, and a lexical error for good measure.
            e.io.send(bytes(text) + b"\n'\"\n\xff}]}]}]}]\n")
            e.io.send(b'\xff\n{"execute":"query-name","id":"end%d"}\n' % n)
            while True:
                line = json.loads(e.io.line())
                if line.get("id") == f"end{n}":
                    break


def test_hints_are_in_the_description():
    with Emulator() as e:
        assert e.qmp.error("sstop") == ("CommandNotFound", "The command sstop has not been found. Did you mean 'stop'?")
        assert e.qmp.error("screendump", filename="x", hed=0)[1] == "Parameter 'hed' is unexpected. Did you mean 'head'?"


def test_compat():
    """-compat: unstable commands, arguments and answers, by x-query-irq and compat-props of query-machines."""
    with Emulator("-S", "-compat", "unstable-input=reject", machine=("-M", "pc")) as e:
        assert e.qmp.error("x-query-irq") == ("GenericError", "Unstable command 'x-query-irq' disabled by policy")
        assert e.qmp.error("query-machines", compat_props=True)[1] == "Unstable parameter 'compat-props' disabled by policy"
        e.qmp.ok("query-machines")
        assert "IRQ statistics" in e.qmp.hmp("info irq")
    with Emulator("-S", "-compat", "unstable-output=hide", machine=("-M", "pc")) as e:
        e.qmp.ok("x-query-irq")
        assert all("compat-props" not in m and m["name"] for m in e.qmp.ok("query-machines", compat_props=True))
    with Emulator("-S", "-compat", "unstable-input=crash", machine=("-M", "pc")) as e:
        e.io.send('{"execute":"x-query-irq"}')
        assert e.end() == -6
