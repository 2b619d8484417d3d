"""A client that is killed repeatedly while it sends to a real service: nothing is lost, nothing sent again."""

import hashlib
import json
import os
import random
import subprocess
import sys

import pytest

from db import keys
from db.session import Database
from devtools.servers import wait_until
from tsukiji import Client

pytestmark = pytest.mark.slow

PART_BYTES, PARTS, KILLS = 10_000, 150, 10
SENDER = """
import os
import sys
from tsukiji import Client
from tsukiji.client._sync import _uploads

send_part = _uploads._send_part
def told(transport, upload_id, number, data):
    os.write(1, b"%d\\n" % number)  # whole lines, whichever thread says it
    send_part(transport, upload_id, number, data)
_uploads._send_part = told
print(Client(*sys.argv[1:3]).uploads.send(sys.argv[3]).id, flush=True)
"""


@pytest.fixture
def served(settings, tmp_path):
    """Address and key of the real program, with small parts."""
    database = Database(settings)
    with database.transaction() as session:
        key = keys.create(session, "tests")[1]
    database.close()
    announced = tmp_path / "api.json"
    mine = {"TSUKIJI_DATA_DIR": str(settings.data.dir), "TSUKIJI_LIMIT_UPLOAD_PART_BYTES": str(PART_BYTES)}
    command = [sys.executable, "-m", "api", "--port", "0", "--announce", str(announced), "--watch-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | mine) as process:
        assert wait_until(lambda: announced.exists() or process.poll() is not None)
        yield json.loads(announced.read_text())["url"], key
        process.kill()


def test_killed_ten_times_it_sends_each_confirmed_part_once(served, settings, tmp_path):
    chance = random.Random(3)
    data = chance.randbytes(PART_BYTES * PARTS - 99)
    file = tmp_path / "pets.zip"
    file.write_bytes(data)
    for _ in range(KILLS):
        _send(served, file, chance.randint(1, 12))
    begun = _send(served, file, None)
    with Client(*served) as client:
        (upload,) = client.uploads.list()
    assert (upload.id, upload.status) == (begun, "completed")
    sha256 = hashlib.sha256(data).hexdigest()
    assert upload.sha256 == sha256
    blobs = settings.data.dir / "blobs"
    assert (blobs / sha256[:2] / sha256[2:4] / sha256).read_bytes() == data
    assert [path for path in (blobs / "uploads").rglob("*") if path.is_file()] == []


def _send(served, file, lines):
    """Run a client and kill it after this many parts; it must not start any part confirmed earlier."""
    with Client(*served) as client:
        confirmed = {part.number for one in client.uploads.list() for part in client.uploads.get(one.id).parts}
    command = [sys.executable, "-c", SENDER, *served, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = []
        for line in process.stdout:
            told.append(line.strip())
            if len(told) == lines:
                process.kill()
                break
    if lines is None:
        assert process.returncode == 0
        *told, upload_id = told
        assert confirmed
    sent = {int(number) for number in told}
    assert len(sent) == len(told)
    assert not sent & confirmed
    return None if lines else upload_id
