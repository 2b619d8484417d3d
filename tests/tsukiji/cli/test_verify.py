"""`tsukiji models verify`: what the verifier finds, as a table or as JSON, and an exit code."""

import json

import pytest

from tests.tsukiji.vision.packages import write_package
from tsukiji.cli import verify


@pytest.fixture(scope="module")
def package_folder(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("cli") / "model")


def test_a_whole_package_passes_and_what_was_not_done_is_said(run, package_folder):
    result = run("models", "verify", package_folder)
    assert result.exit_code == 0
    lines = [line.split("\t")[:2] for line in result.stdout.splitlines()[1:]]
    assert lines == [["hashes", "ok"], ["formats", "ok"], ["weights", "ok"], ["self-test", "not done"]]
    assert "not everything" in result.stderr


def test_an_altered_package_fails(run, package_folder, tmp_path):
    for path in package_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "README.md").write_text("# Another\n")
    result = run("models", "verify", tmp_path, "--json")
    verdict = json.loads(result.stdout)
    assert (result.exit_code, verdict["ok"]) == (1, False)
    assert "README.md was modified" in verdict["checks"][0]["detail"]


def test_nothing_there(run, tmp_path):
    result = run("models", "verify", tmp_path / "no.zip")
    assert result.exit_code == 1
    assert "does not exist" in result.stderr


def test_a_verifier_that_breaks_down_is_no_verdict(run, package_folder, monkeypatch):
    monkeypatch.setattr(verify, "PROGRAM", "tsukiji.ingest.packages.that_nobody_wrote")
    result = run("models", "verify", package_folder)
    assert result.exit_code == 1
    assert "that_nobody_wrote" in result.stderr
