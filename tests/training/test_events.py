import json
import os

import pytest

from training.events import Events, Log, Progress, parse


def test_each_event_is_one_line_of_json() -> None:
    reading, writing = os.pipe()
    Events(writing).send(Log(message="two\nlines, ünd more"))
    os.close(writing)
    with os.fdopen(reading) as stream:
        (line,) = stream.readlines()
    assert json.loads(line) == {"type": "log", "message": "two\nlines, ünd more"}


def test_what_is_no_number_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Events(-1).send(Progress(epoch=1, epochs=1, batch=1, batches=1, loss=float("nan"), eta_seconds=0))


def test_an_unknown_event_is_an_error() -> None:
    assert parse(b'{"type": "log", "message": "one"}') == Log(message="one")
    for line in (b'{"type": "surprise"}', b'{"type": "log"}', b"no JSON"):
        with pytest.raises(ValueError):  # noqa: PT011 - pydantic words it
            parse(line)
