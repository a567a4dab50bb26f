"""Classes, interfaces and sets of compat values: from their expressions to the model."""

import entities
import members as mem
import model
from cnames import camel, tail, upper
from errors import SchemaError, suggest
from members import check_keys, stability, want

KINDS = ("object", "device", "bus", "machine", "accel", "cpu", "chardev", "other")
KEYS = entities.ITEM_KEYS | {
    "class", "parent", "kind", "abstract", "config", "control", "state", "info", "discriminator", "branches", "defaults",
    "alias", "bus", "category", "interfaces", "hotpluggable", "user-creatable", "compat", "state-version",
    "state-min-version", "ops", "c-name"}
# Classes whose changed defaults are kept as rows, not as a table of members each: there are hundreds of them.
ROW_KINDS = ("cpu", "machine")


def interface(loader, e):
    check_keys(e.node, entities.ITEM_KEYS | {"interface"}, e.name)
    c = e.item(model.Class, module=e.module, kind="other", abstract=True, is_interface=True)
    stability(c, e.node, None, e.name)
    e.check_docs_used(c.features)
    loader.schema.classes[e.name] = c
    return c


def make(loader, e):
    check_keys(e.node, KEYS, e.name)
    c = e.item(model.Class, module=e.module)
    stability(c, e.node, None, e.name)
    c.parent = parent(loader, e)
    p = c.parent
    if p:
        for attr in ("kind", "bus", "category", "hotpluggable", "user_creatable"):
            setattr(c, attr, getattr(p, attr))
    for attr, key in (("kind", "kind"), ("bus", "bus"), ("category", "category"), ("alias", "alias")):
        setattr(c, attr, want(e.node, key, str, e.name, getattr(c, attr)))
    for attr, key in (("hotpluggable", "hotpluggable"), ("user_creatable", "user-creatable"), ("abstract", "abstract")):
        setattr(c, attr, want(e.node, key, bool, e.name, getattr(c, attr)))
    c.c_name = want(e.node, "c-name", str, e.name, camel(e.name))
    if c.kind not in KINDS:
        raise SchemaError(e.node.key_loc.get("kind", e.loc), f"{e.name}: " + (
            f"unknown kind '{c.kind}'" + suggest(c.kind, KINDS) if c.kind else "a class without parent says its 'kind'"))
    if c.kind == "device" and c.user_creatable and not c.abstract and not c.category:
        raise SchemaError(e.loc, f"{e.name}: no 'category', under which -device help lists it")
    if c.alias:
        loader.claim("class", c.alias, e.node.key_loc["alias"])
    c.interfaces = want(e.node, "interfaces", list, e.name, [])
    whose_ops(loader, e, c)
    config(loader, e, c)
    for section in ("control", "info", "state"):
        part(loader, e, c, section)
    changed_defaults(e, c)
    versions(e, c)
    e.check_docs_used(c.features)
    loader.schema.classes[e.name] = c
    return c


def parent(loader, e):
    name = want(e.node, "parent", str, e.name)
    if name is None:
        return None
    p = loader.klass(name)
    if p is None or p.is_interface:
        raise SchemaError(e.node.key_loc["parent"], f"{e.name}: unknown parent class '{name}'" + suggest(name, loader.pending))
    if p.module not in loader.schema.sees[e.module]:
        raise SchemaError(e.node.key_loc["parent"], f"{e.name}: parent '{name}' is declared in {p.module}, which is not included; "
                                                    f"add {{ 'include': '{p.module}' }}")
    if p.conf and p.conf.tag:
        raise SchemaError(e.node.key_loc["parent"], f"{e.name}: parent '{name}' has a discriminator; it can have no subclass")
    return p


def whose_ops(loader, e, c):
    """Whose ObjectOps the class has: its own, its nearest ancestor's, or none."""
    say = want(e.node, "ops", str, e.name, "none" if c.abstract else "own")
    if say not in ("own", "inherit", "none") or (say == "none" and not c.abstract):
        raise SchemaError(e.node.key_loc["ops"], f"{e.name}: 'ops' is 'own' or 'inherit'" +
                          (", or 'none' for an abstract class" if say != "none" or c.abstract else "; 'none' is for abstract classes")
                          + f", not '{say}'" * (say != "none"))
    if say == "own":
        c.ops = c
        c.ops_name = upper(c.c_name).lower() if "c-name" in e.node else tail(c.name)
        if c.ops_name[0].isdigit():
            raise SchemaError(e.loc, f"{e.name}: {c.ops_name}_ops is no C name; say one with 'c-name': 'CamelCase'")
        loader.claim_c(f"{c.ops_name}_ops", f"ops of class '{c.name}'", e.loc)
    elif say == "inherit":
        c.ops = next((p.ops for p in c.chain() if p is not c and p.ops), None)
        if c.ops is None:
            raise SchemaError(e.loc, f"{e.name}: 'ops': 'inherit', but no ancestor has ops")


