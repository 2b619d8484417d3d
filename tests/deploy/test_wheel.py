"""The wheel: built, installed outside the checkout, and used there as one does who ran `pip install` alone."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from devtools.journey import write_pictures
from tests.deploy.compose import ROOT

PROGRAMS = ("api", "db", "training", "worker")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel in an environment of its own, which borrows the libraries of this one but not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not followed
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"


def run(python, folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TSUKIJI_", "PYTHON"))}
    program = "import sys; from tsukiji.cli import main; sys.exit(main())"
    command = [str(python), "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def test_all_that_the_checkout_has_is_in_it(wheel):
    tracked = subprocess.run(["git", "ls-files", *PROGRAMS], cwd=ROOT, check=True, capture_output=True, text=True)
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in tracked.stdout.split() if f"tsukiji/_programs/{name}" not in names]
    assert "api/page/templates" in tracked.stdout
    assert "db/migrations/env.py" in tracked.stdout
    assert {"tsukiji/_programs/docs/README.md", "tsukiji/_programs/docs/images/label.png"} <= names
    assert missing == []
    assert {name.split("/")[0] for name in names} == {"tsukiji", "tsukiji-0.1.0.dist-info"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)  # two trainings, beside another long test
def test_the_main_job_runs_from_the_wheel_in_an_empty_folder(installed, tmp_path):
    pictures, empty = tmp_path / "pictures", tmp_path / "empty"
    pictures.mkdir()
    empty.mkdir()
    done = run(installed, empty, "demo", "--data", str(write_pictures(pictures)))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["batch_agreement"] == 1
    assert [path.name for path in empty.iterdir()] == ["demo-output"]


def test_an_installed_service_is_found_by_doctor(installed, tmp_path):
    told = [json.loads(line) for line in run(installed, tmp_path, "doctor", "--json").stdout.splitlines()]
    (programs,) = [finding for finding in told if finding["check"] == "programs"]
    assert programs["ok"]
    assert str(installed.parents[1]) in programs["detail"]
    assert "_programs" in programs["detail"]
