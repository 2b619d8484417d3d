"""The documents say what is there: addresses, errors, commands, settings, folders, links."""

import ast
import json
import re
import shlex
import textwrap
from functools import cache
from pathlib import Path

import pytest
import typer
from fastapi.routing import APIRoute

from api.http.errors import catalogue
from api.main import create_app
from api.page import docs as docs_pages
from api.page import routes as page
from api.routes import service
from devtools.endpoint_pages import PAGE as ENDPOINTS
from devtools.generated_pages import PAGES as GENERATED
from devtools.settings_pages import END, ROOT, variables
from tsukiji import types
from tsukiji.cli.app import app as cli
from tsukiji.kernel.settings import GROUPS, Settings

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HTTP_API = ROOT / "docs" / "reference" / "http-api.md"

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(path):
    """The text without its code blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def code(path, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def anchors(path):
    """The addresses of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_every_relative_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = path.parent / place if place else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each_page
def test_a_page_names_no_place_that_a_stranger_lacks(path):
    text = path.read_text("utf-8")
    assert str(ROOT) not in text
    assert set(re.findall(r"https?://([^/:\s`\"]+)", text)) <= {"127.0.0.1"}


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        targets = re.findall(r"\]\(([^)#\s]+\.md)[^)]*\)", prose(path))
        waiting += [(path.parent / target).resolve() for target in targets if "://" not in target]
    assert set(PAGES) <= reached


def test_the_folder_map_names_all_rooms():
    rows = re.findall(r"^- `(\w+/)`: ", (ROOT / "docs" / "architecture.md").read_text("utf-8"), flags=re.MULTILINE)
    rooms = {f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")} | {"docs/", "deploy/"}
    assert rooms == set(rows)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_pages_say_what_the_code_says(path):
    assert path.read_text("utf-8") == GENERATED[path](), f"{path.name} is older than the code: run `make docs`"


# --- the HTTP API ----------------------------------------------------------------------------------------------------


@cache
def addresses():
    """Method and path of every API route, including those outside the schema."""
    app = create_app(Settings())
    schema = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    return schema | routes_of(service.health, docs_pages.router) | {f"GET {app.openapi_url}"}


@cache
def screens():
    """Method and path of every screen of the page."""
    return routes_of(*(screen.router for screen in page.SCREENS))


def routes_of(*routers):
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {f"{method} {route.path}" for route in routes for method in route.methods}


def documented_in(path):
    return set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?\s]*)`", path.read_text("utf-8")))


def test_every_address_is_documented_and_no_other():
    assert documented_in(ENDPOINTS) == addresses()


def test_every_screen_is_documented_and_no_other():
    assert documented_in(ROOT / "docs" / "reference" / "page.md") == screens()


def test_the_other_pages_name_addresses_that_exist():
    known = {re.sub(r"\{\w+\}", "{}", address) for address in addresses() | screens()}
    for path in PAGES:
        for address in re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?\s]*)", prose(path)):
            assert re.sub(r"\{\w+\}", "{}", address) in known, f"{path.name}: {address}"


def test_examples_are_what_the_service_answers():
    job, listing, problem = code(HTTP_API, "json")
    assert set(json.loads(job)) <= set(types.Job.model_fields)
    assert types.Job.model_validate_json(job).counts.total == 179
    assert set(json.loads(listing)) == set(types.Page.model_fields)
    assert types.Problem.model_validate_json(problem).title == catalogue()["not_found"].title


# --- the command line ------------------------------------------------------------------------------------------------


@cache
def commands():
    """Every command by its words, with its options."""

    def descend(command, words):
        command = command.load() if hasattr(command, "load") else command
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from descend(child, [*words, name])
        else:
            yield " ".join(words), {option for parameter in command.params for option in parameter.opts}

    return dict(descend(typer.main.get_command(cli), []))


def test_every_command_is_documented_and_no_other():
    sections = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8").split("\n## ")[1:]
    rows = [
        command.removeprefix("tsukiji ") if heading == "Commands" else f"{heading.removeprefix('tsukiji ')} {command}"
        for heading, _, text in (section.partition("\n") for section in sections)
        for command in re.findall(r"^- `((?:tsukiji )?[a-z-]+)", text, re.MULTILINE)
    ]
    assert set(rows) == commands().keys()
    assert len(rows) == len(set(rows))


@each_page
def test_commands_are_written_as_they_are_understood(path):
    blocks = "\n".join([*code(path, "sh"), *code(path, "console")]).replace("\\\n", " ")
    inline = re.findall(r"`(tsukiji [^`]+)`", prose(path))
    for line in [*re.findall(r"^(tsukiji .*)$", blocks, flags=re.MULTILINE), *inline]:
        words = shlex.split(line, comments=True)[1:]
        if words[0].startswith(("-", "COMMAND")):
            continue
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in commands()), None)
        if name is None and len(words) == 1:
            assert any(command.startswith(f"{words[0]} ") for command in commands()), line
            continue
        assert name is not None, line
        assert {word for word in words if word.startswith("-")} <= commands()[name] | {"--help"}, line


@each_page
def test_make_targets_and_settings_exist(path):
    text = path.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)
    assert set(named) <= targets
    assert set(re.findall(r"TSUKIJI_[A-Z_]*[A-Z]", text)) <= settings()


@each_page
def test_what_no_test_runs_names_programs_and_services_that_there_are(path):
    """Blocks marked `console` need Docker, other servers or another site: this is as far as they are checked."""
    services = set(re.findall(r"^  ([a-z-]+):$", (ROOT / "docker-compose.yml").read_text("utf-8"), flags=re.MULTILINE))
    for block in code(path, "console"):
        for module in re.findall(r"python -m ([\w.]+)", block):
            place = ROOT.joinpath(*module.split("."))
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module
        for named in re.findall(r"docker compose exec ([\w-]+)|--scale ([\w-]+)=", block):
            assert set(filter(None, named)) <= services, named
        for file in re.findall(r"docker compose -f ([\w.-]+) -f ([\w.-]+)", block):
            assert all((ROOT / name).exists() for name in file), file


def settings():
    """Every variable, and the beginnings that a group shares."""
    names = {name for kind in GROUPS.values() for name, _ in variables(kind)}
    groups = {kind.model_config["env_prefix"].rstrip("_") for kind in GROUPS.values()}
    return names | groups | set(re.findall(r"TSUKIJI_\w+", END))


# --- the rest --------------------------------------------------------------------------------------------------------


@each_page
def test_python_examples_are_python(path):
    for example in code(path, "python"):
        ast.parse(example)


def test_the_picture_of_the_page_is_small():
    for picture in (ROOT / "docs" / "images").glob("*.png"):
        assert picture.stat().st_size < 200 * 1024


def test_decisions_have_the_parts_of_the_template():
    pages = sorted(Path(ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(len(pages))]
    for path in pages:
        assert re.findall(r"^## .+$", path.read_text("utf-8"), flags=re.MULTILINE) == ["## Alternatives"], path.name
        assert len(path.read_text("utf-8").split()) <= 250, path.name


def test_the_documents_stay_short():
    """Words are what has a letter or a digit: the marks of tables and headings do not count."""
    texts = [path.read_text("utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]]
    assert sum(any(map(str.isalnum, word)) for text in texts for word in text.split()) <= 25_000
