"""Invalid requests derived from OpenAPI, so that new paths, parameters and members are covered too."""

import base64
import json
from itertools import combinations, cycle, islice
from urllib.parse import quote

from db.paging import Window
from tests.api.conftest import picture
from tsukiji.json_input import MOST_DEPTH

JSON = "application/json"
FORM = "multipart/form-data; boundary=b"
DEEP = "[" * 5000
TEXTS = ["\ufffe🍣", "x" * 20_000, "-1", "1e400", str(2**31), str(2**63), "9" * 5000]
JSON_VALUES = [
    *("null", "true", "[]", "{}", '""', "-1", "1.5", "1e400", "NaN", str(2**63), "9" * 400, "9" * 5000, '"x"', DEEP),
    *(r'"a\u0000b"', r'"\ud800"', '"' + "x" * 3000 + '"', r'{"\ud800": 1}', r'{"\u0000": "a"}', "[[1], [2]]"),
    *('[{"a": null}]', "[" * 500 + "]" * 500, "[" * MOST_DEPTH + "]" * MOST_DEPTH, f"[0, 0, {2**63}, {2**63}]"),
]
KEYS = [None, True, 0, -1, 2**63, 2**63 - 1, 10**30, 1.5, "", "\0", "\ud800", "x", [], [True, True], [1.5, 2**63], {}]
KEYS += [[1e308, -1], ["\ud800", 1.0, "a", "b"], ["a", 2**64, "a", "b"], ["a", True, "\0", "b"], [[]] * 4]
FIELD_VALUES = [b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"+2AA-", b"1e400", b"9" * 5000, b"x" * 70_000]
FIELD_VALUES += [b'["a", 1]', b'["\\ud800"]', b'["\\u0000"]', b"[" * 5000, b"[null]", b"NaN"]
CHARSETS = ["utf-7", "utf-16", "idna", "hex", "punycode", "raw_unicode_escape", "undefined", "x", '"']
HEADERS = {
    "host": [b"", b"[", b"[::1", b"127.0.0.1:x", b"127.0.0.1\xff", b"a b", b"127.0.0.1/..", b"127.0.0.1@x"],
    "authorization": [b"", b"Bearer", b"Bearer \xff", b"Bearer tsk_", b"Basic !", b"bearer tsk_" + b"\xe9" * 9],
    "cookie": [b"tsukiji_session=\xff", b"tsukiji_session", b"=;=;", b'tsukiji_session="\\377"'],
    "origin": [b"null", b"http://[", b"\xff"],
    "content_length": [b"-1", b"1e3", b"9" * 5000, b"\xb2"],
    "content_type": [
        b"",
        b"\xff",
        b"application/json; charset",
        b"/",
        b";;=",
        b"multipart/form-data; boundary*=x",
    ],
    "accept": [b"", b"\xff", b"*/*;q=x", b"," * 5000],
    "prefer": [b"wait=", b"wait=-1", b"=", b"\xff", b"wait=\xb2"],
    "if_none_match": [b"*", b"\xff", b",,,", b'W/"'],
    "idempotency_key": [b"", b'"', b"\xe9", b"x" * 256],
    "content_digest": [b"sha-256=::", b"sha-256=:" + b"=" * 44 + b":", b"\xff", b"sha-256=:" + b"A" * 42 + b"B=:"],
    "last_event_id": [b"\xb2", b"9" * 18, b"9" * 400, b"-1", b"\xd9\xa1"],
    "x_request_id": [b"\xff", b"x" * 9000, b"a\tb"],
}
READERS = [
    ("get", "/"),
    ("post", "/sign-in"),
    ("get", "/v1/jobs/{job}"),
    ("get", "/v1/jobs/{job}/events"),
    ("post", "/v1/datasets"),
    ("post", "/v1/batches"),
    ("put", "/v1/uploads/{upload}/parts/{number}"),
    ("get", "/v1/images/{image}/content"),
    ("get", "/v1/batches/{batch}/results"),
]
"""An address for each way in which a request is read."""
PATHS = ["/v1/\xff", "/v1//datasets", "/static/../api/main.py", "/static/..%2f..%2fapi/main.py", "/static/%00"]
PATHS += ["/static/" + "x" * 5000, "/docs/assets/" + "a/" * 3000, "/static/%ff%fe", "/v1/datasets/%ED%A0%80", "//x/.."]
BODIES = [b"", b"\0", b"\xff\xfe{\0", DEEP.encode(), b'{"a":' * 5000, b"\n" * 5000, b"PK\x05\x06" + b"\0" * 18]
BODIES += [b"9" * 5000, b'{"image": "\\ud800"}\n', b"file,label\n\0,\0\n"]
QUERIES = [
    b"model=production",
    b"model=production&filename=%00",
    b"filename=%ED%A0%80&top_k=" + b"9" * 20,
    b"label=%00",
]


