import base64
import hashlib

import pytest

from devtools.scripted_service import Answer
from tests.tsukiji.uploads import PLACE, record


@pytest.fixture
def kept(service):
    """A service that keeps parts and checks them as the real one does."""
    parts = {}

    def begin(asked):
        there = [{"number": n, "bytes": len(data), "sha256": "x"} for n, data in sorted(parts.items())]
        return Answer(record(parts=there, bytes_confirmed=sum(map(len, parts.values()))), 200 if parts else 201)

    def put(asked):
        found = base64.b64encode(hashlib.sha256(asked.body).digest()).decode()
        assert asked.headers["content-digest"] == f"sha-256=:{found}:"
        number = int(asked.path.rpartition("/")[2])
        parts[number] = asked.body
        return {"number": number, "bytes": len(asked.body), "sha256": "x"}

    service.answer("POST", "/v1/uploads", begin)
    for number in (1, 2, 3):
        service.answer("PUT", f"{PLACE}/parts/{number}", put)
    service.answer("POST", f"{PLACE}/complete", record(status="completed"))
    return parts
