"""A newcomer's whole path by the command line: at most twelve commands, on a running service."""

import csv
import json
import shutil

import pytest
from typer.testing import CliRunner

from devtools.journey import write_pictures
from tsukiji.cli import app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PICTURES = 36  # of a kind: wrong labels are to be few
WRONG = 5
QUICK = ["--preset", "quick", "--backbone", "efficientnet_lite0", "--image-size", "64"]


@pytest.fixture
def pictures(tmp_path):
    """Class folders in which some pictures of the sun are in the folder of the sea."""
    folder = tmp_path / "places"
    folder.mkdir()
    write_pictures(folder, PICTURES)
    for number in range(WRONG):
        (folder / "sun" / f"{number:02}.png").rename(folder / "sea" / f"sun-{number}.png")
    return folder


def test_from_a_folder_to_a_table_of_labels(service, pictures, tmp_path):
    commands = []

    def run(*arguments):
        commands.append(arguments)
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    run("datasets", "import", pictures, "--name", "places")
    assert "suspected_label" in run("datasets", "check", "places")
    run("train", pictures, *QUICK)
    first = json.loads(run("models", "show", "places", "--json"))["id"]
    assert "true \\ predicted\tsea\tsun" in run("models", "show", "places")
    run("models", "mistakes", "places")
    wrong = [word for number in range(WRONG) for word in ("--image", f"sea/sun-{number}.png")]
    assert f"images\t{WRONG}" in run("datasets", "fix", "places", *wrong, "--relabel", "sun")
    run("train", "places", *QUICK)
    assert "accuracy" in run("models", "compare", first, "places")
    run("models", "promote", "places", "production")
    new = tmp_path / "new"
    shutil.copytree(pictures / "sun", new)
    run("classify", new, "-o", tmp_path / "labels.csv")
    assert len(commands) <= 12

    with (tmp_path / "labels.csv").open(newline="") as file:
        labels = [row["decision"] for row in csv.DictReader(file)]
    assert len(labels) == PICTURES - WRONG
    assert labels.count("sun") > len(labels) / 2
