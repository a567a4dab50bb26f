"""Types, commands, events, options and HMP commands: from their expressions to the model."""
import copy
import json
import re

import members as mem
import model
from cnames import const, has, ident, upper
from errors import SchemaError, suggest
from members import check_keys, stability, want

ITEM_KEYS = {"stability", "instead", "features"}
PHASES = ("config", "machine", "running", "paused")


def shell(loader, e):
    """An empty type for an entry, so that others can refer to it."""
    item = e.item()
    stability(item, e.node, None, e.name)
    if e.kind == "enum":
        t = model.Enum(item, e.module, [], want(e.node, "c-prefix", str, e.name, upper(e.name)))
    elif e.kind == "alternate":
        t = model.Alternate(item, e.module)
    elif e.kind == "union":
        t = model.Union(item, e.module)
    else:
        t = model.Struct(item, e.module, state=e.kind == "state-struct")
    loader.schema.types[e.name] = t


def fill_enum(loader, e):
    check_keys(e.node, ITEM_KEYS | {"enum", "data", "c-prefix"}, e.name)
    t = loader.schema.types[e.name]
    for v in want(e.node, "data", list, e.name, []):
        node = v if isinstance(v, dict) else None
        name = want(node, "name", str, e.name) if node else v
        if not isinstance(name, str) or not mem.NAME.match(name):
            raise SchemaError(e.node.key_loc["data"], f"{e.name}: {name!r} is no name of a value")
        item = model.Item(name, node.loc if node else e.loc, since=t.item.since)
        if node:
            check_keys(node, ITEM_KEYS | {"name", "since"}, f"{e.name}.{name}")
            stability(item, node, t.item.stability, f"{e.name}.{name}")
        else:
            item.stability, item.instead = t.item.stability, t.item.instead
        item.doc = e.member_doc("data", name)
        if not item.doc:
            raise SchemaError(e.loc, f"{e.name}.{name}: no doc; add a line '# @{name}: what it is' to the comment above {e.name}")
        if name in [x.name for x in t.values]:
            raise SchemaError(e.loc, f"{e.name}: value '{name}' is given twice")
        t.values.append(item)
        loader.claim_c(const(t, name), f"value '{name}' of enum {e.name}", item.loc)
    if not t.values:
        raise SchemaError(e.loc, f"{e.name}: an enum lists its values in 'data': ['first', 'second']")
    e.check_docs_used(t.item.features)


def add_members(loader, e, struct, section, data, item=None):
    """Appends the members of the dict `data` to a struct and checks them."""
    types = mem.Types(loader.schema, e.module)
    item = item or struct.item
    start = len(struct.members)
    for key, spec in data.items():
        m = mem.member(types, item, section, key, spec, data.key_loc[key], e.member_doc)
        same = struct.member(m.name)
        if same:
            where = f"inherited from {same.origin}" if same.inherited else "given twice"
            raise SchemaError(m.loc, f"{item.name}.{m.name}: is {where}")
        struct.members.append(m)
    check_c_names(struct, item)
    mem.finish(struct.members, start, item, section)


def check_c_names(struct, item):
    used = {"u": None}
    for m in struct.members:
        for c in [ident(m.name)] + ([has(m.name)] if m.has_flag() else []):
            if c in used:
                other = f"member '{used[c]}'" if used[c] else "the union of branches"
                raise SchemaError(m.loc, f"{item.name}.{m.name}: and {other} are both {c} in C")
            used[c] = m.name


def inherit(struct, base_members, origin):
    for m in base_members:
        m = copy.copy(m)
        m.inherited, m.origin = True, getattr(m, "origin", origin)
        struct.members.append(m)


