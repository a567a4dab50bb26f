"""Expressions: what the generated C computes is what Python computes, for thousands of random ones."""
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(HERE.parent))
import expr                # noqa: E402
import gen as generator    # noqa: E402

NAMES = ["a", "b", "c", "d"]
OPS = ["||", "&&", "==", "!=", "<", "<=", ">", ">=", "|", "^", "&", "<<", ">>", "+", "-", "*", "/", "%"]
EDGES = [0, 1, 2, 3, 7, 63, 64, 255, 1 << 31, (1 << 32) - 1, (1 << 62) + 5, (1 << 63) - 1]


def wrap(v):
    return (v + (1 << 63)) % (1 << 64) - (1 << 63)


def division(a, b):
    """Quotient towards zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def compute(node, env):
    """The oracle: value of a parsed expression."""
    op = node[0]
    if op == "int":
        return node[1]
    if op == "name":
        return wrap(env[node[1]])
    if op == "?":
        return compute(node[2] if compute(node[1], env) else node[3], env)
    if op == "at":
        return node[1][compute(node[2], env)]
    x = compute(node[1], env)
    if op in ("u!", "u~", "u-"):
        return {"u!": int(not x), "u~": ~x, "u-": wrap(-x)}[op]
    if op in ("||", "&&"):
        return int(bool(x or compute(node[2], env)) if op == "||" else bool(x and compute(node[2], env)))
    y = compute(node[2], env)
    if op in ("/", "%"):
        return 0 if y == 0 else wrap(division(x, y)) if op == "/" else x - y * division(x, y)
    return wrap({"==": lambda: int(x == y), "!=": lambda: int(x != y), "<": lambda: int(x < y), "<=": lambda: int(x <= y),
                 ">": lambda: int(x > y), ">=": lambda: int(x >= y), "|": lambda: x | y, "^": lambda: x ^ y, "&": lambda: x & y,
                 "<<": lambda: x << (y & 63), ">>": lambda: x >> (y & 63), "+": lambda: x + y, "-": lambda: x - y,
                 "*": lambda: x * y}[op]())


def text(rng, depth):
    """A random expression, with and without the parentheses that precedence makes needless."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(NAMES) if rng.random() < 0.6 else str(rng.choice(EDGES))
    kind = rng.random()
    if kind < 0.1:
        return f"({text(rng, depth - 1)} ? {text(rng, depth - 1)} : {text(rng, depth - 1)})"
    if kind < 0.2:
        return f"{rng.choice('!~-')}({text(rng, depth - 1)})"
    if kind < 0.25:
        return f"[5, -6, 0x7, 8][({text(rng, depth - 1)}) & 3]"
    body = f"{text(rng, depth - 1)} {rng.choice(OPS)} {text(rng, depth - 1)}"
    return f"({body})" if rng.random() < 0.5 else body


def schema(exprs):
    members = ["'a': 'int64'", "'b': 'uint64'", "'c': 'int8'", "'d': 'bool'"]
    members += [f"'*e{i}': {{ 'type': 'int64', 'default': {{ 'expr': '{e}' }} }}" for i, e in enumerate(exprs)]
    docs = "".join(f"# @{n}: x\n" for n in NAMES + [f"e{i}" for i in range(len(exprs))])
    return f"##\n# @T: x\n{docs}##\n{{ 'struct': 'T', 'stability': 'stable', 'data': {{ {', '.join(members)} }} }}\n"


MAIN = """
#include "x.gen.h"
#include <stdio.h>
int main(void)
{
    T t = {0};
    int d;
    while (scanf("%ld %lu %hhd %d", &t.a, &t.b, &t.c, &d) == 4) {
        t.d = d;
        for (uint32_t i = 4; i < qtype_T.num_members; i++) {
            qtype_T.members[i].set_default(&t);
            printf("%ld\\n", *(int64_t *)((char *)&t + qtype_T.members[i].offset));
        }
    }
}
"""


def test_against_python(tmp_path):
    rng = random.Random(7)
    exprs = [text(rng, rng.randint(1, 4)) for _ in range(400)]
    (tmp_path / "x.json").write_text(schema(exprs))
    assert generator.main(["--root", str(tmp_path), "--out", str(tmp_path), "x.json"]) == 0
    generator.main(["--out", str(tmp_path), "--builtin"])
    (tmp_path / "main.c").write_text(MAIN)
    cc = shlex.split(os.environ.get("CC", "cc"))
    # Values may overflow on purpose; -fwrapv as the build has it.
    subprocess.run([*cc, "-fwrapv", "-O0", "-w", f"-I{ROOT}", f"-I{tmp_path}", "main.c", "x.gen.c", "qapi/builtin.gen.c",
                    "-o", "x"], cwd=tmp_path, check=True, timeout=60)
    envs = [{"a": wrap(rng.choice(EDGES) * rng.choice((1, -1))), "b": rng.choice(EDGES + [(1 << 64) - 1]), "c": rng.randint(-128, 127),
             "d": rng.randint(0, 1)} for _ in range(20)]
    given = "".join(f"{v['a']} {v['b']} {v['c']} {v['d']}\n" for v in envs)
    out = subprocess.run([tmp_path / "x"], input=given, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    assert len(out) == len(envs) * len(exprs)
    trees = [expr.Parser(e, None, "").whole() for e in exprs]
    for n, env in enumerate(envs):
        for i, tree in enumerate(trees):
            assert int(out[n * len(exprs) + i]) == compute(tree, env), (exprs[i], env)


def test_precedence():
    """Python's own eval is the oracle for how operators bind; its comparisons, chained, are left out."""
    rng = random.Random(3)
    for _ in range(2000):
        words = [str(rng.randint(0, 9))]
        for _ in range(rng.randint(1, 6)):
            words += [rng.choice(["|", "^", "&", "<<", ">>", "+", "-", "*"]), str(rng.randint(0, 9))]
        e = " ".join(words)
        try:
            want = eval(e, {"__builtins__": {}})  # pylint: disable=eval-used
        except (ValueError, OverflowError):
            continue
        if "<<" not in e and ">>" not in e:
            assert compute(expr.Parser(e, None, "").whole(), {}) == want, e
        elif abs(want) < 1 << 40 and all(0 <= s < 64 for s in shifts(expr.Parser(e, None, "").whole())):
            assert compute(expr.Parser(e, None, "").whole(), {}) == want, e


def shifts(node):
    if node[0] == "int":
        return []
    own = [compute(node[2], {})] if node[0] in ("<<", ">>") else []
    return own + shifts(node[1]) + shifts(node[2])
