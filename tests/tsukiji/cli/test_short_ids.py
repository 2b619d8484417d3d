import pytest

from devtools.scripted_service import dataset, job, model, page
from tests.tsukiji.cli.terminal import on_a_terminal
from tsukiji.cli.short_ids import short_id, shortened, whole_id
from tsukiji.ids import new_id

FIRST, SECOND = "mdl_01k5abcdef0000000000000001", "mdl_01k5abcdef0000000000000002"
OTHER = "mdl_01k5abcdeg0000000000000001"


def test_an_id_is_cut_where_it_differs_from_the_others():
    assert short_id(OTHER, [FIRST, SECOND]) == "mdl_01k5abcdeg"
    assert short_id(FIRST, [SECOND, OTHER]) == FIRST
    assert shortened([FIRST, OTHER, "pets", "img_01k5abcdef0000000000000001"]) == {
        FIRST: "mdl_01k5abcdef",
        OTHER: "mdl_01k5abcdeg",
    }


def test_what_a_table_shows_is_accepted(service, run):
    whole = new_id("mdl")
    service.answer("GET", "/v1/models", page(model(id=OTHER), model(id=FIRST)))
    service.answer("GET", f"/v1/models/{FIRST}", model(id=FIRST, evaluation_id=None))
    shown = on_a_terminal("models", "ls")
    assert "mdl_01k5abcdef" in shown
    assert FIRST not in shown
    assert f"id\t{FIRST}" in run("models", "show", "mdl_01k5abcdef").stdout
    assert whole_id(whole) == whole


def test_a_pipe_gets_whole_ids(service, run):
    service.answer("GET", "/v1/datasets", page(dataset(id="ds_01k5abcdef0000000000000001")))
    assert "ds_01k5abcdef0000000000000001" in run("datasets", "ls").stdout


def test_a_beginning_of_several_ids_is_refused(service, run):
    service.answer("GET", "/v1/models", page(model(id=SECOND), model(id=FIRST)))
    result = run("models", "show", "mdl_01k5abcdef")
    assert result.exit_code == 2
    assert "beginning of 2 ids" in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize("word", ["pets", "mdl_1", "mdl_pets", "production", None])
def test_names_ask_the_service_nothing(service, word):
    assert whole_id(word) == word
    assert service.asked == []


def test_the_list_is_read_no_further_than_ids_can_match(service, run):
    newest, old = job("running", "trn_01k5zzzzzz0000000000000001"), job("running", "trn_01k4aaaaaa0000000000000001")
    service.answer("GET", "/v1/jobs", page(newest, old, cursor="more"))
    service.answer("GET", "/v1/jobs/trn_01k5zzzzzz", job("running"))
    run("jobs", "show", "trn_01k5zzzzzy")
    assert len(service.asked_for("GET", "/v1/jobs")) == 1