def base_struct(loader, e, struct):
    """Flattens 'base' into the struct: a struct's name, or a dict of members (union)."""
    base = e.node.get("base")
    if base is None:
        return
    if isinstance(base, dict) and e.kind == "union":
        add_members(loader, e, struct, "data", base)
        return
    t = mem.Types(loader.schema, e.module).parse(base, e.node.key_loc["base"], f"{e.name}: base")
    if t.kind != "STRUCT" or t.embedded != struct.embedded:
        raise SchemaError(e.node.key_loc["base"], f"{e.name}: base '{t.name}' is no {'state-struct' if struct.embedded else 'struct'}")
    loader.fill(loader.entry(t.name))
    if t.rest:
        raise SchemaError(e.node.key_loc["base"], f"{e.name}: base '{t.name}' has a 'rest'; only a last struct can")
    inherit(struct, t.members, t.name)


def fill_struct(loader, e):
    check_keys(e.node, ITEM_KEYS | {e.kind, "data", "base"} | ({"rest"} if e.kind == "struct" else set()), e.name)
    struct = loader.schema.types[e.name]
    base_struct(loader, e, struct)
    data = want(e.node, "data", dict, e.name)
    if data is None:
        raise SchemaError(e.loc, f"{e.name}: no 'data'; its members are listed there")
    add_members(loader, e, struct, "state" if struct.embedded else "data", data)
    fill_rest(e, struct)
    for m in struct.members:
        if m.reset == "FROM_CONF":
            raise SchemaError(m.loc, f"{e.name}.state.{m.name}: a state-struct belongs to no class; it cannot reset from conf")
    if struct.embedded and not struct.members:
        raise SchemaError(e.loc, f"{e.name}: a state-struct has at least one member")
    e.check_docs_used(struct.item.features)


REST_KINDS = ("object", "device", "machine", "accel", "cpu", "chardev")


def fill_rest(e, struct):
    """'rest': { 'class-named-by': MEMBER, 'kind': KIND }: keys not in 'data' are config of that class."""
    rest = want(e.node, "rest", dict, e.name)
    if rest is None:
        return
    what = f"{e.name}: rest"
    check_keys(rest, {"class-named-by", "kind"}, what)
    name, kind = want(rest, "class-named-by", str, what), want(rest, "kind", str, what)
    tag = struct.member(name)
    if tag is None or tag.type.kind != "STR":
        raise SchemaError(rest.loc, f"{what}: 'class-named-by' must be a str member" +
                          suggest(str(name), [m.name for m in struct.members]))
    if kind not in REST_KINDS:
        raise SchemaError(rest.loc, f"{what}: 'kind' is one of " + ", ".join(REST_KINDS) + suggest(str(kind), REST_KINDS))
    if struct.member("rest"):
        raise SchemaError(rest.loc, f"{what}: a member is called 'rest' already")
    struct.rest = (tag, kind)


def discriminate(loader, e, struct, tag, branches, tag_loc):
    """Makes `struct` a union: `tag` is its enum member, `branches` maps values to struct names."""
    m = struct.member(tag)
    if not m:
        raise SchemaError(tag_loc, f"{e.name}: discriminator '{tag}' is no member" + suggest(tag, [x.name for x in struct.members]))
    if m.type.kind != "ENUM" or not (m.required or m.default):
        raise SchemaError(tag_loc, f"{e.name}: discriminator '{tag}' must be an enum that is required or has a default")
    names = [v.name for v in m.type.values]
    types = mem.Types(loader.schema, e.module)
    struct.tag = tag
    for value, spec in branches.items():
        loc = branches.key_loc[value]
        if value not in names:
            raise SchemaError(loc, f"{e.name}: branch '{value}' is no value of enum {m.type.name}" + suggest(value, names))
        t = types.parse(spec, loc, f"{e.name}: branch '{value}'")
        if t.kind not in ("STRUCT", "UNION") or t.embedded or t is struct:
            raise SchemaError(loc, f"{e.name}: branch '{value}': '{t.name}' is no struct")
        loader.fill(loader.entry(t.name))
        if t.rest:
            raise SchemaError(loc, f"{e.name}: branch '{value}': '{t.name}' has a 'rest', which a branch cannot")
        for x in t.members:
            if struct.member(x.name):
                raise SchemaError(loc, f"{e.name}: branch '{value}': member '{x.name}' of {t.name} is also in the base")
        struct.branches.append((value, t))


