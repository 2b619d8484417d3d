"""Tables and manifests that no honest program writes, and what must become of each.

Of a table: the labels of `images/1.jpg` and `images/2.jpg`, and the codes of its faults. Of a manifest: the images of
its good lines, and the codes of the others.
"""

import json

LINE, TABLE, LOST, REFUSED = "table_line_invalid", "table_invalid", "file_not_sent", "label_refused"
BROKEN, AGAIN = "manifest_line_invalid", "duplicate_custom_id"
HEAD = b"file,label\n"
CAT = b"images/1.jpg,cat\n"
DOG = b"images/2.jpg,dog\n"
BOTH = ("cat", "dog")
NEITHER = ("images", "images")
"""Where no table says otherwise, the folder is the label."""
MB = 2**20


def coco(images=None, annotations=None, categories=None, **more):
    images = (
        [{"id": 1, "file_name": "images/1.jpg"}, {"id": 2, "file_name": "images/2.jpg"}] if images is None else images
    )
    linked = [{"image_id": 1, "category_id": 1}, {"image_id": 2, "category_id": 2}]
    named = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {
        "images": images,
        "annotations": linked if annotations is None else annotations,
        "categories": named if categories is None else categories,
    }
    return json.dumps(document | more).encode()


def rows(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


JSON_CAT = {"file": "images/1.jpg", "label": "cat"}
JSON_DOG = {"file": "images/2.jpg", "label": "dog"}

CSV = {
    "nothing": (b"", NEITHER, [TABLE]),
    "byte order mark": (b"\xef\xbb\xbf" + HEAD + CAT + DOG, BOTH, []),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + HEAD + CAT + DOG, BOTH, []),
    "UTF-16": ((HEAD + CAT + DOG).decode().encode("utf-16"), BOTH, []),
    "UTF-16 cut in half": ((HEAD + CAT + DOG).decode().encode("utf-16") + b"\0", BOTH, [LINE]),
    "UTF-16 without a mark": ((HEAD + CAT + DOG).decode().encode("utf-16-le"), (None, None), [LINE, LOST, LOST]),
    "UTF-32": ((HEAD + CAT + DOG).decode().encode("utf-32"), (None, None), [LINE, LOST, LOST]),
    "no UTF-8": (HEAD + CAT + b"images/2.jpg,caf\xe9\n", ("cat", "café"), []),
    "bytes of no code page": (HEAD + CAT + b"images/2.jpg,\x81\x8d\n", ("cat", REFUSED), []),
    "UTF-8 too long": (HEAD + CAT + b"images/2.jpg,\xc0\xaf\n", ("cat", "À¯"), []),
    "NUL in a cell": (HEAD + CAT + b"images/2.jpg,do\0g\n", ("cat", REFUSED), []),
    "NULs alone": (bytes(MB), NEITHER, [TABLE]),
    "escape sequence": (HEAD + CAT + b"images/2.jpg,\x1b[2J\n", ("cat", REFUSED), []),
    "right to left": (HEAD + CAT + "images/2.jpg,dog\u202e\n".encode(), BOTH, []),
    "cell of 10 MB": (HEAD + CAT + b"images/2.jpg," + b"x" * 10 * MB + b"\n", ("cat", None), [LINE]),
    "quoted cell of 140 kB": (HEAD + CAT + b'images/2.jpg,"' + b"x\n" * 70_000 + b'"\n' + DOG, TABLE, []),
    "header of 10 MB": (b"x" * 10 * MB + b"\n" + CAT, NEITHER, [TABLE]),
    "10,000 columns": (
        b"file,label," + b",".join(b"c%d" % n for n in range(10_000)) + b"\nimages/1.jpg,cat" + b"," * 10_000,
        ("cat", None), [],
    ),
    "10,000 columns of one name": (b"file," * 10_000 + b"label\n" + CAT, (None, None), [LINE]),
    "100,000 commas": (HEAD + CAT + b"," * 100_000 + b"\n" + DOG, BOTH, []),
    "10,000 lines end": (HEAD + CAT + b"\n" * 10_000 + DOG, BOTH, []),
    "10,000 quotes": (HEAD + CAT + b'"\n' * 10_000, TABLE, []),
    "quotes without end": (HEAD + CAT + b'"a""b\n' * 2500 + DOG, TABLE, []),
    "quote never closed": (HEAD + CAT + b'"images/2.jpg,dog\n' + DOG, BOTH, [LINE]),
    "quote inside": (HEAD + CAT + b'images/2.jpg,"dog"s\n', ("cat", None), [LINE]),
    "other ends of lines": (b"file,label\rimages/1.jpg,cat\rimages/2.jpg,dog", BOTH, []),
    "form feeds": (HEAD + CAT + b"images/2.jpg,d\x0cog\n", ("cat", REFUSED), []),
    "formula": (HEAD + CAT + b"images/2.jpg,=cmd|' /C calc'!A0\n", ("cat", "=cmd|' /C calc'!A0"), []),
    "files outside": (HEAD + CAT + DOG + b"../../etc/passwd,cat\n/etc/passwd,cat\n", BOTH, [LOST, LOST]),
    "address of a file": (b"url,label\nfile:///etc/passwd,cat\n", (None, None), []),
    "address of the machine": (b"url,label\nhttp://169.254.169.254/latest,cat\n", (None, None), []),
    "address of unknown kind": (b"url,label\ngopher://x/1.jpg,cat\n", (None, None), [LOST]),
    "crop of infinity": (
        b"file,label,crop_left,crop_upper,crop_right,crop_lower\nimages/1.jpg,cat,0,0,1e999,5\n", (None, None), [LINE],
    ),
    "crop of 400 digits": (
        b"file,label,crop_left,crop_upper,crop_right,crop_lower\nimages/1.jpg,cat,0,0," + b"9" * 400 + b",5\n",
        ("cat", None), [],
    ),
    "crop of 5,000 digits": (
        b"file,label,crop_left,crop_upper,crop_right,crop_lower\nimages/1.jpg,cat,0,0," + b"9" * 5000 + b",5\n",
        (None, None), [LINE],
    ),
    "crop inside out": (
        b"file,label,crop_left,crop_upper,crop_right,crop_lower\nimages/1.jpg,cat,9,9,1,1\n", (None, None), [LINE],
    ),
    "more lines than there may be": (HEAD + b"x.jpg,cat\n" * 2001, TABLE, []),
    "parquet": (b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1", NEITHER, [TABLE]),
    "zip": (b"PK\3\4" + bytes(100), NEITHER, [TABLE]),
}  # fmt: skip

JSON_LINES = {
    "one that is none": (rows(JSON_CAT) + b"{\n" + rows(JSON_DOG), BOTH, [LINE]),
    "10,000 deep": (rows(JSON_CAT) + b"[" * 10_000 + b"\n" + rows(JSON_DOG), BOTH, [LINE]),
    "10,000 deep inside": (rows(JSON_CAT) + b'{"file":' * 10_000 + b"\n" + rows(JSON_DOG), BOTH, [LINE]),
    "NaN": (rows(JSON_CAT, {"file": "images/2.jpg", "label": float("nan")}), ("cat", None), []),
    "infinity": (rows(JSON_CAT, {"file": "images/2.jpg", "label": float("inf")}), ("cat", None), []),
    "number of 5,000 digits": (
        rows(JSON_CAT) + b'{"file":"images/2.jpg","label":' + b"9" * 5000 + b"}",
        ("cat", None), [LINE],
    ),
    "1e999": (rows(JSON_CAT) + b'{"file":"images/2.jpg","label":1e999}', ("cat", None), []),
    "names doubled": (b'{"file":"images/1.jpg","label":"dog","label":"cat"}\n' + rows(JSON_DOG), BOTH, []),
    "lone surrogate": (rows(JSON_CAT) + b'{"file":"images/2.jpg","label":"\\ud800"}', ("cat", REFUSED), []),
    "lone surrogate in a file": (rows(JSON_CAT) + b'{"file":"\\ud800","label":"dog"}', ("cat", None), [LOST]),
    "NUL": (rows(JSON_CAT) + b'{"file":"images/2.jpg","label":"\\u0000"}', ("cat", REFUSED), []),
    "list for a file": (rows(JSON_CAT, {"file": ["images/2.jpg"], "label": "dog"}), ("cat", None), [LINE]),
    "object for a label": (rows(JSON_CAT, {"file": "images/2.jpg", "label": {"a": 1}}), ("cat", None), [LINE]),
    "true for a file": (rows(JSON_CAT, {"file": True, "label": "dog"}), ("cat", None), [LOST]),
    "10 MB in one string": (rows(JSON_CAT, {"file": "x" * 10 * MB, "label": "dog"}, JSON_DOG), BOTH, [LOST]),
    "10,000 labels": (
        rows(JSON_CAT, {"file": "images/2.jpg", "label": [f"l{n}" for n in range(10_000)]}),
        ("cat", "several_labels"), [],
    ),
    "10,000 members": (rows(JSON_CAT, {f"m{n}": n for n in range(10_000)} | JSON_DOG), BOTH, []),
    "UTF-16": (rows(JSON_CAT, JSON_DOG).decode().encode("utf-16"), BOTH, []),
    "no lines": (b"\n" * 100_000, NEITHER, [TABLE]),
}  # fmt: skip

DOCUMENTS = {
    "10,000 deep": (b"[" * 10_000 + b"]" * 10_000, NEITHER, []),
    "cut": (coco()[:-10], NEITHER, []),
    "names doubled": (coco()[:-1] + b', "images": []}', (None, None), [LINE, LINE]),
    "image without a name": (coco(images=[{"id": 1}, {"id": 2, "file_name": 5}]), (None, None), [LINE, LINE]),
    "image that is none": (coco(images=[5, None, [], {"id": 2, "file_name": "images/2.jpg"}]), (None, "dog"), [LINE]),
    "image twice": (coco(images=[{"id": 1, "file_name": "images/1.jpg"}] * 2), ("cat", None), [LINE]),
    "file outside": (coco(images=[{"id": 1, "file_name": "../../etc/passwd"}]), (None, None), [LINE, LOST]),
    "category missing": (coco(categories=[{"id": 1, "name": "cat"}]), ("cat", None), [LINE]),
    "category that is none": (
        coco(categories=[{"id": 1, "name": {"a": 1}}, {"id": 2, "name": "dog"}]),
        (None, "dog"), [LINE],
    ),
    "categories of one id": (
        coco(categories=[{"id": 1, "name": "dog"}, {"id": 1, "name": "cat"}]),
        ("cat", None), [LINE],
    ),
    "ids of infinity": (
        coco(annotations=[{"image_id": float("inf"), "category_id": float("nan")}]),
        (None, None), [LINE],
    ),
    "100,000 annotations of one image": (
        coco(annotations=[{"image_id": 1, "category_id": 1}] * 100_000), ("cat", None), [],
    ),
    "lists that are none": (coco(images={}), NEITHER, []),
    "list of a table": (json.dumps([JSON_CAT, JSON_DOG, 5, None]).encode(), BOTH, [LINE, LINE]),
    "number alone": (b"5", NEITHER, []),
    "number of 5,000 digits": (b"9" * 5000, NEITHER, []),
}  # fmt: skip

OTHER = {
    "YOLO's labels.txt": (b"0 0.5 0.5 9e999 nan\n", NEITHER, []),
    "addresses.txt": (b"http://x/1.jpg\n" + b"\0\xff\n" * 3, (None, None), [LOST, LOST, LOST]),
    "VOC's 1.xml": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>', NEITHER, []),
    "manifest.manifest": (b'{"source-ref": "s3://b/images/1.jpg", "a-metadata": 5}\n', (None, None), []),
}

TABLES = {
    f"{kind}: {name}": (name if kind == "other" else f"table.{kind}", *case)
    for kind, cases in {"csv": CSV, "jsonl": JSON_LINES, "json": DOCUMENTS, "other": OTHER}.items()
    for name, case in cases.items()
}

A, B = b'{"image":"a"}\n', b'{"image":"b"}\n'
MANIFESTS = {
    "nothing": (b"", [], []),
    "byte order mark": (b"\xef\xbb\xbf" + A + B, ["a", "b"], []),
    "byte order mark inside": (A + b"\xef\xbb\xbf" + B, ["a"], [BROKEN]),
    "UTF-16": ((A + B).decode().encode("utf-16"), [], [BROKEN, BROKEN, BROKEN]),
    "no UTF-8": (A + b'{"image":"\xff"}\n' + B, ["a", "b"], [BROKEN]),
    "NUL": (A + b'{"image":"\\u0000"}\n' + B, ["a", "b"], [BROKEN]),
    "NULs alone": (A + bytes(MB) + b"\n" + B, ["a", "b"], [BROKEN]),
    "10,000 deep": (A + b'{"image":' * 7000 + b"\n" + B, ["a", "b"], [BROKEN]),
    "line of 10 MB": (A + b"x" * 10 * MB + b"\n" + B, ["a", "b"], [BROKEN]),
    "line without end": (A + b"x" * 10 * MB, ["a"], [BROKEN]),
    "NaN": (A + b'{"image":NaN}\n' + B, ["a", "b"], [BROKEN]),
    "number of 5,000 digits": (A + b'{"image":' + b"9" * 5000 + b"}\n" + B, ["a", "b"], [BROKEN]),
    "names doubled": (b'{"image":"a","image":"c"}\n' + B, ["c", "b"], []),
    "unknown member": (A + b'{"image":"b","command":"rm"}\n', ["a"], [BROKEN]),
    "the same": (A + A + B, ["a", "b"], [AGAIN]),
    "csv": (b"image,label\na,cat\n", [], [BROKEN, BROKEN]),
    "json": (b"[\n" + A + b"]\n", ["a"], [BROKEN, BROKEN]),
    "cut": (A + B[:-4], ["a"], [BROKEN]),
}
