"""An upload as the service tells it."""

import hashlib

from devtools.scripted_service import NOW

DATA = bytes(range(250)) * 10
SHA = hashlib.sha256(DATA).hexdigest()
PLACE = "/v1/uploads/upl_1"


def record(**members):
    known = {"object": "upload", "id": "upl_1", "name": "pets.zip", "status": "open", "bytes": 2500, "sha256": SHA}
    known |= {"part_bytes": 1000, "parts_total": 3, "bytes_confirmed": 0, "parts": []}
    return known | {"created_at": NOW, "expires_at": NOW} | members