def fill_union(loader, e):
    check_keys(e.node, ITEM_KEYS | {"union", "base", "discriminator", "data"}, e.name)
    struct = loader.schema.types[e.name]
    for key in ("base", "discriminator", "data"):
        if key not in e.node:
            raise SchemaError(e.loc, f"{e.name}: a union has 'base', 'discriminator' and 'data'; '{key}' is missing")
    base_struct(loader, e, struct)
    discriminate(loader, e, struct, want(e.node, "discriminator", str, e.name), want(e.node, "data", dict, e.name),
                 e.node.key_loc["discriminator"])
    e.check_docs_used(struct.item.features)


JSON_KIND = {"BOOL": "boolean", "INT": "number", "NUMBER": "number", "STR": "string", "ENUM": "string", "NULL": "null",
             "STRUCT": "object", "UNION": "object", "LIST": "array"}


def fill_alternate(loader, e):
    check_keys(e.node, ITEM_KEYS | {"alternate", "data"}, e.name)
    t, kinds = loader.schema.types[e.name], {}
    data = want(e.node, "data", dict, e.name, {})
    types = mem.Types(loader.schema, e.module)
    for key, spec in data.items():
        m = mem.member(types, t.item, "alternate", key, spec, data.key_loc[key], e.member_doc)
        kind = JSON_KIND.get(m.type.kind)
        if not m.required or kind is None or m.type.embedded:
            raise SchemaError(m.loc, f"{e.name}.{m.name}: type '{m.type.name}' cannot be a branch of an alternate")
        if kind in kinds:
            raise SchemaError(m.loc, f"{e.name}.{m.name}: a JSON {kind} is already branch '{kinds[kind]}'")
        kinds[kind] = m.name
        t.branches.append(m)
    if len(t.branches) < 2:
        raise SchemaError(e.loc, f"{e.name}: an alternate has two branches or more in 'data'")
    e.check_docs_used(t.item.features)


def check_embedding(schema):
    """Values that lie in each other must not be endless: state-structs and branches of unions."""
    state = {}

    def visit(t, loc):
        if state.get(t) == "open":
            raise SchemaError(loc, f"{t.name}: contains itself")
        if t in state:
            return
        state[t] = "open"
        for x in embedded_types(t):
            visit(x, t.item.loc)
        state[t] = "done"
    for t in schema.types.values():
        if t.kind in ("STRUCT", "UNION"):
            visit(t, t.item.loc)


def embedded_types(struct):
    """The named types whose C definition must come before this one's."""
    out = [t for _, t in struct.branches]
    for m in struct.members:
        t = m.type
        while t.kind == "ARRAY":
            t = t.element
        if t.kind == "STRUCT" and t.embedded:
            out.append(t)
    return out


# Commands, events, options, HMP commands.

def arguments(loader, e, item, suffix):
    """The struct of 'data': named, or made from a dict."""
    data = e.node.get("data")
    if data is None:
        return None
    if isinstance(data, str):
        t = mem.Types(loader.schema, e.module).parse(data, e.node.key_loc["data"], f"{e.name}: data")
        if t.kind not in ("STRUCT", "UNION") or t.embedded:
            raise SchemaError(e.node.key_loc["data"], f"{e.name}: data '{t.name}' is no struct or union")
        return t
    data = want(e.node, "data", (dict, str), e.name)
    if not data:
        return None
    stem = e.name.lower() if e.kind == "event" else e.name
    name = loader.struct_name(stem, suffix, f"{e.kind} '{e.name}'", e.loc)
    struct = model.Struct(model.Item(name, e.loc, f"Arguments of {e.name}.", item.since, item.stability, item.instead), e.module)
    struct.made_for = f"{e.kind} '{e.name}'"
    add_members(loader, e, struct, "data", data, item)
    loader.schema.types[name] = struct
    return struct


