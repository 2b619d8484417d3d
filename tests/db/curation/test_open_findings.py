"""Findings that are settled are not listed, and an undo opens them again."""

import pytest

from db.curation import analyses, datasets, image_edits, revisions
from db.curation.datasets import NewImage
from db.curation.open_findings import dismissed_kinds, dismissing
from db.models import Image
from db.paging import Window
from tsukiji import types
from tsukiji.errors import Conflict


@pytest.fixture
def dataset(session):
    row = datasets.create(session, "pets")
    images = [NewImage(f"{n}.jpg", "cat", "train", f"{n:064x}", 100, 80, 9, "JPEG") for n in range(4)]
    datasets.add_images(session, row.id, images)
    return row.id


@pytest.fixture
def ids(session, dataset):
    return [row.id for row in datasets.all_images(session, dataset, 10)]


@pytest.fixture
def act(session, dataset):
    def act(kind, **members):
        return image_edits.carry_out(session, dataset, kind.model_validate(members), most_labels=9)

    return act


def note(session, dataset, *rows):
    columns = ("image_id", "kind", "score", "group_id", "suggestion")
    analyses.replace(session, dataset, [dict(zip(columns, (*row, None), strict=True)) for row in rows])


def listed(session, dataset):
    found = [(row.kind, row.image_id) for row, _ in analyses.page(session, dataset, Window(50)).data]
    assert sum(analyses.count(session, dataset).values()) == len(found)
    return found


@pytest.mark.parametrize(
    ("kind", "wanted", "members"),
    [
        ("suspected_label", types.Relabel, {"act": "relabel", "label": "dog"}),
        ("suspected_label", types.Dismiss, {"act": "dismiss", "findings": ["suspected_label"]}),
        ("blurry", types.Exclude, {"act": "exclude"}),
        ("crop", types.SetCrop, {"act": "crop", "crop": [1, 1, 9, 9]}),
        ("outlier", types.Dismiss, {"act": "dismiss", "findings": ["dark", "outlier"]}),
        ("conflicting_labels", types.Relabel, {"act": "relabel", "label": "dog"}),
    ],
)
def test_an_act_settles_a_finding_and_its_undo_opens_it(session, dataset, ids, act, kind, wanted, members):
    note(session, dataset, (ids[0], kind, 0.1, ""), (ids[1], kind, 0.1, ""))
    revision = act(wanted, images=ids[:1], **members)
    assert listed(session, dataset) == [(kind, ids[1])]
    revisions.undo(session, dataset, revision.id)
    assert listed(session, dataset) == [(kind, ids[0]), (kind, ids[1])]


def test_a_dismissed_finding_is_not_listed_by_the_next_analysis_unless_the_label_is_another(session, dataset, ids, act):
    for kind in ("suspected_label", "dark"):
        act(types.Dismiss, act="dismiss", images=ids[:1], findings=[kind])
    rows = [(ids[0], "suspected_label", 0.1, ""), (ids[0], "dark", 0.1, "")]
    note(session, dataset, *rows)
    assert listed(session, dataset) == []
    act(types.Relabel, act="relabel", images=ids[:1], label="dog")
    note(session, dataset, *rows)
    assert listed(session, dataset) == [("suspected_label", ids[0])]


def test_a_group_of_which_one_is_left_is_settled(session, dataset, ids, act):
    note(session, dataset, *((image, "near_duplicates", 0.1, ids[0]) for image in ids[:2]))
    assert analyses.count_groups(session, dataset, "near_duplicates") == 1
    act(types.KeepBest, act="keep_best", groups=[{"keep": ids[0], "images": ids[:2]}])
    assert listed(session, dataset) == []
    assert analyses.count_groups(session, dataset, "near_duplicates") == 0


def test_leaks_and_conflicts_last_while_pictures_of_the_group_differ(session, dataset, ids, act):
    act(types.SetSplit, act="split", images=ids[:1], split="test")
    act(types.Relabel, act="relabel", images=ids[2:3], label="dog")
    note(
        session,
        dataset,
        *((image, "leaky_splits", 0.1, ids[0]) for image in ids[:2]),
        *((image, "conflicting_labels", 0.2, ids[2]) for image in ids[2:]),
    )
    assert len(listed(session, dataset)) == 4
    act(types.SetSplit, act="split", images=ids[:2], split="train")
    assert {kind for kind, _ in listed(session, dataset)} == {"conflicting_labels"}
    act(types.Relabel, act="relabel", images=ids[2:], label="dog")
    assert listed(session, dataset) == []


def test_dismissing_again_changes_nothing(session, dataset, ids, act):
    wish = {"act": "dismiss", "images": ids, "findings": ["dark"]}
    assert [act(types.Dismiss, **wish).images, act(types.Dismiss, **wish).images] == [4, 0]
    assert dismissed_kinds(session.get_one(Image, ids[0], populate_existing=True).dismissed) == ["dark"]


def test_labels_that_are_too_long_to_be_kept_are_refused():
    with pytest.raises(Conflict, match="too long"):
        dismissing(None, "x" * 1195, ["suspected_label"])