def operations(app):
    schema = app.openapi()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield schema, path, method, operation


def content(operation, kind):
    return operation.get("requestBody", {}).get("content", {}).get(kind)


def case(method, path, query=b"", body=b"", **fields):
    headers = {name: value if isinstance(value, bytes) else value.encode() for name, value in fields.items()}
    return method.upper(), path, query, body, headers


def parameters(app, each=2):
    """Yield each parameter with `each` of the values, by turns all of them, and with what no text may hold."""
    values = cycle(TEXTS)
    for _, path, method, operation in operations(app):
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            for value in ["\0", str(2**63), *islice(values, each)]:
                match parameter["in"]:
                    case "path":
                        yield case(method, path.replace("{" + name + "}", quote(value, safe="")))
                    case "query":
                        yield case(method, path, f"{name}={quote(value, safe='')}".encode())
                    case "header" if "\0" not in value and len(value) < 10_000:
                        yield case(method, path, **{name.lower(): value})


def cursors(app):
    """Yield cursors with any key; the test makes them belong to every address and filter."""
    texts = [json.dumps([Window().digest(), key]) for key in KEYS] + [f'["{Window().digest()}"]', DEEP, '{"a": 1}']
    found = [base64.urlsafe_b64encode(text.encode()).decode() for text in texts] + ["%00", "%ED%A0%80", "=" * 50]
    turns = cycle(found)
    for schema, path, method, operation in operations(app):
        known = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        if "cursor" in known:
            for order in usual(schema, known["order"]) if "order" in known else [""]:
                for cursor in islice(turns, len(found) // 2):
                    query = f"cursor={cursor}" + (f"&order={order}" if order else "")
                    yield case(method, path, query.encode(), accept=JSON)


def parameters_together(app):
    for schema, path, method, operation in operations(app):
        known = [one for one in operation.get("parameters", []) if one["in"] == "query"]
        values = {one["name"]: usual(schema, one) for one in known}
        fixed = "".join(f"&{name}=x" for name in ("a", "b") if name in values)
        if method == "get":
            for (one, ones), (other, others) in combinations(values.items(), 2):
                few = max(len(ones), len(others)) if "order" in {one, other} else 1
                for first, second in islice(zip(cycle(ones), cycle(others), strict=False), few):
                    yield case(method, path, f"{one}={first}&{other}={second}{fixed}".encode())


def usual(schema, parameter):
    """Return values that a parameter may have."""
    node, found = resolve(schema, parameter["schema"]), []
    for one in [resolve(schema, inner) for inner in [node, *node.get("anyOf", [])]]:
        known = {"boolean": ["true", "false"], "integer": ["1"], "number": ["0.5", "0"], "string": ["eel"]}
        found += map(str, one["enum"]) if "enum" in one else known.get(one.get("type"), [])
    return found


def resolve(schema, node):
    while "$ref" in node:
        node = schema["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    return node


def example(schema, node):
    """Return the smallest value that a schema describes."""
    node = resolve(schema, node)
    if told := [node[one] for one in ("default", "const", "example") if one in node]:
        return told[0]
    if told := [node[many][0] for many in ("examples", "enum") if many in node]:
        return told[0]
    if inner := node.get("anyOf", node.get("oneOf")):
        return example(schema, inner[0])
    match node.get("type"):
        case "object":
            found = {name: example(schema, node["properties"][name]) for name in node.get("required", [])}
            return found | ({"filter": {}} if "filter" in node.get("properties", {}) else {})
        case "array":
            items = node.get("prefixItems") or [node["items"]] * node.get("minItems", 0)
            return [example(schema, item) for item in items]
        case "integer" | "number":
            return node.get("minimum", 1)
        case "boolean":
            return True
    return "x" * node.get("minLength", 1)


def places(schema, node, depth=3):
    """Yield the way to every member that an object may have, and to members of these."""
    node = resolve(schema, node)
    for one in node.get("oneOf", []) + node.get("anyOf", []):
        yield from places(schema, one, depth)
    if "items" in node and depth:
        yield from ((0, *way) for way in places(schema, node["items"], depth - 1))
    for name, inner in node.get("properties", {}).items():
        yield (name,)
        if depth:
            yield from ((name, *way) for way in places(schema, inner, depth - 1))


def put(base, way, value):
    """Return a copy in which the value is at the end of the way; what is missing on it is made."""
    if not way:
        return value
    step, *rest = way
    if isinstance(step, int):
        return [put(base[0] if isinstance(base, list) and base else None, rest, value)]
    base = base if isinstance(base, dict) else {}
    return base | {step: put(base.get(step), rest, value)}


def json_bodies(app, each=3):
    """Yield bodies that are right but for one member. Each member gets `each` of the values, by turns all of them."""
    values = cycle(JSON_VALUES)
    for schema, path, method, operation in operations(app):
        if (told := content(operation, JSON)) is None:
            continue
        node = resolve(schema, told["schema"])
        for kind in node.get("oneOf", [node]):
            base = example(schema, kind)
            for way in [*dict.fromkeys(places(schema, kind)), ("\ud800",)]:
                for value in [r'"\ud800"', *islice(values, each)]:
                    text = json.dumps(put(base, way, "HERE")).replace('"HERE"', value)
                    yield case(method, path, body=text.encode(), content_type=JSON)
        for value in [*JSON_VALUES, "", '{"a":', "\ufeff{}"]:
            yield case(method, path, body=value.encode(), content_type=JSON)
        for charset in ("utf-16", "utf-7", "hex"):
            body = json.dumps(base).encode("utf-16" if charset == "utf-16" else "utf-8")
            yield case(method, path, body=body, content_type=f"{JSON}; charset={charset}")
        for body in (b'{"name": "\xe9"}', b'{"name": "\xed\xa0\x80"}'):
            yield case(method, path, body=body, content_type=JSON)


def form(*parts):
    """Return a multipart body: each part is its headers and its content."""
    return b"".join(b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + b"--b--\r\n"


def part(name, content, filename=None):
    said = b"" if filename is None else b'; filename="' + filename + b'"'
    return b'Content-Disposition: form-data; name="' + name + b'"' + said, content


def forms(app):
    data = picture()
    for schema, path, method, operation in operations(app):
        if (told := content(operation, "multipart/form-data")) is None:
            continue
        node = resolve(schema, told["schema"])
        file = b"package" if "package" in node["properties"] else b"files"
        right = part(file, data, b"a.png")
        needed = [part(name.encode(), b"production") for name in node["required"] if name.encode() != file]
        for name in node["properties"]:
            for value in FIELD_VALUES:
                yield case(method, path, body=form(*needed, right, part(name.encode(), value)), content_type=FORM)
        for charset in CHARSETS:
            body = form(*needed, right, part(b"label", b"+2AA-"), part(b"name", b"+2AA-"))
            yield case(method, path, body=body, content_type=f"{FORM}; charset={charset}")
        for value in [one for one in FIELD_VALUES if len(one) < 1000]:
            for wrong in (part(file, data, value), part(value, data, b"a"), part(value, b"x"), (value, b"x")):
                yield case(method, path, body=form(*needed, right, wrong), content_type=FORM)
        for kind in ("multipart/form-data", f"{FORM}; boundary=c", f'{FORM}"', FORM + "b" * 300):
            yield case(method, path, body=form(right), content_type=kind)
        for body in (b"", b"--b", b"--b\r\n", b"--b--", form((b"X: " + b"x" * 100_000, b"")), form(*[right] * 200)):
            yield case(method, path, body=body, content_type=FORM)
    yield case("post", "/sign-in", body=form(part(b"key", b"+2AA-")), content_type=f"{FORM}; charset=utf-7")


def raw_bodies(app):
    digest = "sha-256=:" + "A" * 43 + "=:"
    for _, path, method, operation in operations(app):
        for kind in set(operation.get("requestBody", {}).get("content", {})) - {JSON, "multipart/form-data"}:
            for body, query in zip(BODIES, cycle(QUERIES), strict=False):
                fields = {"content_type": kind.replace("*", "png"), "content_digest": digest}
                yield case(method, path, query, body, **fields)


def headers(app):
    for method, path in READERS:
        body, fields = (b"", {}) if method == "get" else (b"{}", {"content_type": JSON})
        for name, values in HEADERS.items():
            for value in values:
                yield case(method, path, body=body, **fields | {name: value})


def paths(app):
    for path in PATHS:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "BREW"):
            yield case(method, quote(path, safe="/%"))


KINDS = [parameters, parameters_together, cursors, json_bodies, forms, raw_bodies, headers, paths]
