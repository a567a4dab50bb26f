"""The generator: bad schemas give exactly these errors; the examples are accepted; output does not change by itself."""
import contextlib
import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
GEN = HERE.parent / "gen.py"
sys.path.insert(0, str(HERE.parent))
import classes                  # noqa: E402
import gen as generator         # noqa: E402
from errors import SchemaError  # noqa: E402
from load import Loader         # noqa: E402

EXAMPLES = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests/schema").glob("*.json"))


def gen(*args):
    """Status and standard error of a run, in this process."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        status = generator.main(list(args))
    return status, err.getvalue()


def check(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    return gen("--root", str(tmp_path), "--check", "x.json")


def item(body, doc="# @a: an a"):
    return f"##\n# @T: a thing.\n{doc}\n##\n{{ {body} }}\n"


def struct(member, doc="# @a: an a"):
    return item(f"'struct': 'T', 'stability': 'stable', 'data': {{ {member} }}", doc)


ROOT_CLASS = "##\n# @o: root\n##\n{ 'class': 'o', 'kind': 'object', 'stability': 'stable', 'abstract': true }\n"


def klass(body, doc="# @a: an a"):
    return ROOT_CLASS + f"##\n# @t: a class\n{doc}\n##\n{{ 'class': 't', 'parent': 'o', 'stability': 'stable', {body} }}\n"


def command(body):
    return f"##\n# @c: does it\n# @a: an a\n##\n{{ 'command': 'c', 'stability': 'stable', {body} }}\n"


# name -> (schema, the whole error)
BAD = {line[0]: line[1:] for line in [
    # the text
    ("not-a-dict", "[]", "x.json:1: expected '{', not ["),
    ("stray", "{ 'struct': T }", "x.json:1: expected a string, number, true, false, null, '[' or '{', not T"),
    ("stray-sign", "{ 'struct': $ }", "x.json:1: stray '$'; strings are quoted 'like this'"),
    ("open-string", "{ 'struct: 1 }", "x.json:1: stray \"'\"; strings are quoted 'like this'"),
    ("no-comma", "{ 'struct': 'T' 'data': {} }", "x.json:1: expected '}', not 'data'"),
    ("end", "{ 'struct': 'T',\n", "x.json:2: expected a key in quotes or '}', not end of file"),
    ("twice-key", "{ 'struct': 'T',\n 'struct': 'U' }", "x.json:2: key 'struct' is given twice"),
    ("deep", "{ 'struct': " + "[" * 40 + "]" * 40 + "}", "x.json:1: nested deeper than 32"),
    ("kind", "{ 'strcut': 'T' }", "x.json:1: unknown kind of item 'strcut'; did you mean 'struct'?"),
    ("open-doc", "##\n# @T: x\n{ 'struct': 'T' }", "x.json:1: doc comment is not closed by a line '##'"),
    ("lone-doc", "##\n# @T: x\n##\n", "x.json:1: no item follows the doc comment of 'T'"),
    ("two-docs", "##\n# @T: x\n##\n\n##\n# @U: x\n##\n{ 'struct': 'U' }",
     "x.json:5: doc comment of 'U' follows another one; each belongs to the item after it"),
    ("doc-begin", "##\n# A thing\n##\n{}", "x.json:2: doc comment begins with '# @NAME: what it is'"),
    ("since", "##\n# @T: x\n# Since: new\n##\n{}", "x.json:3: 'Since:' wants a version such as 10.0"),
    ("rest-tag", "##\n# @T: x\n# @a: y\n##\n{ 'struct': 'T', 'stability': 'stable', 'data': { 'a': 'str' },\n"
     " 'rest': { 'class-named-by': 'b', 'kind': 'device' } }", "x.json:6: T: rest: 'class-named-by' must be a str member; known: 'a'"),
    ("rest-kind", "##\n# @T: x\n# @a: y\n##\n{ 'struct': 'T', 'stability': 'stable', 'data': { 'a': 'str' },\n"
     " 'rest': { 'class-named-by': 'a', 'kind': 'devise' } }",
     "x.json:6: T: rest: 'kind' is one of object, device, machine, accel, cpu, chardev; did you mean 'device'?"),
    # names, docs, stability
    ("no-doc", "{ 'struct': 'T', 'stability': 'stable', 'data': {} }", "x.json:1: T: no doc; put a comment '## # @T: what it is ##' above it"),
    ("wrong-doc", "##\n# @U: x\n##\n{ 'struct': 'T', 'stability': 'stable', 'data': {} }", "x.json:1: doc comment of 'U' stands above 'T'"),
    ("no-member-doc", struct("'b': 'str'", ""), "x.json:5: T.b: no doc; add a line '# @b: what it is' to the comment above T"),
    ("doc-of-nothing", struct("'abc': { 'type': 'str', 'doc': 'x' }", "# @abd: x"), "x.json:3: T: '@abd:' describes no member; did you mean 'abc'?"),
    ("doc-twice", struct("'a': 'str'", "# @a: x\n# @a: y"), "x.json:4: '@a:' is described twice"),
    ("no-stability", item("'struct': 'T', 'data': { 'a': 'str' }"), "x.json:5: T: no 'stability'; say one of 'stable', 'unstable', 'deprecated'"),
    ("stability", item("'struct': 'T', 'stability': 'stabel', 'data': {}"), "x.json:5: T: unknown stability 'stabel'; did you mean 'stable'?"),
    ("no-instead", struct("'a': { 'type': 'str', 'stability': 'deprecated' }"), "x.json:5: T.a: is deprecated but has no 'instead' that says what to use"),
    ("instead", struct("'a': { 'type': 'str', 'instead': 'b' }"), "x.json:5: T.a: has 'instead' but is not deprecated"),
    ("feature-doc", item("'struct': 'T', 'stability': 'stable', 'features': [ 'f' ], 'data': { 'a': 'str' }"),
     "x.json:5: T: no doc for feature 'f'; add '# @f: what it means' to its comment"),
    ("type-name", "##\n# @t: x\n##\n{ 'struct': 't' }", "x.json:4: 't' is no name for a struct; it is written in CamelCase, as 'RunState'"),
    ("declared-twice", struct("'a': 'str'") * 2, "x.json:10: type 'T' is declared twice; first at x.json:5"),
    ("unknown-key", item("'struct': 'T', 'stability': 'stable', 'dat': {}"), "x.json:5: T: unknown key 'dat'; did you mean 'data'?"),
    ("key-type", item("'struct': 'T', 'stability': 'stable', 'data': 1"), "x.json:5: T: 'data' must be a dict"),
    # members
    ("type", struct("'a': 'uint33'"), "x.json:5: T.a: unknown type 'uint33'; did you mean 'uint32'?"),
    ("no-type", struct("'a': { 'max': 3 }"), "x.json:5: T.a: no 'type'"),
    ("list", struct("'a': [ 'str', 'int' ]"), "x.json:5: T.a: a list type is written ['TYPE']"),
    ("state-only", struct("'a': 'uint8[4]'"), "x.json:5: T.a: type 'uint8[4]' is for state only"),
    ("default-star", struct("'a': { 'type': 'int', 'default': 0 }"), "x.json:5: T.a: has 'default', so it is optional; write '*a'"),
    ("default-null", struct("'*a': { 'type': 'int', 'default': null }"), "x.json:5: T.a: null is no default; 'absent': 'TEXT' says what happens without it"),
    ("default-type", struct("'*a': { 'type': 'bool', 'default': 1 }"), "x.json:5: T.a: default: 1 is not true or false"),
    ("default-range", struct("'*a': { 'type': 'uint8', 'default': 9, 'max': 8 }"), "x.json:5: T.a: default: 9 is not an integer in 0..8"),
    ("default-struct", struct("'*a': { 'type': 'T', 'default': {} }"), "x.json:5: T.a: type 'T' has no default; use 'absent'"),
    ("limit", struct("'a': { 'type': 'uint8', 'max': 256 }"), "x.json:5: T.a: 'max': 256 is not an integer in 0..255"),
    ("limits", struct("'a': { 'type': 'uint8', 'min': 9, 'max': 8 }"), "x.json:5: T.a: min 9 is above max 8"),
    ("limit-str", struct("'a': { 'type': 'str', 'max': 8 }"), "x.json:5: T.a: 'max' is for integers and numbers, not str"),
    ("c-name", struct("'a-b': 'str', 'a_b': 'str'", "# @a-b: x\n# @a_b: x"), "x.json:6: T.a_b: and member 'a-b' are both a_b in C"),
    ("own-base", item("'struct': 'T', 'base': 'T', 'stability': 'stable', 'data': {}", ""), "x.json:5: T: is its own base"),
    ("endless-state", item("'state-struct': 'T', 'stability': 'stable', 'data': { 'a': 'T[2]' }"), "x.json:5: T: contains itself"),
    ("reserved", "##\n# @QType: x\n##\n{ 'struct': 'QType', 'stability': 'stable', 'data': {} }",
     "x.json:4: struct 'QType' and a type of qapi/ (qapi/tables.h:1) are both QType in C"),
    ("list-name", struct("'a': 'str'") + "##\n# @TList: x\n##\n{ 'struct': 'TList', 'stability': 'stable', 'data': {} }",
     "x.json:9: struct 'TList' and list of struct 'T' (x.json:5) are both TList in C"),
    ("made", command("'data': { 'a': 'int' }, 'no-example': 'x'") +
     "##\n# @d: x\n##\n{ 'command': 'd', 'stability': 'stable', 'data': 'CArgs', 'no-example': 'x' }",
     "x.json:9: d: data: 'CArgs' is made for command 'c'; declare a struct to use it elsewhere"),
    ("enum-twice", item("'enum': 'T', 'stability': 'stable', 'data': [ 'a', 'a' ]"), "x.json:5: T: value 'a' is given twice"),
    ("tag", item("'union': 'T', 'stability': 'stable', 'base': { 'a': 'str' }, 'discriminator': 'b', 'data': {}"),
     "x.json:5: T: discriminator 'b' is no member; known: 'a'"),
    ("alternate", item("'alternate': 'T', 'stability': 'stable', 'data': { 'a': 'int', 'b': 'number' }", "# @a: x\n# @b: x"),
     "x.json:6: T.b: a JSON number is already branch 'a'"),
    # expressions
    ("expr-name", struct("'*a': { 'type': 'int', 'default': { 'expr': 'b + 1' } }"), "x.json:5: T.a: expression 'b + 1': unknown name 'b'"),
    ("expr-self", struct("'*a': { 'type': 'int', 'default': { 'expr': 'a' } }"),
     "x.json:5: T.a: expression 'a': 'a' stands after it; a default may use members before its own only"),
    ("expr-syntax", struct("'*a': { 'type': 'int', 'default': { 'expr': '1 +' } }"), "x.json:5: T.a: expression '1 +': expected a value, not its end"),
    ("expr-deep", struct("'*a': { 'type': 'int', 'default': { 'expr': '" + "(" * 26 + "1" + ")" * 26 + "' } }"),
     "x.json:5: T.a: expression '" + "(" * 26 + "1" + ")" * 26 + "': nested too deep"),
    ("expr-long", struct("'*a': { 'type': 'int', 'default': { 'expr': '" + "1+" * 200 + "1' } }"),
     "x.json:5: T.a: expression '" + "1+" * 200 + "1': longer than 400 tokens"),
    ("expr-index", struct("'a': 'uint8', '*b': { 'type': 'int', 'default': { 'expr': '[1, 2][a]' } }", "# @a: x\n# @b: x"),
     "x.json:6: T.b: expression '[1, 2][a]': the list has 2 items but its index may be 0..255; give the member a 'max', or use '%'"),
    ("expr-str", struct("'a': 'str', '*b': { 'type': 'int', 'default': { 'expr': 'a' } }", "# @a: x\n# @b: x"),
     "x.json:6: T.b: expression 'a': 'a' is of type str; only integers, bools, enums and timers can be used"),
    # classes
    ("no-absent", klass("'config': { '*a': 'str' }"),
     "x.json:9: t.config.a: is optional; give it one of 'default', 'absent' (which says what happens without it) or 'alias'"),
    ("parent", "##\n# @t: x\n##\n{ 'class': 't', 'parent': 'p', 'stability': 'stable' }", "x.json:4: t: unknown parent class 'p'; known: 't'"),
    ("own-parent", "##\n# @t: x\n##\n{ 'class': 't', 'parent': 't', 'stability': 'stable' }", "x.json:4: t: is its own parent"),
    ("no-kind", "##\n# @t: x\n##\n{ 'class': 't', 'stability': 'stable' }", "x.json:4: t: a class without parent says its 'kind'"),
    ("category", klass("'kind': 'device', 'user-creatable': true", "#"), "x.json:9: t: no 'category', under which -device help lists it"),
    ("no-reset", klass("'state-version': 1, 'state': { 'a': 'uint8' }"),
     "x.json:9: t.state.a: no 'reset'; say a value, 'keep', 'cold-only' or { 'conf': 'MEMBER' }"),
    ("reset-range", klass("'state-version': 1, 'state': { 'a': { 'type': 'uint8', 'max': 3, 'reset': 4 } }"),
     "x.json:9: t.state.a: reset: 4 is not an integer in 0..3"),
    ("reset-conf", klass("'state-version': 1, 'state': { 'a': { 'type': 'uint8', 'reset': { 'conf': 'b' } } }"),
     "x.json:9: t.state.a: reset from conf 'b': no such config member"),
    ("state-str", klass("'state-version': 1, 'state': { 'a': { 'type': 'str', 'reset': 'keep' } }"),
     "x.json:9: t.state.a: type 'str' cannot be state; state is integers, bools, numbers, enums, arrays, buffers, timers, RAM blocks and state-structs"),
    ("state-version", klass("'state': { 'a': { 'type': 'uint8', 'reset': 0 } }"), "x.json:9: t: 'state' and 'state-version' (1 or more) go together"),
    ("since-version", klass("'state-version': 1, 'state': { 'a': { 'type': 'uint8', 'reset': 0, 'since-version': 2 } }"),
     "x.json:9: t.state.a: 'since-version' 2 is not in 1..1"),
    ("clock", klass("'state-version': 1, 'state': { 'a': { 'type': 'timer<vritual>', 'reset': 'unarmed' } }"),
     "x.json:9: t.state.a: unknown clock 'vritual'; did you mean 'virtual'?"),
    ("ref", klass("'config': { 'a': 'ref<p>' }"), "x.json:9: TConf.a: unknown class in 'ref<p>'; known: 'o', 't'"),
    ("bus", klass("'bus': 'b'", "#"), "x.json:9: t: unknown bus 'b'; known: 'o', 't'"),
    ("defaults", klass("'defaults': { 'b': 1 }", "#"), "x.json:9: t: defaults: 'b': no such property"),
    ("compat", klass("'kind': 'machine', 'compat': [ [ 't', 'b', 1 ] ]", "#"), "x.json:9: t: compat t.b: no such property"),
    ("compat-value", klass("'kind': 'machine', 'config': { 'a': 'bool' }, 'compat': [ [ 't', 'a', 'on' ] ]"), "x.json:9: t: compat t.a: 'on' is not true or false"),
    ("compat-row", klass("'kind': 'machine', 'compat': [ [ 't' ] ]", "#"), "x.json:9: t: a compat value is ['CLASS', 'PROPERTY', VALUE] or the name of a set"),
    ("ops", klass("'ops': 'inherit'", "#"), "x.json:9: t: 'ops': 'inherit', but no ancestor has ops"),
    ("ops-name", ROOT_CLASS + "##\n# @3c: x\n##\n{ 'class': '3c', 'parent': 'o', 'stability': 'stable' }",
     "x.json:8: 3c: 3c_ops is no C name; say one with 'c-name': 'CamelCase'"),
    ("interface", ROOT_CLASS + "##\n# @t: x\n##\n{ 'class': 't', 'parent': 'o', 'stability': 'stable', 'interfaces': [ 'o' ] }",
     "x.json:8: t: 'o' is a class, not an interface"),
    ("redeclared", klass("'config': { 'a': 'int' }") +
     "##\n# @u: x\n# @a: x\n##\n{ 'class': 'u', 'parent': 't', 'stability': 'stable', 'config': { 'a': 'int' } }",
     "x.json:14: u.a: is inherited from t"),
    # commands
    ("no-example", command("'data': { 'a': 'int' }"), "x.json:5: c: give 'example': { 'execute': 'c' } that the tests run, or 'no-example': 'REASON'"),
    ("example", command("'data': { 'a': 'int' }, 'example': { 'execute': 'c' }"), "x.json:5: c: example: argument 'a' is missing"),
    ("example-type", command("'data': { 'a': 'int' }, 'example': { 'execute': 'c', 'arguments': { 'a': 'x' } }"),
     "x.json:5: c: example: a: 'x' is not an integer in -9223372036854775808..9223372036854775807"),
    ("phase", command("'data': { 'a': 'int' }, 'phases': [ 'runing' ]"), "x.json:5: c: unknown phase 'runing'; did you mean 'running'?"),
    ("hmp-args", command("'data': { 'a': 'int' }, 'hmp': { 'name': 'c', 'args': 'b:i' }, 'no-example': 'x'"), "x.json:5: c: hmp: 'b' is no argument; known: 'a'"),
    ("include", "{ 'include': 'y.json' }", "x.json:1: cannot read 'y.json': No such file or directory"),
    ("self-include", "{ 'include': 'x.json' }", "x.json:1: files include each other: x.json -> x.json"),
]}


@pytest.mark.parametrize("name", BAD)
def test_bad(tmp_path, name):
    text, error = BAD[name]
    assert check(tmp_path, text) == (1, error + "\n")


def test_not_included(tmp_path):
    (tmp_path / "y.json").write_text(struct("'a': 'str'"))
    text = "##\n# @U: x\n# @t: x\n##\n{ 'struct': 'U', 'stability': 'stable', 'data': { 't': 'T' } }"
    (tmp_path / "x.json").write_text(text)
    assert gen("--root", str(tmp_path), "--check", "y.json", "x.json")[1] == "x.json:5: U.t: 'T' is declared in y.json, which is not included; add { 'include': 'y.json' }\n"


def test_examples_accepted():
    r = subprocess.run([sys.executable, "-B", GEN, "--check", *EXAMPLES], capture_output=True, text=True, timeout=60, check=False)
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")


def test_golden(tmp_path):
    """What is made of one example, to be read as a diff; update with `gen.py --out DIR tests/schema/serial.json`."""
    assert gen("--out", str(tmp_path), "tests/schema/serial.json") == (0, "")
    for suffix in ("gen.h", "gen.c", "items.gen.c"):
        made = (tmp_path / f"tests/schema/serial.{suffix}").read_text()
        assert made == (HERE / f"golden/serial.{suffix}.txt").read_text()


def test_unchanged_is_not_written(tmp_path):
    args = ("--out", str(tmp_path), "tests/schema/serial.json")
    assert gen(*args) == (0, "")
    path = tmp_path / "tests/schema/serial.gen.h"
    before = path.stat().st_mtime_ns
    assert gen(*args) == (0, "")
    assert path.stat().st_mtime_ns == before


def test_mutilated_schemas_never_crash(tmp_path):
    """Whatever is missing or doubled, the answer is one line of error or none, never a traceback."""
    rng = random.Random(1)
    odd = ["'", '"', "{", "}", "[", "]", ":", ",", "#", "##", "\n", "@", "*", "<", ">", "?", "-1", "0x", "1e5", "null", "true", "\\"]
    texts = [(ROOT / f).read_text() for f in EXAMPLES if "machine" not in f]
    wrong = 0
    for i in range(600):
        words = list(rng.choice(texts)) if i % 3 == 0 else rng.choice(texts).split(" ")
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(words))
            words[at:at + rng.randint(0, 2)] = rng.choices(words if i % 2 else odd, k=rng.randint(0, 2))
        (tmp_path / "x.json").write_text(("" if i % 3 == 0 else " ").join(words).replace("tests/schema/base.json", "base.json"))
        (tmp_path / "base.json").write_text((ROOT / "tests/schema/base.json").read_text())
        try:
            classes.check_program(Loader(tmp_path).load(["x.json"]))
        except SchemaError as e:
            wrong += 1
            assert str(e).startswith(("x.json:", "base.json:"))
    assert wrong > 100