def phases(node, what, default):
    got = want(node, "phases", list, what, default)
    for p in got:
        if p not in PHASES:
            raise SchemaError(node.key_loc["phases"], f"{what}: unknown phase {p!r}" + suggest(str(p), PHASES))
    return got


def make_command(loader, e):
    check_keys(e.node, ITEM_KEYS | {"command", "data", "returns", "allow-oob", "coroutine", "no-reply", "phases", "hmp",
                                    "example", "no-example"}, e.name)
    c = e.item(model.Command, module=e.module)
    stability(c, e.node, None, e.name)
    c.args = arguments(loader, e, c, "Args")
    if "returns" in e.node:
        c.ret = mem.Types(loader.schema, e.module).parse(e.node["returns"], e.node.key_loc["returns"], f"{e.name}: returns")
        if c.ret.kind in ("ARRAY", "BUFFER", "TIMER", "RAMBLOCK", "NULL", "REF") or c.ret.embedded:
            raise SchemaError(e.node.key_loc["returns"], f"{e.name}: cannot return '{c.ret.name}'")
    c.allow_oob = want(e.node, "allow-oob", bool, e.name, False)
    c.coroutine = want(e.node, "coroutine", bool, e.name, False)
    c.no_reply = want(e.node, "no-reply", bool, e.name, False)
    c.phases = phases(e.node, e.name, ["machine", "running", "paused"])
    hmp = want(e.node, "hmp", dict, e.name)
    if hmp is not None:
        check_keys(hmp, {"name", "args", "print"}, f"{e.name}: hmp")
        c.hmp_name = want(hmp, "name", str, f"{e.name}: hmp")
        c.hmp_args = want(hmp, "args", str, f"{e.name}: hmp", "")
        c.hmp_print = want(hmp, "print", str, f"{e.name}: hmp")
        if not c.hmp_name:
            raise SchemaError(hmp.loc, f"{e.name}: hmp: no 'name'")
        hmp_letters(c.hmp_args, c.args, hmp.loc, f"{e.name}: hmp")
        for n in c.hmp_name.split("|"):
            loader.claim("hmp", n, hmp.loc)
        if c.hmp_print and (not c.ret or not re.match(r"hmp_print_[a-z0-9_]+$", c.hmp_print)):
            raise SchemaError(hmp.loc, f"{e.name}: hmp: 'print' names a function hmp_print_X for what the command returns")
    example(e, c)
    e.check_docs_used(c.features)
    loader.schema.commands[e.name] = c


def hmp_letters(text, args, loc, what):
    """'name:type' letters, as "device:B force:-f": each name must be an argument."""
    for word in text.split():
        m = re.match(r"([\w.-]+):([A-Za-z]\?|[A-Za-z/.]|-[A-Za-z]s?)$", word)
        if not m:
            raise SchemaError(loc, f"{what}: argument '{word}' is not written name:letter")
        if args is None or not args.member(m.group(1)):
            raise SchemaError(loc, f"{what}: '{m.group(1)}' is no argument" +
                              suggest(m.group(1), [x.name for x in args.members] if args else []))


