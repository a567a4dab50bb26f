#!/usr/bin/env python3
"""Manuals from the document that a program's -introspect prints: man pages, HTML, JSON Schema, bash completion.

usage: doc.py introspect.json OUTDIR

    OUTDIR/qemu-system-x86_64.1      the command line
    OUTDIR/qemu-qmp-ref.7            commands, events and types of QMP; commands of the monitor
    OUTDIR/html/*.html               a page for each command, event, class, option and type
    OUTDIR/qemu.schema.json          JSON Schema 2020-12: arguments and results of commands, configuration of classes
    OUTDIR/qemu-system-x86_64.bash   completion of options, classes and their properties

Nothing is said here that is not in the document.
"""
import html
import json
import pathlib
import re
import sys

GROUPS = ["Standard", "Block device", "USB", "Display", "i386 target only", "Network", "Character device", "TPM device",
          "Boot Image or Kernel specific", "Debug/Expert", "Generic object creation"]
PROGRAM = "qemu-system-x86_64"


class Document:
    """The schema with what one looks up in it."""

    def __init__(self, data):
        self.data = data
        for kind in ("types", "commands", "events", "classes", "options", "hmp"):
            setattr(self, kind, {e["name"]: e for e in data[kind]})

    def config(self, name):
        """All that a user can give a class: inherited members first, changed defaults in their place."""
        members, c = {}, self.classes[name]
        chain = [c]
        while c.get("parent"):
            c = self.classes[c["parent"]]
            chain.append(c)
        for c in reversed(chain):
            for m in c["config"] + c["control"]:
                members[m["name"]] = m
        return list(members.values())

    def creatable(self, kind):
        return [c for c in self.classes.values() if c["kind"] == kind and not c.get("abstract") and
                (kind not in ("device", "object") or c.get("user-creatable"))]

    def groups(self):
        """(heading, options), in the order people know."""
        names = GROUPS + sorted({o["group"] for o in self.options.values()} - set(GROUPS))
        for g in names:
            options = [o for o in self.options.values() if o["group"] == g]
            if options:
                yield g, options


def facts(m):
    """Type, range, default and so on of a member, in words."""
    out = [m["type"]]
    if m.get("unit"):
        out[0] += f" in {m['unit']}"
    if "min" in m or "max" in m:
        out.append(f"{m.get('min', '')} to {m.get('max', '')}".strip())
    if "default" in m:
        out.append(f"default {json.dumps(m['default'])}")
    elif "default-expression" in m:
        out.append(f"default: {m['default-expression']}")
    elif m.get("required"):
        out.append("required")
    if m.get("settable"):
        out.append("may change while the machine runs")
    return ", ".join(out) + status(m)


def status(item):
    if item["stability"] == "deprecated":
        return f" (deprecated{': use ' + item['instead'] if item.get('instead') else ''})"
    return " (unstable)" if item["stability"] == "unstable" else ""


def sentence(p):
    """With the capital letter and the full stop that lines of a schema do without."""
    first = p.split(" ", 1)[0]
    p = p[:1].upper() + p[1:] if re.fullmatch(r"[a-z]+[,:]?", first) else p
    return p if p[-1:] in ".:!?" else p + "."


def paragraphs(doc):
    return [sentence(" ".join(p.split())) for p in doc.split("\n\n") if p.strip()]


# ---- man ----

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def man_item(head, item, members=(), more=()):
    out = [".TP", head]
    for i, p in enumerate(paragraphs(item["doc"])):
        out += [".IP"] * bool(i) + [roff(p + status(item) * (not i))]
    if members:
        out.append(".RS")
        for m in members:
            out += [".TP", f"\\fB{roff(m['name'])}\\fR ({roff(facts(m))})", roff(" ".join(paragraphs(m["doc"])))]
        out.append(".RE")
    for line in more:
        out += [".IP", line]
    return out


def man_header(name, section, what):
    return [f'.TH {name.upper()} {section} "" "Kestrel" "{what}"', ".SH NAME"]


def option_members(doc, o):
    t = doc.types.get(o.get("arguments"), {})
    plain = len(t.get("members", ())) == 1 and not o.get("implied-key") and not t.get("rest")
    return [] if plain else t.get("members", [])


