import subprocess
import sys

import pytest

import tsukiji
import tsukiji.client

HEAVY = {"torch", "celery", "sqlalchemy", "PIL", "pydantic_settings", "boto3", "fastapi", "numpy"}


def modules_after(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_every_public_name_exists_and_is_the_client_s():
    assert set(tsukiji.__all__) == {"__version__", *tsukiji.client.__all__}
    for name in tsukiji.client.__all__:
        assert getattr(tsukiji, name) is getattr(tsukiji.client, name)


def test_a_prompt_that_completes_shows_the_client():
    listed = subprocess.run(
        [sys.executable, "-c", "import tsukiji; print(*dir(tsukiji))"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(tsukiji.__all__) <= set(listed)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="Klient"):
        tsukiji.Klient  # noqa: B018 - looking is the test


def test_the_bare_import_brings_no_client_and_the_client_nothing_heavy():
    assert not modules_after("import tsukiji") & (HEAVY | {"httpx2", "pydantic", "rich", "typer"})
    assert not modules_after("from tsukiji import Client") & (HEAVY | {"rich", "typer"})
