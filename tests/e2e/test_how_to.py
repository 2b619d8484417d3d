"""The how-to guides do what they say: `make test-long` runs each `sh` and `python` block as a reader would paste it.

Blocks marked `console` are not run here, since they need Docker, other servers, another site or a setting of the
service; `tests/test_docs.py` checks that the commands, programs, services and settings in them exist.
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.e2e import how_to_files

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]
GUIDES = Path(__file__).parents[2] / "docs" / "how-to"
QUICK = {"preset": "quick", "backbone": "efficientnet_lite0", "image_size": 64}


def blocks(guide):
    """(language, text) of each block that can be run, in order."""
    text = guide.read_text("utf-8")
    found = re.findall(r"^( *)```(sh|python)\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [(language, textwrap.dedent(block)) for _, language, block in found]


RUN = sorted(path.stem for path in GUIDES.glob("*.md") if blocks(path))


@pytest.fixture(scope="module")
def stocked(running, tmp_path_factory):
    """The service with the data set `pets`, and a model of that name in production."""
    folder = tmp_path_factory.mktemp("how-to")
    how_to_files.write_pets(folder)
    pets = running.client.datasets.create("pets")
    pets.upload(folder / "pets")
    training = running.client.trainings.create(pets, QUICK, name="pets").wait(300)
    running.client.aliases.set("production", training.model)
    return running


@pytest.fixture
def place(stocked, tmp_path):
    """A folder with the files that guides speak of, and the environment of a reader."""
    for write in (how_to_files.write_pets, how_to_files.write_new, how_to_files.write_insects):
        write(tmp_path)
    mine = {
        "TSUKIJI_URL": stocked.client.url,
        "TSUKIJI_API_KEY": stocked.key,
        "TSUKIJI_DATA_DIR": str(tmp_path / "data"),
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return tmp_path, os.environ | mine | {"PATH": path, "TSUKIJI_PROGRESS": "off"}


@pytest.mark.parametrize("name", RUN)
def test_a_guide_does_what_it_says(name, place):
    folder, environment = place
    if name == "coming-from":
        how_to_files.write_exports(folder)
    for language, block in blocks(GUIDES / f"{name}.md"):
        command = ["bash", "-euo", "pipefail", "-c", block] if language == "sh" else [sys.executable, "-c", block]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        for written in re.findall(r"(?: -o |download\(\")([\w.-]+)", block):
            assert (folder / written).stat().st_size, written
