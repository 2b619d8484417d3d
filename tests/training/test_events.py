import json
import os

import pytest

from training.events import Events


def test_each_event_is_one_line_of_json() -> None:
    reading, writing = os.pipe()
    Events(writing).send("log", message="two\nlines, ünd more")
    os.close(writing)
    with os.fdopen(reading) as stream:
        (line,) = stream.readlines()
    assert json.loads(line) == {"type": "log", "message": "two\nlines, ünd more"}


def test_what_is_no_number_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Events(-1).send("progress", loss=float("nan"))
