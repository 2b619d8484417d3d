"""`python -m tsukiji.ingest.packages.verify`: one verdict for a folder or a zip, also where there is no PyTorch."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.tsukiji.vision.packages import seal
from tsukiji.ingest.packages.verify import verify
from tsukiji.vision import package

LIGHT = """
import sys
for name in ("torch", "numpy", "PIL", "safetensors", "pydantic_settings"):
    sys.modules[name] = None
from tsukiji.ingest.packages.verify import main
sys.exit(main())
"""


def found(verdict):
    return {look.check: look.ok for look in verdict.checks}


def test_a_folder_and_its_zip_are_whole_and_answer_as_recorded(folder, tmp_path):
    whole = {"hashes": True, "formats": True, "weights": True, "self-test": True}
    assert found(verify(folder)) == whole
    zipped = shutil.make_archive(tmp_path / "model", "zip", folder)
    verdict = verify(tmp_path / "model.zip")
    assert (verdict.ok, found(verdict), verdict.path) == (True, whole, zipped)


def test_an_altered_file_is_found(folder):
    (folder / "example-1.png").write_bytes(b"other")
    verdict = verify(folder)
    assert not verdict.ok
    assert "example-1.png was modified" in verdict.checks[0].detail


def test_a_package_that_answers_otherwise_fails_its_self_test(folder):
    calibration = json.loads((folder / package.CALIBRATION).read_text())
    (folder / package.CALIBRATION).write_text(json.dumps(calibration | {"temperature": 9}))
    seal(folder)
    verdict = verify(folder)
    assert not verdict.ok
    assert "differently" in verdict.checks[-1].detail


def test_a_package_without_examples_is_whole_but_not_tried_out(folder):
    for name in ("examples.json", "example-1.png"):
        (folder / name).unlink()
    seal(folder)
    verdict = verify(folder)
    assert (verdict.ok, found(verdict)["self-test"]) == (True, None)


def test_nothing_there_is_no_verdict(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "no.zip")


def test_a_client_alone_checks_hashes_and_says_what_was_not_done(folder, tmp_path):
    shutil.make_archive(tmp_path / "model", "zip", folder)
    for path in (folder, tmp_path / "model.zip"):
        ended = subprocess.run([sys.executable, "-c", LIGHT, str(path)], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        checks = {look["check"]: look for look in json.loads(ended.stdout)["checks"]}
        assert [checks[name]["ok"] for name in ("hashes", "formats")] == [True, True]
        assert [checks[name]["ok"] for name in ("weights", "self-test")] == [None, None]
        assert "not installed" in checks["self-test"]["detail"]
