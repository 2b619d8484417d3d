"""Measures and findings as rows: written once, replaced where they differ, gone with their image."""

import pytest

from db.curation import analyses, datasets
from db.curation.datasets import NewImage
from db.curation.miniatures import miniatures_of
from db.models import Finding
from db.paging import Window
from tsukiji.errors import NotFound


def image(number, name=None, label="cat"):
    return NewImage(name or f"{number}.jpg", label, None, f"{number:064x}", 100, 80, 1000 + number, "JPEG")


@pytest.fixture
def dataset(session):
    row = datasets.create(session, "pets")
    datasets.add_images(session, row.id, [image(number) for number in range(5)])
    return row.id


@pytest.fixture
def ids(session, dataset):
    """In the order of the ids, which is that of the pages."""
    return [row.id for row in datasets.all_images(session, dataset, 10)]


def measures(image_id):
    scores = dict.fromkeys(analyses.MEASURES, 0.5)
    return {"image_id": image_id, **scores, "hashes": b"h" * 48, "miniature": b"m" * 2432}


def finding(image_id, kind="blurry", score=0.5, group="", suggestion=None):
    return {"image_id": image_id, "kind": kind, "score": score, "group_id": group, "suggestion": suggestion}


def listed(session, dataset, **wishes):
    return [(row.kind, row.image_id) for row, _ in analyses.page(session, dataset, Window(50), **wishes).data]


def test_images_are_measured_once(session, dataset, ids):
    assert [row[0] for row in analyses.unmeasured(session, dataset, "", 3)] == ids[:3]
    analyses.add_measures(session, [measures(image_id) for image_id in ids[:2]])
    analyses.add_measures(session, [measures(ids[0]), measures("img_gone")])
    assert [row[0] for row in analyses.unmeasured(session, dataset, "", 10)] == ids[2:]
    assert [row[0] for row in analyses.unmeasured(session, dataset, ids[2], 10)] == ids[3:]
    rows = analyses.pictures(session, dataset)
    assert [row.hashes is None for row in rows] == [False, False, True, True, True]
    assert miniatures_of(session, ids) == dict.fromkeys(ids[:2], b"m" * 2432)


def test_those_that_were_compared_are_marked(session, dataset, ids):
    analyses.add_measures(session, [measures(image_id) for image_id in ids])
    analyses.mark_compared(session, ids[:3])
    assert [row.compared for row in analyses.pictures(session, dataset)] == [True, True, True, False, False]


def test_names_under_which_a_picture_came_again(session, dataset):
    ids = {row.name: row.id for row in datasets.all_images(session, dataset, 10)}
    again = [image(0, "again.jpg", "dog"), image(0), image(1, "1.jpg", None), image(0, "again.jpg", "dog")]
    assert [new for _, new in datasets.add_images(session, dataset, again)] == [False] * 4
    assert analyses.other_names(session, dataset) == {
        ids["0.jpg"]: [("again.jpg", "dog")],
        ids["1.jpg"]: [("1.jpg", None)],
    }


def test_a_picture_twice_in_one_go_has_two_names(session, dataset):
    (first, _), (second, new) = datasets.add_images(session, dataset, [image(9, "a.jpg"), image(9, "b.jpg")])
    assert (first, new) == (second, False)
    assert analyses.other_names(session, dataset)[first] == [("b.jpg", "cat")]


def test_findings_are_replaced_where_they_differ(session, dataset, ids):
    analyses.replace(session, dataset, [finding(ids[0]), finding(ids[1]), finding(ids[1], "dark")])
    before = {(row.image_id, row.kind): row for row, _ in analyses.page(session, dataset, Window(50)).data}
    wanted = [finding(ids[0]), finding(ids[1], score=0.1), finding(ids[2]), finding("img_gone")]
    analyses.replace(session, dataset, wanted)
    assert listed(session, dataset) == [("blurry", ids[1]), ("blurry", ids[0]), ("blurry", ids[2])]
    assert session.get(Finding, (ids[0], "blurry")) is before[ids[0], "blurry"]
    analyses.replace(session, dataset, [])
    assert listed(session, dataset) == []


def test_suggestions_compare_as_what_they_say(session, dataset, ids):
    rows = [finding(ids[0], suggestion={"keep": "x", "labels": {"cat": 1}}), finding(ids[1])]
    analyses.replace(session, dataset, rows)
    statements, real = [], session.execute

    def execute(statement, *rest, **options):
        statements.append(statement)
        return real(statement, *rest, **options)

    session.execute = execute
    analyses.replace(session, dataset, rows)
    assert not [statement for statement in statements if statement.is_insert or statement.is_delete]


def test_pages_and_filters(session, dataset, ids):
    rows = [finding(ids[number], score=0.5, group=ids[0] if number < 2 else "") for number in range(5)]
    analyses.replace(session, dataset, [*rows, finding(ids[0], "dark", 0.1)])
    seen, window = [], Window(2)
    while True:
        page = analyses.page(session, dataset, window)
        seen += [(row.kind, row.image_id) for row, _ in page.data]
        if page.next_cursor is None:
            break
        window = Window(2, page.next_cursor)
    assert seen == listed(session, dataset)
    assert len(seen) == 6
    assert listed(session, dataset, kind="dark") == [("dark", ids[0])]
    assert listed(session, dataset, group=ids[0]) == [("blurry", ids[0]), ("blurry", ids[1])]
    assert len(listed(session, dataset, image_id=ids[0])) == 2
    assert listed(session, dataset, label="dog") == []
    assert analyses.count(session, dataset) == {"blurry": 5, "dark": 1}


def test_findings_go_with_their_image(session, dataset, ids):
    analyses.replace(session, dataset, [finding(ids[0]), finding(ids[1])])
    datasets.remove_image(session, ids[0])
    assert analyses.count(session, dataset) == {"blurry": 1}


def test_the_last_analysis_is_noted(session, dataset):
    with pytest.raises(NotFound):
        analyses.find(session, dataset)
    analyses.note(session, dataset, "ana_1", 5, [])
    analyses.note(session, dataset, "ana_2", 6, [{"code": "weights_unavailable"}])
    row = analyses.find(session, dataset)
    session.refresh(row)
    assert (row.job_id, row.images, row.unavailable) == ("ana_2", 6, [{"code": "weights_unavailable"}])
