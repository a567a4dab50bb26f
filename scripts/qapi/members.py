"""Members: their types, ranges, defaults, reset rules; and the values written in a schema."""
import re

import expr
import model
from errors import SchemaError, suggest
from parse import Node

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*$")
COMMON_KEYS = {"type", "stability", "instead", "since", "features", "doc"}
STABILITIES = ("stable", "unstable", "deprecated")
SECTION_KEYS = {
    "config": {"default", "absent", "min", "max", "unit", "alias"},
    "control": {"default", "absent", "min", "max", "unit"},
    "info": {"min", "max", "unit"},
    "state": {"min", "max", "unit", "reset", "since-version", "present-if"},
    "data": {"default", "min", "max", "unit"},
    "alternate": set(),
}


def check_keys(node, known, what):
    for key in node:
        if key not in known:
            raise SchemaError(node.key_loc[key], f"{what}: unknown key '{key}'" + suggest(key, known))


def want(node, key, kinds, what, default=None):
    """node[key], which must be of one of these Python types; default when it is not given."""
    if key not in node:
        return default
    value = node[key]
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = {str: "a string", int: "an integer", bool: "true or false", list: "a list", dict: "a dict", float: "a number"}
        raise SchemaError(node.key_loc[key], f"{what}: '{key}' must be " + " or ".join(names[k] for k in kinds))
    return value


def stability(item, node, inherited, what):
    """Fills stability, instead, since and features of an item from its dict."""
    item.stability = want(node, "stability", str, what, inherited)
    if item.stability is None:
        raise SchemaError(item.loc, f"{what}: no 'stability'; say one of " + ", ".join(f"'{s}'" for s in STABILITIES))
    if item.stability not in STABILITIES:
        raise SchemaError(node.key_loc["stability"], f"{what}: unknown stability '{item.stability}'" + suggest(item.stability, STABILITIES))
    item.instead = want(node, "instead", str, what)
    own = "stability" in node and item.stability == "deprecated"
    if own and not item.instead:
        raise SchemaError(item.loc, f"{what}: is deprecated but has no 'instead' that says what to use")
    if item.instead and item.stability != "deprecated":
        raise SchemaError(item.loc, f"{what}: has 'instead' but is not deprecated")
    item.since = want(node, "since", str, what, item.since)
    if not re.match(r"[0-9]+(\.[0-9]+){1,2}$", item.since):
        raise SchemaError(node.key_loc["since"], f"{what}: 'since' must be a version such as '10.0', not '{item.since}'")
    item.features = want(node, "features", list, what, [])
    for f in item.features:
        if not isinstance(f, str) or not re.match(r"[a-z][a-z0-9-]*$", f):
            raise SchemaError(node.key_loc["features"], f"{what}: a feature is a name in lower case, not {f!r}")


class Types:
    """Type expressions to model.Type, seen from one module."""

    def __init__(self, schema, module):
        self.schema, self.module = schema, module

    def named(self, name, loc, what):
        if name in model.BUILTINS:
            return model.BUILTINS[name]
        t = self.schema.types.get(name)
        if t is None:
            known = [n for n, x in self.schema.types.items() if x.module in self.schema.sees[self.module]]
            raise SchemaError(loc, f"{what}: unknown type '{name}'" + suggest(name, known + list(model.BUILTINS)))
        if t.made_for:
            raise SchemaError(loc, f"{what}: '{name}' is made for {t.made_for}; declare a struct to use it elsewhere")
        self.seen(t, loc, what)
        return t

    def seen(self, t, loc, what):
        if t.module not in self.schema.sees[self.module]:
            raise SchemaError(loc, f"{what}: '{t.name}' is declared in {t.module}, which is not included; "
                                   f"add {{ 'include': '{t.module}' }}")

    def parse(self, spec, loc, what):
        if isinstance(spec, list):
            if len(spec) != 1 or not isinstance(spec[0], str):
                raise SchemaError(loc, f"{what}: a list type is written ['TYPE']")
            element = self.parse(spec[0], loc, what)
            if element.kind in ("LIST", "ARRAY", "BUFFER", "TIMER", "RAMBLOCK", "NULL") or element.embedded:
                raise SchemaError(loc, f"{what}: a list of '{element.name}' is not possible")
            return model.List(element)
        if not isinstance(spec, str):
            raise SchemaError(loc, f"{what}: a type is a string such as 'uint32' or a list such as ['str']")
        return self.text(spec, loc, what)

    def text(self, spec, loc, what):
        m = re.match(r"(\w+)((?:\[[0-9]+\])+)$", spec)
        if m:
            t = self.named(m.group(1), loc, what)
            dims = [int(d) for d in re.findall(r"[0-9]+", m.group(2))]
            for d in reversed(dims):
                if not 0 < d <= 1 << 20:
                    raise SchemaError(loc, f"{what}: array length {d} is not in 1..1048576")
                t = model.Array(t, d)
            return t
        m = re.match(r"(\w+)<([^<>]+)>$", spec)
        if m and m.group(1) == "ref":
            return model.Ref(m.group(2))
        if m and m.group(1) == "buffer":
            if not m.group(2).isdigit() or not 0 < int(m.group(2)) <= 1 << 24:
                raise SchemaError(loc, f"{what}: '{spec}': a buffer's length is in 1..16777216")
            return model.Buffer(int(m.group(2)))
        if m and m.group(1) == "timer":
            if m.group(2) not in model.CLOCKS:
                raise SchemaError(loc, f"{what}: unknown clock '{m.group(2)}'" + suggest(m.group(2), model.CLOCKS))
            return model.Timer(m.group(2))
        if m:
            raise SchemaError(loc, f"{what}: unknown type '{spec}'" + suggest(m.group(1), ("ref", "buffer", "timer")))
        return model.RamBlock() if spec == "ramblock" else self.named(spec, loc, what)