def config(loader, e, c):
    """The flattened config: the parent's members first, in the same order."""
    data = want(e.node, "config", dict, e.name)
    changes = "defaults" in e.node and c.kind not in ROW_KINDS
    if "discriminator" in e.node or "branches" in e.node:
        if "discriminator" not in e.node or "branches" not in e.node:
            raise SchemaError(e.loc, f"{e.name}: 'discriminator' and 'branches' go together")
    if not data and not changes and "discriminator" not in e.node:
        c.conf = c.parent.conf if c.parent else None
        return
    kind = model.Union if "discriminator" in e.node else model.Struct
    struct = new_struct(loader, e, c, "Conf", f"Configuration of {e.name}.", kind)
    c.conf = struct
    if c.parent and c.parent.conf:
        entities.inherit(struct, c.parent.conf.members, c.parent.name)
        struct.parent_conf = c.parent.conf
    for m in struct.members:
        m.origin = getattr(m, "origin", c.parent.name)
    if data:
        entities.add_members(loader, e, struct, "config", data, c)
    if kind is model.Union:
        entities.discriminate(loader, e, struct, want(e.node, "discriminator", str, e.name),
                              want(e.node, "branches", dict, e.name), e.node.key_loc["discriminator"])


def new_struct(loader, e, c, suffix, doc, kind=model.Struct):
    name = loader.struct_name(c.c_name, suffix, f"class '{e.name}'", e.loc)
    struct = kind(model.Item(name, e.loc, doc, c.since, c.stability, c.instead), e.module)
    struct.made_for = f"class '{e.name}'"
    loader.schema.types[name] = struct
    return struct


def part(loader, e, c, section):
    """control, info or state: one struct per level of the class chain, not flattened."""
    data = want(e.node, section, dict, e.name)
    if not data:
        return
    struct = new_struct(loader, e, c, section.capitalize(), f"{section.capitalize()} of {e.name}.")
    struct.embedded = section == "state"
    types = mem.Types(loader.schema, e.module)
    above = {m.name: c.name for m in c.conf.members} if c.conf and section != "state" else {}
    for p in c.chain():
        for s in (p.control, p.info):
            above.update({m.name: p.name for m in s.members} if s and section != "state" else {})
    for key, spec in data.items():
        m = mem.member(types, c, section, key, spec, data.key_loc[key], e.member_doc)
        if m.name in above:
            raise SchemaError(m.loc, f"{e.name}.{section}.{m.name}: {above[m.name]} already has a property '{m.name}'")
        struct.members.append(m)
    entities.check_c_names(struct, c)
    mem.finish(struct.members, 0, c, section, c.conf.members if c.conf else ())
    for m in struct.members:
        if m.reset == "FROM_CONF":
            from_conf(c, m)
    setattr(c, section, struct)


def from_conf(c, m):
    source = c.conf.member(m.reset_from) if c.conf else None
    what = f"{c.name}.state.{m.name}: reset from conf '{m.reset_from}'"
    if source is None:
        raise SchemaError(m.loc, f"{what}: no such config member" + suggest(m.reset_from, [x.name for x in c.conf.members] if c.conf else []))
    if source.type is not m.type:
        raise SchemaError(m.loc, f"{what}: is of type {source.type.name}, not {m.type.name}")
    if not source.required and source.default is None:
        raise SchemaError(m.loc, f"{what}: may be absent")


