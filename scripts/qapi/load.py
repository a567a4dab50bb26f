"""Loads schema files with what they include and makes the Schema."""
import re
from pathlib import Path

import classes
import entities
import model
from cnames import camel, tail
from errors import Loc, SchemaError, suggest
from parse import parse

ENTITIES = {
    "include": None, "enum": None, "struct": None, "state-struct": None, "union": None, "alternate": None,
    "command": None, "event": None, "option": None, "hmp": None, "class": None, "interface": None, "compat": None,
}
TYPE_KINDS = ("enum", "struct", "state-struct", "union", "alternate")
NAMES = {
    "type": (r"[A-Z][A-Za-z0-9]*$", "CamelCase, as 'RunState'"),
    "command": (r"[a-z][a-z0-9_-]*$", "lower case with dashes, as 'query-status'"),
    "event": (r"[A-Z][A-Z0-9_]*$", "upper case, as 'BLOCK_JOB_READY'"),
    "option": (r"[A-Za-z0-9][A-Za-z0-9_-]*$", "the option without dashes, as 'device'"),
    "hmp": (r"[a-z][a-z0-9_ -]*(\|[a-z0-9_?-]+)*$", "lower case, as 'info mtree' or with a short form 'print|p'"),
    "class": (r"[A-Za-z0-9][A-Za-z0-9_.,+:-]*$", "letters, digits and -_.,+:, as 'isa-serial'"),
    "compat": (r"[A-Za-z0-9][A-Za-z0-9_.-]*$", "letters, digits and -_."),
}


RESERVED = {"Error", "ErrorClass", "ObjectOps", "EmptyConf", "RefList", "QKind", "QStability", "QItem", "QEnumValue", "QReset", "QScalar",
            "QMember", "QBranch", "QType", "QCallContext", "QCommand", "QEvent", "QClassKind", "QCompat", "QClass", "QOption", "QHmp",
            "QSchema"} | {t.capitalize() + "List" for t in model.BUILTINS}


class Entry:
    """An expression found, before it is made into an item."""

    def __init__(self, kind, expr, module):
        self.kind, self.node, self.doc, self.module = kind, expr.node, expr.doc, module
        self.name, self.loc = self.node[kind], self.node.key_loc[kind]

    def item(self, cls=model.Item, **more):
        """A new item with the doc and the place of this entry."""
        it = cls(self.name, self.loc, **more)
        if self.doc is None:
            raise SchemaError(self.node.loc, f"{self.name}: no doc; put a comment '## # @{self.name}: what it is ##' above it")
        if self.doc.name != self.name:
            raise SchemaError(self.doc.loc, f"doc comment of '{self.doc.name}' stands above '{self.name}'")
        it.doc = self.doc.text
        if not it.doc:
            raise SchemaError(self.doc.loc, f"{self.name}: its doc is empty")
        it.since = self.doc.since or it.since
        return it

    def member_doc(self, section, name):
        for key in (f"{section}.{name}", name):
            if key in self.doc.members:
                self.doc.used.add(key)
                return self.doc.members[key][0]
        return None

    def check_docs_used(self, features=()):
        for name, (_, loc) in self.doc.members.items():
            if name not in self.doc.used and name not in features:
                names = sorted({k.lstrip("*") for v in self.node.values() if isinstance(v, dict) for k in v})
                raise SchemaError(loc, f"{self.name}: '@{name}:' describes no member" + suggest(name, names))
        for f in features:
            if f not in self.doc.members:
                raise SchemaError(self.loc, f"{self.name}: no doc for feature '{f}'; add '# @{f}: what it means' to its comment")