def man_program(doc):
    out = man_header(PROGRAM, 1, "User commands")
    out += [f"{roff(PROGRAM)} \\- machine emulator", ".SH SYNOPSIS", f".B {roff(PROGRAM)}", "[options] [disk_image]", ".SH DESCRIPTION",
            "Emulates a computer with its processors and devices. disk_image is the image of disk 0 on the IDE buses.", ".PP",
            roff("An option's argument is key=value,key=value, or JSON when it begins with {. A comma in a value is doubled. Later uses of "
                 "an option that does not repeat add to earlier ones. -device help and the like list what there is, -device NAME,help "
                 "what can be set."), ".SH OPTIONS"]
    for group, options in doc.groups():
        out.append(f".SS {group}")
        for o in options:
            head = f"\\fB\\-{roff(o['name'])}\\fR" + (f" \\fI{roff(o['usage'])}\\fR" if o.get("usage") else "")
            more = [f"Example: {roff(o.get('example') or '')}"] * bool(o.get("example"))
            out += man_item(head, o, option_members(doc, o), more)
    out.append(".SH CLASSES")
    for kind, option in (("machine", "machine"), ("accel", "accel"), ("device", "device"), ("object", "object"), ("chardev", "chardev")):
        classes = doc.creatable(kind)
        if classes:
            out.append(f".SS Of \\-{option}")
            for c in classes:
                out += man_item(f"\\fB{roff(c['name'])}\\fR", c, [] if kind == "machine" else doc.config(c["name"]))
    return "\n".join(out + [".SH SEE ALSO", "qemu\\-qmp\\-ref(7)", ""])


def man_qmp(doc):
    out = man_header("qemu-qmp-ref", 7, "Miscellaneous") + ["qemu\\-qmp\\-ref \\- commands of the QEMU machine protocol", ".SH COMMANDS"]
    for c in doc.commands.values():
        more = [f"Returns: {roff(c.get('returns') or '')}"] * bool(c.get("returns"))
        more += [f"Allowed: {', '.join(c['phases'])}"] + [f"In the monitor: {roff(c.get('hmp') or '')}"] * bool(c.get("hmp"))
        more += [f"Example: {roff(c.get('example') or '')}"] * bool(c.get("example"))
        out += man_item(f"\\fB{roff(c['name'])}\\fR", c, c.get("members", []), more)
    out.append(".SH EVENTS")
    for e in doc.events.values():
        out += man_item(f"\\fB{roff(e['name'])}\\fR", e, e["members"])
    out.append(".SH TYPES")
    for t in doc.types.values():
        if t["kind"] in ("struct", "union", "enum"):
            values = [dict(v, type="value") for v in t.get("values", [])]
            out += man_item(f"\\fB{roff(t['name'])}\\fR ({t['kind']})", t, t.get("members", []) or values)
    out.append(".SH MONITOR")
    for h in doc.hmp.values():
        out += man_item(f"\\fB{roff(h['name'])}\\fR", h, h.get("members", []))
    return "\n".join(out + [".SH SEE ALSO", f"{roff(PROGRAM)}(1)", ""])


# ---- HTML ----

def page_name(kind, name):
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.html"


def page(title, body):
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + html.escape(title) + "</title>"
            "<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
            "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}code,pre{background:#f4f4f4}</style></head>\n<body>"
            f"<p><a href=\"index.html\">Index</a></p><h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n")


def html_doc(item):
    return "".join(f"<p>{html.escape(p)}</p>" for p in paragraphs(item["doc"])) + \
        f"<p>Since {html.escape(item['since'])}{html.escape(status(item))}</p>"


def html_type(doc, name):
    inner = re.sub(r"^\[(.*)\]$", r"\1", name)
    if inner in doc.types and doc.types[inner]["kind"] in ("struct", "union", "enum", "alternate"):
        return html.escape(name).replace(html.escape(inner), f"<a href=\"{page_name('type', inner)}\">{html.escape(inner)}</a>", 1)
    return html.escape(name)


def html_members(doc, members, heading):
    if not members:
        return ""
    rows = "".join(f"<tr><td><code>{html.escape(m['name'])}</code></td><td>{html_type(doc, m['type'])}</td>"
                   f"<td>{html.escape(facts(m).split(', ', 1)[1] if ', ' in facts(m) else '')}</td>"
                   f"<td>{html.escape(' '.join(paragraphs(m['doc'])))}</td></tr>" for m in members)
    return f"<h2>{heading}</h2><table><tr><th>Name</th><th>Type</th><th></th><th>Effect</th></tr>{rows}</table>"