def example(e, c):
    c.example = want(e.node, "example", dict, e.name)
    if (c.example is None) == ("no-example" not in e.node):
        raise SchemaError(e.loc, f"{e.name}: give 'example': {{ 'execute': '{e.name}' }} that the tests run, or 'no-example': 'REASON'")
    if c.example is None:
        return
    loc = e.node.key_loc["example"]
    check_keys(c.example, {"execute", "exec-oob", "arguments", "id"}, f"{e.name}: example")
    if e.name not in (c.example.get("execute"), c.example.get("exec-oob")):
        raise SchemaError(loc, f"{e.name}: its example executes something else")
    given = c.example.get("arguments", {})
    known = [m.name for m in c.args.members] if c.args else []
    if c.args and c.args.kind == "STRUCT":
        for m in c.args.members:
            if m.required and m.name not in given:
                raise SchemaError(loc, f"{e.name}: example: argument '{m.name}' is missing")
    if not c.args or c.args.kind == "STRUCT":
        check_keys(given, known, f"{e.name}: example") if given and not (c.args and c.args.rest) else None
        for k, v in given.items():
            if k not in known:
                continue
            mem.check_value(c.args.member(k).type, v, given.key_loc[k], f"{e.name}: example: {k}")
    c.example = json.dumps(c.example, ensure_ascii=False)


def make_event(loader, e):
    check_keys(e.node, ITEM_KEYS | {"event", "data", "rate-limit-ms"}, e.name)
    ev = e.item(model.Event, module=e.module)
    stability(ev, e.node, None, e.name)
    ms = want(e.node, "rate-limit-ms", int, e.name, 0)
    if not 0 <= ms <= 4000:
        raise SchemaError(e.node.key_loc["rate-limit-ms"], f"{e.name}: 'rate-limit-ms' is {ms}, not in 0..4000")
    ev.rate_limit_ns = ms * 1000000
    ev.args = arguments(loader, e, ev, "Event")
    e.check_docs_used(ev.features)
    loader.schema.events[e.name] = ev


def make_option(loader, e):
    check_keys(e.node, ITEM_KEYS | {"option", "data", "group", "args", "implied-key", "example", "repeatable", "takes-id",
                                    "sugar", "phase", "config-group"}, e.name)
    o = e.item(model.Option, module=e.module)
    stability(o, e.node, None, e.name)
    o.args = arguments(loader, e, o, "Option")
    for attr, key in (("group", "group"), ("args_text", "args"), ("implied_key", "implied-key"), ("example", "example"),
                      ("sugar", "sugar"), ("phase", "phase"), ("config_group", "config-group")):
        setattr(o, attr, want(e.node, key, str, e.name))
    o.repeatable = want(e.node, "repeatable", bool, e.name, False)
    o.takes_id = want(e.node, "takes-id", bool, e.name, False)
    for key, value in (("group", o.group), ("phase", o.phase), ("example", o.example)):
        if not value:
            raise SchemaError(e.loc, f"{e.name}: no '{key}'")
    if o.phase not in PHASES[:2]:
        raise SchemaError(e.node.key_loc["phase"], f"{e.name}: 'phase' is 'config' or 'machine', not '{o.phase}'")
    if (o.args is None) != (o.args_text is None):
        raise SchemaError(e.loc, f"{e.name}: 'data' and 'args' (its text in -help) go together")
    if o.implied_key and not (o.args and o.args.member(o.implied_key)):
        raise SchemaError(e.loc, f"{e.name}: implied-key '{o.implied_key}' is no member" +
                          suggest(o.implied_key, [m.name for m in o.args.members] if o.args else []))
    e.check_docs_used(o.features)
    loader.schema.options[e.name] = o


def make_hmp(loader, e):
    check_keys(e.node, ITEM_KEYS | {"hmp", "data", "args", "phases"}, e.name)
    h = e.item(model.Hmp, module=e.module)
    stability(h, e.node, None, e.name)
    h.args = arguments(loader, e, h, "Hmp")
    h.hmp_args = want(e.node, "args", str, e.name, "")
    hmp_letters(h.hmp_args, h.args, e.loc, e.name)
    h.phases = phases(e.node, e.name, ["machine", "running", "paused"])
    e.check_docs_used(h.features)
    loader.schema.hmp[e.name] = h


FILLERS = {"enum": fill_enum, "struct": fill_struct, "state-struct": fill_struct, "union": fill_union,
           "alternate": fill_alternate}
MAKERS = {"command": make_command, "event": make_event, "option": make_option, "hmp": make_hmp}
