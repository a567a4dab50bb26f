#!/usr/bin/python3
"""Makes C structs and const tables from the schema; see docs/schema.md.

usage: gen.py --out DIR [--root DIR] [--depfile FILE] FILE.json...   one module each: X.gen.h, X.gen.c, X.items.gen.c
       gen.py --out DIR [--root DIR] --program NAME FILE.json...     NAME-schema.gen.c in DIR: all lists of a program
       gen.py --out DIR --builtin                                    qapi/builtin.gen.h and .c
       gen.py [--root DIR] --check FILE.json...                      only checks them, as a whole program

FILE is a path from the root (default: the folder above scripts/), or else from the current folder. Outputs of modules lie
below DIR as their sources below the root. A file is written only when it changes.
"""
import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import classes          # noqa: E402
import emit_c           # noqa: E402
import emit_h           # noqa: E402
import emit_items       # noqa: E402
from errors import SchemaError  # noqa: E402
from load import Loader         # noqa: E402


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def depfile(path, outputs, root, modules):
    here = Path(__file__).resolve().parent
    inputs = [root / m for m in modules] + sorted(here.glob("*.py"))
    quoted = [str(p).replace(" ", "\\ ") for p in inputs]
    path.write_text(" ".join(str(o) for o in outputs) + ": " + " ".join(quoted) + "\n", encoding="utf-8")


def modules(args, root, out, files):
    schema = Loader(root).load(files)
    outputs = []
    for f in files:
        stem = str(out / f)[:-len(".json")]
        for suffix, text in ((".gen.h", emit_h.module_header(schema, f)), (".gen.c", emit_c.module_types(schema, f)),
                             (".items.gen.c", emit_items.module_items(schema, f))):
            write(Path(stem + suffix), text)
            outputs.append(stem + suffix)
    return schema, outputs


def main(argv):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=".")
    ap.add_argument("--root", default=Path(__file__).resolve().parent.parent.parent)
    ap.add_argument("--depfile")
    ap.add_argument("--program")
    ap.add_argument("--builtin", action="store_true")
    ap.add_argument("--check", action="store_true")
    ap.add_argument("files", nargs="*")
    args = ap.parse_args(argv)
    root, out = Path(args.root).resolve(), Path(args.out)
    files = []
    for f in args.files:
        path = os.path.normpath(f) if (root / f).exists() and not os.path.isabs(f) else os.path.relpath(Path(f).absolute(), root)
        if not path.endswith(".json") or path.startswith(".."):
            ap.error(f"{f}: a schema is a .json file below {root}")
        files.append(path)
    try:
        if args.builtin:
            header, source = emit_items.builtin()
            write(out / "qapi/builtin.gen.h", header)
            write(out / "qapi/builtin.gen.c", source)
            return 0
        if args.program or args.check:
            schema = Loader(root).load(files)
            classes.check_program(schema)
            outputs = []
            if args.program:
                outputs = [out / f"{args.program}-schema.gen.c"]
                write(outputs[0], emit_items.program(schema, args.program))
        else:
            schema, outputs = modules(args, root, out, files)
        if args.depfile:
            depfile(Path(args.depfile), outputs, root, schema.modules)
    except SchemaError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
