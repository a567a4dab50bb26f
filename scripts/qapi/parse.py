"""Text of a schema file to a list of expressions with their doc comments and places.

The syntax (docs/schema.md): `#` comments, `##` doc blocks, and dict expressions of strings in single or double
quotes, integers, numbers, true, false, null, lists and dicts.
"""
import re
from errors import Loc, SchemaError

TOKEN = re.compile(r"""
    (?P<space>[ \t\r]+) | (?P<newline>\n) | (?P<comment>\#[^\n]*)
  | (?P<str>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
  | (?P<number>-?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![\w.]))
  | (?P<word>[A-Za-z_]\w*) | (?P<punct>[{}\[\]:,])
""", re.VERBOSE)
WORDS = {"true": True, "false": False, "null": None}
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
MAX_DEPTH = 32


class Node(dict):
    """A dict that knows its own place and that of each key."""

    def __init__(self, loc):
        super().__init__()
        self.loc = loc
        self.key_loc = {}


class Doc:
    """A doc block: text of the item, text of each @name in it, tagged lines."""

    def __init__(self, loc):
        self.loc = loc
        self.name = None
        self.text = ""
        self.members = {}     # name -> (text, loc)
        self.since = None
        self.used = set()


class Expr:
    def __init__(self, node, doc):
        self.node = node
        self.doc = doc


class Parser:
    def __init__(self, file, text):
        self.file = file
        self.tokens = []
        self.docs = []        # (index of the token after it, Doc)
        self.pos = 0
        self.tokenize(text)

    def tokenize(self, text):
        line, at, comments = 1, 0, []
        while at < len(text):
            m = TOKEN.match(text, at)
            if not m:
                raise SchemaError(Loc(self.file, line), f"stray {text[at]!r}; strings are quoted 'like this'")
            kind = m.lastgroup
            if kind == "newline":
                line += 1
            elif kind == "comment":
                comments.append((line, m.group()))
                self.comment(comments)
            elif kind != "space":
                if comments and comments[0][1].rstrip() == "##":
                    raise SchemaError(Loc(self.file, comments[0][0]), "doc comment is not closed by a line '##'")
                comments = []
                self.tokens.append((kind, m.group(), line))
            at = m.end()
        if comments and comments[0][1].rstrip() == "##":
            raise SchemaError(Loc(self.file, comments[0][0]), "doc comment is not closed by a line '##'")
        self.tokens.append(("end", "", line))

    def comment(self, comments):
        """Turns a finished block of comments, from ## to ##, into a Doc."""
        if comments[0][1].rstrip() != "##":
            comments.clear()
        elif len(comments) > 1 and comments[-1][1].rstrip() == "##":
            self.docs.append((len(self.tokens), self.doc(comments[1:-1], comments[0][0])))
            comments.clear()

    def doc(self, lines, first):
        doc = Doc(Loc(self.file, first))
        name, text, since_loc = None, [], None

        def close():
            body = "\n".join(text).strip()
            body = "\n\n".join(" ".join(p.split()) for p in re.split(r"\n\s*\n", body))
            if name is not None and name == doc.name and name not in doc.members:
                doc.text = body
            elif name is not None:
                doc.members[name] = (body, at)

        at = doc.loc
        for n, line in lines:
            body = line[1:].strip()
            m = re.match(r"@([\w.,+-]+):\s*(.*)$" if doc.name else r"@([\w.,+ |?-]+):\s*(.*)$", body)
            since = re.match(r"Since:\s*([0-9]+(?:\.[0-9]+){1,2})$", body)
            if m:
                if name is None and body and doc.name is None:
                    doc.name = m.group(1)
                close()
                name, text, at = m.group(1), [m.group(2)], Loc(self.file, n)
                if name in doc.members or (name == doc.name and doc.text):
                    raise SchemaError(at, f"'@{name}:' is described twice")
            elif since:
                if since_loc:
                    raise SchemaError(Loc(self.file, n), "second 'Since:' line")
                since_loc, doc.since = n, since.group(1)
            elif body.startswith("Since:"):
                raise SchemaError(Loc(self.file, n), "'Since:' wants a version such as 10.0")
            elif name is None and body:
                raise SchemaError(Loc(self.file, n), "doc comment begins with '# @NAME: what it is'")
            else:
                text.append(body)
        close()
        if doc.name is None:
            raise SchemaError(doc.loc, "doc comment begins with '# @NAME: what it is'")
        return doc

    # The grammar of expressions.

    def peek(self):
        return self.tokens[self.pos]

    def next(self):
        self.pos += 1
        return self.tokens[self.pos - 1]

    def error(self, token, text):
        shown = token[1] or "end of file"
        raise SchemaError(Loc(self.file, token[2]), f"{text}, not {shown}")

    def expect(self, what):
        token = self.next()
        if token[1] != what or token[0] != "punct":
            self.error(token, f"expected '{what}'")

    def value(self, depth=0):
        kind, text, line = token = self.next()
        if depth > MAX_DEPTH:
            raise SchemaError(Loc(self.file, line), f"nested deeper than {MAX_DEPTH}")
        if kind == "str":
            return self.string(text, line)
        if kind == "number":
            return float(text) if re.search(r"^[^xX]*[.eE]", text) else int(text, 0) if "x" in text.lower() else int(text)
        if kind == "word" and text in WORDS:
            return WORDS[text]
        if text == "{":
            return self.dict(line, depth)
        if text == "[":
            return self.list(depth)
        return self.error(token, "expected a string, number, true, false, null, '[' or '{'")

    def string(self, text, line):
        def escape(m):
            if m.group(1) not in ESCAPES:
                raise SchemaError(Loc(self.file, line), f"unknown escape '\\{m.group(1)}'")
            return ESCAPES[m.group(1)]
        return re.sub(r"\\(.)", escape, text[1:-1])

    def dict(self, line, depth):
        node = Node(Loc(self.file, line))
        while self.peek()[1] != "}" or self.peek()[0] != "punct":
            kind, text, at = token = self.next()
            if kind != "str":
                self.error(token, "expected a key in quotes or '}'")
            key = self.string(text, at)
            if key in node:
                raise SchemaError(Loc(self.file, at), f"key '{key}' is given twice")
            self.expect(":")
            node.key_loc[key] = Loc(self.file, at)
            node[key] = self.value(depth + 1)
            if self.peek()[1] != ",":
                break
            self.next()
        self.expect("}")
        return node

    def list(self, depth):
        items = []
        while self.peek()[1] != "]" or self.peek()[0] != "punct":
            items.append(self.value(depth + 1))
            if self.peek()[1] != ",":
                break
            self.next()
        self.expect("]")
        return items

    def expressions(self):
        out, docs = [], dict(self.docs)
        if len(docs) != len(self.docs):
            seen = set()
            for at, doc in self.docs:
                if at in seen:
                    raise SchemaError(doc.loc, f"doc comment of '{doc.name}' follows another one; each belongs to the item after it")
                seen.add(at)
        while self.peek()[0] != "end":
            doc = docs.pop(self.pos, None)
            token = self.peek()
            if token[1] != "{":
                self.error(token, "expected '{'")
            out.append(Expr(self.value(), doc))
        for doc in docs.values():
            raise SchemaError(doc.loc, f"no item follows the doc comment of '{doc.name}'")
        return out


def parse(file, text):
    return Parser(file, text).expressions()