def changed_defaults(e, c):
    """'defaults': other values for inherited members: in the tables, or for CPU models and machines as rows."""
    for name, value in want(e.node, "defaults", dict, e.name, {}).items():
        loc = e.node["defaults"].key_loc[name]
        what = f"{e.name}: defaults: '{name}'"
        m = c.prop(name) if c.kind in ROW_KINDS else c.conf.member(name) if c.conf else None
        if m is None:
            raise SchemaError(loc, f"{what}: no such property" + suggest(name, [x.name for x in c.conf.members] if c.conf else []))
        if c.kind in ROW_KINDS:
            mem.check_value(m.type, value, loc, what, m.min, m.max)
            c.compat.append((c.name, name, value, loc))
        else:
            if not m.inherited:
                raise SchemaError(loc, f"{what}: is its own; say the default there")
            if m.alias or isinstance(value, dict):
                raise SchemaError(loc, f"{what}: must be a constant for a member that is no alias")
            m.required = False
            mem.default(m, value, loc, what)


def versions(e, c):
    c.state_version = want(e.node, "state-version", int, e.name, 0)
    c.state_min_version = want(e.node, "state-min-version", int, e.name, 1 if c.state else 0)
    if bool(c.state) != bool(c.state_version):
        raise SchemaError(e.loc, f"{e.name}: 'state' and 'state-version' (1 or more) go together")
    if c.state and not 1 <= c.state_min_version <= c.state_version:
        raise SchemaError(e.loc, f"{e.name}: 'state-min-version' {c.state_min_version} is not in 1..{c.state_version}")
    for m in c.state.members if c.state else ():
        if not 1 <= m.state_since <= c.state_version:
            raise SchemaError(m.loc, f"{e.name}.state.{m.name}: 'since-version' {m.state_since} is not in 1..{c.state_version}")


# Compat values: [class, property, value] or the name of a set of them.

def finish(loader):
    sets = {e.name: e for e in loader.entries if e.kind == "compat"}
    for e in sets.values():
        check_keys(e.node, {"compat", "data"}, e.name)
        e.item()
        e.check_docs_used()
    for e in loader.entries:
        if e.kind == "class" and "compat" in e.node:
            c = loader.schema.classes[e.name]
            if c.kind != "machine":
                raise SchemaError(e.node.key_loc["compat"], f"{e.name}: 'compat' is for machines; use 'defaults'")
            c.compat += rows(e, "compat", sets, [])
    for e in sets.values():
        rows(e, "data", sets, [e.name])


def rows(e, key, sets, stack):
    out, loc = [], e.node.key_loc.get(key, e.loc)
    for row in want(e.node, key, list, e.name, []):
        if isinstance(row, str):
            if row not in sets:
                raise SchemaError(loc, f"{e.name}: unknown compat set '{row}'" + suggest(row, sets))
            if row in stack:
                raise SchemaError(loc, f"{e.name}: compat sets contain each other: {' -> '.join(stack + [row])}")
            out += rows(sets[row], "data", sets, stack + [row])
        elif isinstance(row, list) and len(row) == 3 and all(isinstance(x, str) for x in row[:2]):
            out.append((row[0], row[1], row[2], loc))
        else:
            raise SchemaError(loc, f"{e.name}: a compat value is ['CLASS', 'PROPERTY', VALUE] or the name of a set")
    return out


def check_program(schema):
    """What only a whole program can tell: that classes named elsewhere exist and have those properties."""
    classes = schema.classes
    for c in schema.classes.values():
        named = [("bus", c.bus)] + [("interface", i) for i in c.interfaces]
        for what, name in named:
            if name and name not in classes:
                raise SchemaError(c.loc, f"{c.name}: unknown {what} '{name}'" + suggest(name, classes))
            if what == "interface" and not classes[name].is_interface if name else False:
                raise SchemaError(c.loc, f"{c.name}: '{name}' is a class, not an interface")
        for cls, prop, value, loc in c.compat:
            check_row(classes, c, cls, prop, value, loc)
    for t in schema.types.values():
        for m in getattr(t, "members", ()):
            element = m.type.element if m.type.kind == "LIST" else m.type
            if element.kind == "REF" and element.cls not in classes:
                raise SchemaError(m.loc, f"{t.name}.{m.name}: unknown class in '{element.name}'" + suggest(element.cls, classes))


def check_row(classes, c, cls, prop, value, loc):
    what = f"{c.name}: compat {cls}.{prop}"
    if cls not in classes:
        raise SchemaError(loc, f"{what}: unknown class '{cls}'" + suggest(cls, classes))
    target = classes[cls]
    m = target.prop(prop)
    if m is None:
        known = [x.name for x in target.conf.members] if target.conf else []
        raise SchemaError(loc, f"{what}: no such property" + suggest(prop, known))
    if not m.alias:
        mem.check_value(m.type, value, loc, what, m.min, m.max)
