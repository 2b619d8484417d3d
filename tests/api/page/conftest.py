"""A browser without script."""

import pytest

from tests.api.test_auth import SAME_SITE


@pytest.fixture
def browser(start, key):
    opened = start(follow_redirects=True)
    opened.headers.update(SAME_SITE | {"accept": "text/html"})
    opened.post("/sign-in", data={"key": key})
    return opened
