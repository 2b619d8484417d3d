"""A small real HTTP server that plays the service: each test says what it answers, and reads what it was asked."""

import io
import json
import sys
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import python_multipart

NOW = "2026-11-23T12:00:00Z"


@dataclass
class Asked:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def parts(self):
        """(field, file name or None, bytes) of a multipart body, in order."""
        found = []

        def on_file(file):
            file.file_object.seek(0)
            found.append((file.field_name.decode(), file.file_name.decode(), file.file_object.read()))

        headers = {"Content-Type": self.headers["content-type"], "Content-Length": str(len(self.body))}
        python_multipart.parse_form(
            headers,
            io.BytesIO(self.body),
            lambda one: found.append((one.field_name.decode(), None, one.value)),
            on_file,
        )
        return found

    def field(self, name):
        """The values of a form field; of files, their names."""
        return [file or content.decode() for found, file, content in self.parts if found == name]


@dataclass
class Answer:
    body: object = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: bool = False
    """Break the line: at once without a body, else after the body and before its end."""


class Service:
    def __init__(self):
        self.asked = []
        self._answers = defaultdict(list)
        self._lock = threading.Lock()
        self.url = ""

    def answer(self, method, path, *answers):
        """Give these answers in turn, the last for ever: an Answer, a body, or a function of what was asked."""
        self._answers[method, path] = list(answers)

    def asked_for(self, method, path):
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    def react(self, asked):
        with self._lock:
            self.asked.append(asked)
            answers = self._answers[asked.method, asked.path]
            answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else None
        if callable(answer):
            answer = answer(asked)
        if answer is None:
            answer = problem(404, "not_found", f"nothing at {asked.method} {asked.path}")
        return answer if isinstance(answer, Answer) else Answer(answer)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, unquote(split.path), parse_qs(split.query), headers, self._body())
        self._send(self.server.service.react(asked))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise AssertionError("the client should know how long its bodies are")
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, answer):
        if answer.cut and not answer.body:
            self.close_connection = True
            return
        raw = isinstance(answer.body, bytes)
        body = answer.body if raw else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        kind = "application/octet-stream" if raw else "application/json"
        length = len(body) + 100 if answer.cut else len(body)
        for name, value in {"Content-Type": kind, "Content-Length": length, **answer.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or answer.cut


class Server(ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A client may hang up on us; anything else is a fault of the test and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)


@contextmanager
def running():
    service = Service()
    server = Server(("127.0.0.1", 0), Handler)
    server.service = service
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(status, code, detail="", *, headers=None, **members):
    body = {"code": code, "title": code, "detail": detail, "status": status, **members}
    return Answer(body, status, {"Content-Type": "application/problem+json", **(headers or {})})


def page(*records, cursor=None):
    return {"object": "list", "data": list(records), "next_cursor": cursor, "has_more": cursor is not None}


def job(status="running", job_id="trn_1", kind="training", **members):
    done = status in {"succeeded", "failed", "cancelled", "expired"}
    progress = {"fraction": 1.0 if done else 0.5, "unit": "epochs", "completed": 1, "total": 2}
    record = {"object": kind, "id": job_id, "status": status, "done": done, "progress": progress, "created_at": NOW}
    return {**record, "request": {"recipe": {"pretrained": False}}, **members}


def failed(code, job_id="trn_1", **members):
    error = {"code": code, "title": code, "detail": f"it was {code}", "hint": "do something else"}
    return job("failed", job_id, error=error, **members)


def dataset(name="pets", **members):
    return {"object": "dataset", "id": "dst_1", "name": name, "created_at": NOW, **members}


def model(**members):
    record = {"object": "model", "id": "mdl_1", "name": "pets", "label_names": ["cat", "dog"], "backbone": "resnet34"}
    return {**record, "image_size": 224, "pretrained": True, "created_at": NOW, "evaluation_id": "evl_1", **members}


def evaluation(**members):
    rows = [{"label": label, "precision": 1, "recall": 0.5, "f1": 0.7, "support": 2} for label in ("cat", "dog")]
    confusion = [[2, 0], [1, 1]]
    metrics = {"accuracy": 0.75, "loss": 0.4, "images": 4, "label_names": ["cat", "dog"]}
    metrics |= {"per_class": rows, "confusion": confusion}
    record = {"object": "evaluation", "id": "evl_1", "model_id": "mdl_1", "dataset_id": "dst_1", "snapshot_id": "snp_1"}
    return {**record, "split": "valid", "metrics": metrics, "created_at": NOW, **members}


def batch_drift(**members):
    pictures = {"images": 40, "labels": {"cat": 40}, "scores": [2] * 20, "known_scores": [2] * 20}
    facts = {"batch_id": "bat_1", "model_id": "mdl_1", "created_at": NOW, "images": 40, "strange": 1, "expected": 2.04}
    return {"object": "batch_drift", "pictures": pictures, **facts, **members}


def drift(*batches, **members):
    held_out = {"images": 80, "labels": {"cat": 40, "dog": 40}, "scores": [4] * 20, "known_scores": [4] * 20}
    return page(*batches) | {"model_id": "mdl_1", "held_out": held_out} | members


def comparison(**members):
    record = {"object": "comparison", "evaluation_a": "evl_1", "evaluation_b": "evl_2", "model_a": "mdl_1"}
    record |= {"model_b": "mdl_2", "images": 40, "only_a": 0, "only_b": 3, "relabelled": 0, "accuracy_a": 0.9}
    record |= {"accuracy_b": 0.875, "difference": -0.025, "difference_interval": [-0.08, 0.03], "right_only_a": 2}
    record |= {"right_only_b": 1, "p_value": 0.5, "classes_better": 0, "classes_worse": 1, "changed": 3, "changes": []}
    row = {"label": "dog", "images": 20, "right_a": 18, "right_b": 17, "difference": -0.05, "p_value": 1.0}
    return record | {"per_class": [row], "summary": "-2.5 points, p = 0.5, 1 class worse", **members}


def prediction(custom_id="a.png", label="cat", **members):
    scores = [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}]
    record = {"seq": 0, "custom_id": custom_id, "status": "succeeded", "label": label, "score": 0.9, "decision": label}
    return {**record, "scores": scores, **members}


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def events(*records):
    """Server-sent events of (number, name, data); without a number there is no `id:` line."""
    text = ""
    for number, name, data in records:
        text += (f"id: {number}\n" if number else "") + f"event: {name}\ndata: {json.dumps(data)}\n\n"
    return text.encode()


STREAM = {"Content-Type": "text/event-stream"}