def check_value(t, value, loc, what, lo=None, hi=None):
    """That a constant of the schema is a value of type t."""
    def fail(expected):
        shown = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
        raise SchemaError(loc, f"{what}: {shown} is not {expected}")
    if t.kind == "BOOL":
        if not isinstance(value, bool):
            fail("true or false")
    elif t.kind == "INT":
        lo, hi = (t.lo if lo is None else lo), (t.hi if hi is None else hi)
        if not isinstance(value, int) or isinstance(value, bool) or not lo <= value <= hi:
            fail(f"an integer in {lo}..{hi}")
    elif t.kind == "NUMBER":
        if not isinstance(value, (int, float)) or isinstance(value, bool) or \
                not (lo is None or value >= lo) or not (hi is None or value <= hi):
            fail("a number in its range")
    elif t.kind == "STR":
        if not isinstance(value, str):
            fail("a string")
    elif t.kind == "ENUM":
        names = [v.name for v in t.values]
        if value not in names:
            fail(f"a value of enum {t.name}" + (suggest(value, names) if isinstance(value, str) else ""))
    elif t.kind == "LIST":
        if not isinstance(value, list):
            fail("a list")
        for v in value:
            check_value(t.element, v, loc, what)
    elif t.kind == "REF":
        if not isinstance(value, str):
            fail("the id of an object")


def member(types, item, section, key, spec, key_loc, doc):
    """Makes the Member that `key: spec` of a section declares; expressions are checked by finish()."""
    star, name = key.startswith("*"), key.lstrip("*")
    what = f"{item.name}.{section}.{name}" if section != "data" else f"{item.name}.{name}"
    if not NAME.match(name):
        raise SchemaError(key_loc, f"{what}: a name is made of letters, digits, '_', '-' and '.'")
    node = spec
    if not isinstance(spec, dict):
        node = Node(key_loc)
        node["type"], node.key_loc["type"] = spec, key_loc
    check_keys(node, COMMON_KEYS | SECTION_KEYS[section], what)
    if "type" not in node:
        raise SchemaError(key_loc, f"{what}: no 'type'")
    m = model.Member(name, key_loc, since=item.since)
    m.type = types.parse(node["type"], node.key_loc["type"], what)
    m.required = not star
    stability(m, node, item.stability, what)
    if m.stability == "deprecated" and not m.instead:
        m.instead = item.instead
    m.doc = want(node, "doc", str, what) or doc(section, name)
    if not m.doc:
        raise SchemaError(key_loc, f"{what}: no doc; add a line '# @{name}: what it is' to the comment above {item.name}")
    m.unit = want(node, "unit", str, what)
    limits(m, node, what)
    m.settable = section == "control"
    placement(m, section, what)
    presence(m, node, section, star, what)
    if section == "state":
        reset(m, node, what)
    return m


def limits(m, node, what):
    for key in ("min", "max"):
        if key in node and m.type.kind not in ("INT", "NUMBER"):
            element = m.type
            while element.kind == "ARRAY":
                element = element.element
            if element.kind != "INT":
                raise SchemaError(node.key_loc[key], f"{what}: '{key}' is for integers and numbers, not {m.type.name}")
            check_value(element, node[key], node.key_loc[key], f"{what}: '{key}'")
        elif key in node:
            check_value(m.type, node[key], node.key_loc[key], f"{what}: '{key}'")
        setattr(m, key, node.get(key))
    if m.min is not None and m.max is not None and m.min > m.max:
        raise SchemaError(m.loc, f"{what}: min {m.min} is above max {m.max}")


def placement(m, section, what):
    """Types of state and types of messages do not mix."""
    base = m.type
    while base.kind == "ARRAY":
        base = base.element
    state_only = m.type.kind in ("ARRAY", "BUFFER", "TIMER", "RAMBLOCK") or base.embedded
    if section != "state" and state_only:
        raise SchemaError(m.loc, f"{what}: type '{m.type.name}' is for state only")
    if section == "state" and not base.embedded and \
            base.kind in ("STR", "ANY", "NULL", "LIST", "REF", "STRUCT", "UNION", "ALTERNATE"):
        raise SchemaError(m.loc, f"{what}: type '{m.type.name}' cannot be state; "
                                 + ("use a 'state-struct'" if base.kind == "STRUCT" else "state is integers, bools, numbers, enums, "
                                    "arrays, buffers, timers, RAM blocks and state-structs"))


