"""The Dockerfiles: that they can be built, and hold what their programs import. No container is run."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy import compose
from tests.deploy.compose import ROOT, Image

IMAGES = {"api": Image("deploy/api.Dockerfile"), "worker": Image("deploy/worker.Dockerfile")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = {
    "api": ["api.__main__", "db.__main__", "tsukiji.kernel.storage.s3"],
    "worker": [
        *("worker.__main__", "worker.health", "worker.inference.chunks", "training.__main__", "db.__main__"),
        "tsukiji.kernel.storage.s3",
    ],
}
IMPORT = """
import importlib, json, sys
absent, modules = json.loads(sys.stdin.read())
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
for module in modules:
    importlib.import_module(module)
"""


@pytest.fixture(params=IMAGES)
def image(request):
    return IMAGES[request.param]


def installed(extras):
    """Return the distributions that an installation of the extras brings, as far as this machine has them."""
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    found = set()
    waiting = [Requirement(line) for line in wanted]
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        waiting += [child for child in children(requirement) if applies(child, requirement.extras)]
    return {name for name, _ in found}


def children(requirement):
    try:
        return map(Requirement, requires(requirement.name) or [])
    except PackageNotFoundError:
        return []


def applies(requirement, extras):
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def absent_modules(extras):
    """Return the modules of this machine that the image lacks."""
    there = installed(extras)
    owners = packages_distributions()
    return [name for name, parts in owners.items() if not there & {canonicalize_name(part) for part in parts}]


def test_what_is_copied_exists_and_is_let_through(image):
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    assert "*" in ignored, "everything is left out that is not let through by name"
    for source in image.sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_no_file_with_secrets_or_data_is_let_through():
    let_through = re.findall(r"(?m)^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"))
    assert set(let_through) == {source for image in IMAGES.values() for source in image.sources}


def test_extras_exist(image):
    assert image.extras <= PROJECT["optional-dependencies"].keys()
    assert {"service", "s3"} <= image.extras


def test_versions_are_those_that_were_tested(image):
    assert "--constraint constraints.txt" in " ".join(image.every("RUN"))
    assert image.every("ARG")[0] == "PYTHON_IMAGE=python:3.12-slim"
    assert image.every("FROM") == ["${PYTHON_IMAGE} AS packages", "${PYTHON_IMAGE}"]


def test_no_address_is_written_into_an_image():
    for name in IMAGES:
        assert "://" not in (ROOT / "deploy" / f"{name}.Dockerfile").read_text("utf-8")


def test_the_front_comes_without_torch():
    assert not installed(IMAGES["api"].extras) & {"torch", "torchvision", "fastai", "scikit-learn"}
    assert "torch" in installed(IMAGES["worker"].extras)


def test_rooms_of_the_services_are_in_their_images():
    for name, service in compose.read()["services"].items():
        if "build" in service:
            room = service["command"][2].split(".")[0]
            assert room in Image(service["build"]["dockerfile"]).sources, name


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_an_image_holds_all_that_its_programs_import(name):
    absent = absent_modules(IMAGES[name].extras) + [
        room for room in ("api", "db", "training", "tsukiji", "worker") if room not in IMAGES[name].sources
    ]
    assert {"moto", "pytest"} <= set(absent)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        input=json.dumps([absent, MODULES[name]]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_requirement_is_locked_at_a_version_that_it_allows():
    """`make lock` was run after the last change of pyproject.toml, with all extras: those of tests and images too."""
    lines = [Requirement(line) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    locked = {canonicalize_name(line.name): next(iter(line.specifier)).version for line in lines}
    asked = [Requirement(each) for each in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())]
    others = [each for each in asked if each.name != PROJECT["name"]]
    assert [each for each in others if canonicalize_name(each.name) not in locked] == []
    assert [each for each in others if not each.specifier.contains(locked[canonicalize_name(each.name)])] == []