def html_pages(doc):
    pages, index = {}, []

    def add(kind, heading, items, body):
        links = []
        for item in items:
            pages[page_name(kind, item["name"])] = page(item["name"], html_doc(item) + body(item))
            summary = html.escape(paragraphs(item["doc"])[0].split(". ")[0])
            links.append(f"<li><a href=\"{page_name(kind, item['name'])}\"><code>{html.escape(item['name'])}</code></a> {summary}</li>")
        index.append(f"<h2>{heading}</h2><ul>{''.join(links)}</ul>")

    def option(o):
        usage = f"<pre>-{html.escape(o['name'])} {html.escape(o.get('usage') or '')}</pre>"
        return usage + html_members(doc, option_members(doc, o), "Parameters") + f"<p>Example: <code>{html.escape(o['example'])}</code></p>"

    def command(c):
        out = html_members(doc, c.get("members", []), "Arguments")
        out += f"<p>Returns: {html_type(doc, c['returns'])}</p>" if c.get("returns") else ""
        out += f"<p>Allowed: {', '.join(c['phases'])}.</p>"
        out += f"<p>In the monitor: <code>{html.escape(c['hmp'])}</code></p>" if c.get("hmp") else ""
        return out + (f"<pre>{html.escape(c['example'])}</pre>" if c.get("example") else "")

    def klass(c):
        out = f"<p>A {c['kind']}" + (f", derived from <a href=\"{page_name('class', c['parent'])}\">{c['parent']}</a>" if c.get("parent") else "")
        out += (f"; on a bus {html.escape(c['bus'])}" if c.get("bus") else "") + ".</p>"
        out += html_members(doc, doc.config(c["name"]), "Configuration") + html_members(doc, c["info"], "Read-only")
        return out + html_members(doc, c.get("state", []), "State that the guest sees")

    def values(t):
        rows = "".join(f"<li><code>{html.escape(v['name'])}</code>: {html.escape(v['doc'])}</li>" for v in t.get("values", []))
        return html_members(doc, t.get("members", []), "Members") + (f"<ul>{rows}</ul>" if rows else "")

    add("option", "Options", doc.options.values(), option)
    add("class", "Classes", doc.classes.values(), klass)
    add("command", "QMP commands", doc.commands.values(), command)
    add("event", "QMP events", doc.events.values(), lambda e: html_members(doc, e["members"], "Data"))
    add("hmp", "Monitor commands", doc.hmp.values(), lambda h: html_members(doc, h.get("members", []), "Arguments"))
    add("type", "Types", [t for t in doc.types.values() if t["kind"] in ("struct", "union", "enum", "alternate")], values)
    pages["index.html"] = page("Reference", "".join(index))
    return pages


# ---- JSON Schema ----

SCALARS = {"bool": {"type": "boolean"}, "number": {"type": "number"}, "str": {"type": "string"}, "any": {}, "null": {"type": "null"},
           "ref": {"type": "string"}, "timer": {"type": "integer"}}


def schema_type(doc, name):
    t = doc.types.get(name)
    if name.startswith("[") and name.endswith("]"):
        return {"type": "array", "items": schema_type(doc, name[1:-1])}
    if name.startswith("ref<"):
        return {"type": "string"}
    if t is None or t["kind"] in SCALARS:
        return dict(SCALARS.get(t["kind"] if t else name, {}))
    if t["kind"] == "int":
        return {"type": "integer"}
    if t["kind"] == "list":
        return {"type": "array", "items": schema_type(doc, t["element"])}
    return {"$ref": f"#/$defs/{name}"}


def schema_object(doc, members, closed=True):
    out = {"type": "object", "properties": {}, "additionalProperties": not closed}
    for m in members:
        p = schema_type(doc, m["type"])
        if p.get("type") == "integer":
            p.update({k: m[j] for j, k in (("min", "minimum"), ("max", "maximum")) if j in m})
        p["description"] = " ".join(paragraphs(m["doc"]))
        if "default" in m:
            p["default"] = m["default"]
        out["properties"][m["name"]] = p
    required = [m["name"] for m in members if m.get("required")]
    return dict(out, required=required) if required else out


def schema_union(doc, t):
    """One alternative for each value of the tag, with the members of its branch."""
    branches = {b["name"]: b.get("type") for b in t.get("branches", [])}
    tag_type = doc.types[next(m["type"] for m in t["members"] if m["name"] == t["tag"])]
    out = []
    for v in tag_type["values"]:
        more = doc.types[branches[v["name"]]] if branches.get(v["name"]) else {"members": []}
        o = schema_object(doc, t["members"] + more["members"], closed="tag" not in more)
        o["properties"][t["tag"]] = {"const": v["name"]}
        out.append(o)
    return {"oneOf": out}


