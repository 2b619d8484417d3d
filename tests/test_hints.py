"""Every hint names what is there: commands as they are understood, addresses, settings, extras, make targets."""

import ast
import re
import shlex
import tomllib

import pytest

from api.http.errors import catalogue
from devtools.settings_pages import ROOT
from tests.test_docs import addresses, commands, settings
from tests.tsukiji.cli.test_app import TREE
from tsukiji.cli import wording
from tsukiji.types import Recipe

ROOMS = ("api", "db", "training", "tsukiji", "worker")


def said(node):
    """The text of a string as in the source; formatted values become X."""
    match node:
        case ast.Constant(value=str()):
            return node.value
        case ast.JoinedStr():
            return "".join(said(part) or "" for part in node.values)
        case ast.FormattedValue():
            return "X"
    return None


def strings():
    """(file, text) of every string in the source that names something for a person to use; no docstrings."""
    for path in sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(part) for part in ast.walk(node)} - {id(node)}
            text = None if id(node) in skipped else said(node)
            if text:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


STRINGS = [*strings()]


def found(pattern):
    """Parameters of a test: each place in the source whose text matches the pattern, and the match."""
    cases = [(place, match) for place, text in STRINGS for match in re.findall(pattern, text)]
    assert cases
    return pytest.mark.parametrize(("place", "named"), cases)


@found(r"`(tsukiji [a-z][^`]*)`")
def test_a_command_in_a_message_is_understood(place, named):
    words = shlex.split(named)[1:]
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in TREE), None)
    if name is None:
        assert any(command.startswith(f"{' '.join(words)} ") for command in TREE), f"{place}: {named}"
        return
    check_usage(place, TREE[name], words[len(name.split()) :])


def check_usage(place, command, given):
    options = {opt: one for one in command.params for opt in (*one.opts, *one.secondary_opts)}
    named = [word for word in given if word.startswith("-") and word != "-"]
    assert set(named) <= set(options) | {"--help"}, f"{place}: {named}"
    missing = [one.opts[0] for one in command.params if one.required and one.param_type_name == "option"]
    assert set(missing) <= set(named), f"{place} lacks {missing}"
    taking = sum(not options[word].is_flag for word in named if word in options)
    arguments = [one for one in command.params if one.param_type_name == "argument" and one.required]
    assert len(given) - len(named) - taking >= len(arguments), f"{place} lacks {[one.name for one in arguments]}"


@found(r"\b((?:GET|POST|PUT|PATCH|DELETE) /v1/[\w/{}]*[\w}])")
def test_an_address_in_a_message_exists(place, named):
    known = {re.sub(r"\{\w+\}", "{}", address) for address in addresses()}
    assert re.sub(r"\{\w+\}|X", "{}", named) in known, place


@found(r"\b(TSUKIJI_[A-Z_]*[A-Z])\b")
def test_a_setting_in_a_message_exists(place, named):
    assert named in settings() | {"TSUKIJI_X"}, place


@found(r"pip install '?([^\s']+)")
def test_what_a_message_installs_is_ours_and_an_extra_that_there_is(place, named):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = re.fullmatch(r"(?:\.|tsukiji)\[([\w,]+)\]", named)
    assert wanted, f"{place}: {named} is neither the checkout nor our wheel with an extra"
    assert set(wanted[1].split(",")) <= set(extras), place


@found(r"`make ([a-z-]+)`")
def test_a_make_target_in_a_message_exists(place, named):
    assert re.search(rf"^{named}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), place


@found(r"\brecipe\.(\w+)")
def test_a_field_of_the_recipe_exists_and_has_an_option(place, named):
    assert named in Recipe.model_fields, place
    assert wording.way_out(f"recipe.{named}") in commands()["train"], place


@pytest.mark.parametrize(
    "page", sorted((ROOT / "api" / "page" / "templates").glob("*.html")), ids=lambda page: page.name
)
def test_a_command_on_the_page_is_understood(page):
    for named in re.findall(r"<code>(tsukiji [^<]*)</code>", page.read_text("utf-8")):
        words = shlex.split(named)[1:]
        name = next(name for name in (" ".join(words[:2]), words[0]) if name in TREE)
        check_usage(page.name, TREE[name], words[len(name.split()) :])


def test_what_stands_for_an_address_on_the_command_line_is_a_command():
    known = {re.sub(r"\{\w+\}", "{}", address) for address in addresses()}
    for address, command in wording.ADDRESSES.items():
        assert re.sub(r"\{\w+\}", "{}", address) in known
        test_a_command_in_a_message_is_understood(address, command.strip("`"))
    for option in wording.FIELDS.values():
        assert any(option in options for options in commands().values()), option


def test_a_hint_of_an_error_sends_nobody_to_members_that_only_programs_see():
    for kind in catalogue().values():
        assert not {"detail", "errors", "title"} & set(re.findall(r"`(\w+)`", kind.hint or "")), kind.code