def presence(m, node, section, star, what):
    if section == "state" and star:
        raise SchemaError(m.loc, f"{what}: state has no optional members; use 'present-if'")
    for key in ("default", "absent", "alias"):
        if key in node and not star:
            raise SchemaError(m.loc, f"{what}: has '{key}', so it is optional; write '*{m.name}'")
    m.alias = want(node, "alias", str, what)
    if m.alias is not None and not re.match(r"[\w-]+(\.[\w.-]+)+$", m.alias):
        raise SchemaError(m.loc, f"{what}: an alias is written 'child.property', not '{m.alias}'")
    given = [k for k in ("default", "absent", "alias") if k in node]
    if star and section in ("config", "control") and len(given) != 1:
        wrong = "is optional" + (" and has " + " and ".join(f"'{k}'" for k in given) if given else "")
        raise SchemaError(m.loc, f"{what}: {wrong}; give it one of 'default', "
                                 "'absent' (which says what happens without it) or 'alias'")
    absent = want(node, "absent", str, what)
    if absent:
        m.doc += f"\n\nWhen absent: {absent}"
    if "default" in node:
        default(m, node["default"], node.key_loc["default"], what)


def default(m, value, loc, what):
    if value is None:
        raise SchemaError(loc, f"{what}: null is no default; 'absent': 'TEXT' says what happens without it")
    if m.type.kind not in ("BOOL", "INT", "NUMBER", "STR", "ENUM", "LIST"):
        raise SchemaError(loc, f"{what}: type '{m.type.name}' has no default; use 'absent'")
    if isinstance(value, dict):
        check_keys(value, {"expr"}, f"{what}: default")
        text = want(value, "expr", str, f"{what}: default")
        if not text or m.type.kind not in ("BOOL", "INT", "ENUM"):
            raise SchemaError(loc, f"{what}: an expression {{ 'expr': 'TEXT' }} is for integers, bools and enums")
        m.default = ("expr", text, loc)
        return
    check_value(m.type, value, loc, f"{what}: default", m.min, m.max)
    if m.type.kind == "LIST" and value:
        raise SchemaError(loc, f"{what}: the default of a list can only be []")
    m.default = ("const", value, loc)


def reset(m, node, what):
    element = m.type
    while element.kind == "ARRAY":
        element = element.element
    m.state_since = want(node, "since-version", int, what, 1)
    m.present_if = (want(node, "present-if", str, what), node.key_loc.get("present-if"))
    rule = node.get("reset")
    loc = node.key_loc.get("reset", m.loc)
    if element.embedded:
        if "reset" in node and rule not in ("keep", "cold-only"):
            raise SchemaError(loc, f"{what}: the members of {element.name} say how they reset; leave 'reset' out")
        m.reset = {"keep": "KEEP", "cold-only": "COLD_ONLY"}.get(rule, "VALUE")
    elif "reset" not in node:
        raise SchemaError(m.loc, f"{what}: no 'reset'; say a value, 'keep', 'cold-only' or {{ 'conf': 'MEMBER' }}")
    elif isinstance(rule, dict):
        check_keys(rule, {"conf"}, f"{what}: reset")
        m.reset, m.reset_from = "FROM_CONF", want(rule, "conf", str, f"{what}: reset")
    elif rule in ("keep", "cold-only"):
        m.reset = rule.upper().replace("-", "_")
    else:
        reset_value(m, element, rule, loc, what)


def reset_value(m, element, rule, loc, what):
    if element.kind == "TIMER":
        fits, m.reset_value = rule == "unarmed", -1
        expected = "'unarmed', 'keep' or 'cold-only'"
    elif element.kind in ("BUFFER", "RAMBLOCK"):
        fits, m.reset_value = rule == "empty" and element.kind == "BUFFER", 0
        expected = "'empty', 'keep' or 'cold-only'" if element.kind == "BUFFER" else "'keep' or 'cold-only'"
    else:
        check_value(element, rule, loc, f"{what}: reset", m.min, m.max)
        m.reset_value = rule
        return
    if not fits:
        raise SchemaError(loc, f"{what}: reset of {element.name} must be {expected}")


def finish(members, start, item, section, conf=()):
    """Checks the expressions of members[start:], whose scope is what stands before them."""
    for i, m in enumerate(members):
        what = f"{item.name}.{section}.{m.name}" if section != "data" else f"{item.name}.{m.name}"
        if i >= start and m.default and m.default[0] == "expr":
            scope = expr.Scope()
            scope.add(members[:i], "c")
            scope.later = {expr.ident(x.name) for x in members[i:]}
            enum = m.type if m.type.kind == "ENUM" else None
            m.default = ("expr", m.default[1], expr.Checked(m.default[1], scope, m.default[2], what, enum))
        if i >= start and m.present_if and m.present_if[0]:
            scope = expr.Scope()
            scope.add([x for x in members if x is not m], "s")
            scope.add(conf, "c", "conf.")
            m.present_if = (m.present_if[0], expr.Checked(m.present_if[0], scope, m.present_if[1], what))
        elif i >= start:
            m.present_if = None