def json_schema(doc):
    defs = {}
    for t in doc.types.values():
        if t["kind"] == "enum":
            defs[t["name"]] = {"enum": [v["name"] for v in t["values"]]}
        elif t["kind"] == "struct":
            defs[t["name"]] = schema_object(doc, t["members"], closed=not t.get("rest"))
        elif t["kind"] == "union":
            defs[t["name"]] = schema_union(doc, t)
        elif t["kind"] == "alternate":
            defs[t["name"]] = {"anyOf": [schema_type(doc, b["type"]) for b in t["branches"]]}
        if t["name"] in defs:
            defs[t["name"]]["description"] = paragraphs(t["doc"])[0]
    for c in doc.classes.values():
        own = c["config"] or c["control"] or not c.get("parent")
        body = schema_object(doc, doc.config(c["name"])) if own else {"$ref": f"#/$defs/class {c['parent']}"}
        defs[f"class {c['name']}"] = dict(body, description=paragraphs(c["doc"])[0])
    requests = []
    for c in doc.commands.values():
        props = {"execute": {"const": c["name"]}, "id": {}}
        args = doc.types.get(c.get("arguments"))
        props["arguments"] = schema_type(doc, c["arguments"]) if args and args["kind"] != "list" else {"type": "object", "maxProperties": 0}
        need = ["execute"] + ["arguments"] * any(m.get("required") for m in c.get("members", []))
        requests.append({"type": "object", "properties": props, "required": need, "additionalProperties": False,
                         "description": paragraphs(c["doc"])[0]})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "QMP request", "oneOf": requests, "$defs": defs}


# ---- bash ----

COMPLETION = '''# Completion of %(program)s in bash; made from its schema.
_%(f)s_words() { COMPREPLY=($(compgen -W "$1" -- "$2")); }
_%(f)s() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" first last head
    case "$cur" in -*) _%(f)s_words "%(options)s" "$cur"; return ;; esac
    first="${cur%%%%,*}" last="${cur##*,}" head="${cur%%"$last"}"
    case "$prev" in
%(cases)s    *) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    COMPREPLY=("${COMPREPLY[@]/#/$head}")
    [[ "${COMPREPLY[*]}" == *= ]] && compopt -o nospace
}
complete -o default -F _%(f)s %(program)s
'''


def completion(doc):
    f, cases = PROGRAM.replace("-", "_"), []

    def case(options, names, props):
        rows = "".join(f'        {n}) _{f}_words "{p}" "$last" ;;\n' for n, p in props if p)
        cases.append(f"    {'|'.join('-' + o for o in options)})\n        if [[ \"$cur\" != *,* ]]; then _{f}_words \"{' '.join(names)}\" \"$cur\"\n"
                     f"        else case \"$first\" in\n{rows}        esac; fi ;;\n")

    def props(c):
        return " ".join(m["name"] + "=" for m in doc.config(c["name"]) if m["type"] not in ("any",))

    def short(c, kind):
        name = c["name"]
        return name[len("chardev-"):] if kind == "chardev" else name.removesuffix({"machine": "-machine", "accel": "-accel"}.get(kind, ""))

    for kind, options in (("device", ["device"]), ("object", ["object"]), ("chardev", ["chardev"]), ("machine", ["machine", "M"]), ("accel", ["accel"])):
        classes = doc.creatable(kind)
        names = [short(c, kind) for c in classes]
        pairs = [(n, props(c)) for n, c in zip(names, classes)] + [(c["alias"], props(c)) for c in classes if c.get("alias") and kind != "chardev"]
        case(options, names + [c["alias"] for c in classes if c.get("alias") and kind != "chardev"] + ["help"], pairs)
    cpus = [c["name"].split("-x86_64-cpu")[0] for c in doc.creatable("cpu")]
    features = [m["name"] + "=" for m in doc.config("x86_64-cpu")] if "x86_64-cpu" in doc.classes else []
    case(["cpu"], cpus + ["help"], [("*", " ".join(features))])
    for o in doc.options.values():
        members = option_members(doc, o)
        if members and o["name"] not in ("device", "object", "chardev", "machine", "M", "accel", "cpu"):
            words = " ".join(m["name"] + "=" for m in members)
            cases.append(f'    -{o["name"]}) _{f}_words "{words}" "$last" ;;\n')
    options = " ".join("-" + o for o in doc.options)
    return COMPLETION % {"program": PROGRAM, "f": f, "options": options, "cases": "".join(cases)}


def main():
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    doc = Document(json.loads(source.read_text()))
    (out / "html").mkdir(parents=True, exist_ok=True)
    (out / f"{PROGRAM}.1").write_text(man_program(doc))
    (out / "qemu-qmp-ref.7").write_text(man_qmp(doc))
    (out / "qemu.schema.json").write_text(json.dumps(json_schema(doc), indent=1))
    (out / f"{PROGRAM}.bash").write_text(completion(doc))
    for name, text in html_pages(doc).items():
        (out / "html" / name).write_text(text)


if __name__ == "__main__":
    main()