class Loader:
    def __init__(self, root):
        self.root = Path(root)
        self.schema = model.Schema()
        self.entries = []
        self.names = {}        # (namespace, name) -> Loc
        # C identifier -> (what, Loc)
        self.c_names = {n: ("a type of qapi/", Loc("qapi/tables.h", 1)) for n in RESERVED}
        self.pending = {}      # class name -> Entry

    def claim(self, space, name, loc):
        before = self.names.setdefault((space, name), loc)
        if before is not loc:
            raise SchemaError(loc, f"{space} '{name}' is declared twice; first at {before}")

    def claim_c(self, c_name, what, loc):
        before = self.c_names.setdefault(c_name, (what, loc))
        if before != (what, loc):
            raise SchemaError(loc, f"{what} and {before[0]} ({before[1]}) are both {c_name} in C")

    def load(self, files):
        for f in files:
            self.file(f, None, [])
        self.types()
        for e in self.entries:
            if e.kind in entities.MAKERS:
                entities.MAKERS[e.kind](self, e)
        for e in self.entries:
            if e.kind in ("class", "interface"):
                self.klass(e.name)
        classes.finish(self)
        return self.schema

    def file(self, path, included_from, stack):
        """Reads one file after those it includes."""
        if path in stack:
            raise SchemaError(included_from, "files include each other: " + " -> ".join(stack[stack.index(path):] + [path]))
        if path in self.schema.sees:
            return
        try:
            text = (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            reason = getattr(e, "strerror", None) or "is not UTF-8"
            raise SchemaError(included_from or Loc(path, 1), f"cannot read '{path}': {reason}") from e
        includes, found = [], []
        for ex in parse(path, text):
            kind = next(iter(ex.node), None)
            if kind not in ENTITIES:
                raise SchemaError(ex.node.loc, f"unknown kind of item '{kind}'" + suggest(str(kind), ENTITIES))
            if not isinstance(ex.node[kind], str):
                raise SchemaError(ex.node.loc, f"'{kind}' wants a name in quotes")
            if kind == "include":
                includes.append(ex.node["include"])
                self.file(ex.node["include"], ex.node.loc, stack + [path])
            else:
                found.append(Entry(kind, ex, path))
        self.schema.includes[path] = includes
        self.schema.sees[path] = {path}.union(*(self.schema.sees[i] for i in includes))
        self.schema.modules.append(path)
        for e in found:
            self.enter(e)

    def enter(self, e):
        space = "type" if e.kind in TYPE_KINDS else "class" if e.kind == "interface" else e.kind
        pattern, want = NAMES[space]
        if not re.match(pattern, e.name):
            raise SchemaError(e.loc, f"'{e.name}' is no name for {'an' if e.kind[0] in 'aeiou' else 'a'} {e.kind}; it is written in {want}")
        self.claim(space, e.name, e.loc)
        self.claim_c({"type": e.name}.get(space, f"q{space}_{tail(e.name)}"), f"{e.kind} '{e.name}'", e.loc)
        if space == "type":
            self.claim_c(e.name + "List", f"list of {e.kind} '{e.name}'", e.loc)
        self.entries.append(e)
        if space == "class":
            self.pending[e.name] = e

    def types(self):
        """Makes the named types: first their shells, so that they can refer to each other in any order."""
        for e in self.entries:
            if e.kind in TYPE_KINDS:
                entities.shell(self, e)
        for e in self.entries:
            if e.kind in TYPE_KINDS:
                self.fill(e)
        entities.check_embedding(self.schema)

    def fill(self, e):
        """Fills a struct's members; bases first. Does nothing the second time."""
        if getattr(e, "filled", None) is None:
            e.filled = False
            entities.FILLERS[e.kind](self, e)
            e.filled = True
        elif not e.filled:
            raise SchemaError(e.loc, f"{e.name}: is its own base")

    def entry(self, name):
        return next((e for e in self.entries if e.name == name and e.kind in TYPE_KINDS), None)

    def klass(self, name):
        """The Class of this name, made on first use, parents first; None when not declared."""
        if name in self.schema.classes:
            return self.schema.classes[name]
        e = self.pending.get(name)
        if e is None:
            return None
        if getattr(e, "making", False):
            raise SchemaError(e.loc, f"{name}: is its own parent")
        e.making = True
        return (classes.interface if e.kind == "interface" else classes.make)(self, e)

    def struct_name(self, stem, suffix, what, loc):
        """Claims the C name of a struct made for an item, as StopArgs."""
        name = camel(stem) + suffix
        if not re.match(r"[A-Z]", name):
            raise SchemaError(loc, f"{what}: {name} is no C name; say one with 'c-name'")
        self.claim_c(name, f"{suffix} of {what}", loc)
        return name
