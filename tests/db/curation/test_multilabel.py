"""Sets of labels on both databases: found by a label, changed by acts, undone to the letter, added to by arrivals."""

import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from db.curation import datasets, image_edits, image_intake, revisions
from db.curation.datasets import NewImage
from db.models import Image
from db.paging import Window
from tsukiji.labels import join_labels, split_labels
from tsukiji.types import Act, ImageFilter

ACTS = TypeAdapter(Act)
SETS = [["ant"], ["ant", "bee"], ["Ant"], [], None, ["bee", "wasp"], ["an", "t"]]


def new(number, labels, folder="x"):
    text = None if labels is None else join_labels(labels)
    return NewImage(f"{folder}/{number}.jpg", text, None, f"{number:064x}", 100, 80, 30, "JPEG")


class Insects:
    def __init__(self, session):
        self.session = session
        self.dataset = datasets.create(session, "insects", kind="multi_label")
        self.ids = [one.image_id for one in self.take(*(new(n, labels) for n, labels in enumerate(SETS)))]

    def take(self, *images):
        return image_intake.take_in(self.session, self.dataset, images, "a test")

    def act(self, kind, **wanted):
        act = ACTS.validate_python({"act": kind, **wanted})
        return image_edits.carry_out(self.session, self.dataset.id, act, most_labels=50)

    def texts(self):
        rows = self.session.execute(select(Image.id, Image.label).where(Image.dataset_id == self.dataset.id))
        texts = {row.id: row.label for row in rows}
        return [texts[image_id] for image_id in self.ids]

    def labels(self):
        return [None if text is None else split_labels(text) for text in self.texts()]

    def with_label(self, label):
        rows = datasets.page_images(self.session, self.dataset.id, Window(50), ImageFilter(label=label)).data
        return sorted(self.ids.index(row.id) for row in rows)


@pytest.fixture
def insects(session):
    return Insects(session)


def test_a_label_is_found_in_sets_and_nowhere_else(insects):
    assert insects.with_label("ant") == [0, 1]
    assert insects.with_label("bee") == [1, 5]
    assert insects.with_label("an") == [6]
    assert datasets.labels_of(insects.session, insects.dataset.id) == {"ant", "Ant", "bee", "wasp", "an", "t"}


def test_acts_one_after_another_are_undone_to_the_letter(insects):
    wishes = [
        {"kind": "add_labels", "labels": ["moth", "bee"], "filter": {}},
        {"kind": "rename_label", "label": "ant", "to": "zebra"},
        {"kind": "remove_labels", "labels": ["bee"], "images": insects.ids[:3]},
        {"kind": "merge_labels", "labels": ["an", "t", "Ant"], "into": "moth"},
        {"kind": "relabel", "labels": ["wasp", "fly"], "filter": {"label": "moth"}},
        {"kind": "delete_label", "label": "wasp"},
    ]
    before = [insects.texts()]
    done = []
    for wish in wishes:
        done.append(insects.act(**wish))
        before.append(insects.texts())
        assert all(text is None or text == join_labels(split_labels(text)) for text in insects.texts())
    assert insects.labels()[0] == ["fly"]
    for revision in reversed(done):
        assert insects.texts() == before.pop()
        revisions.undo(insects.session, insects.dataset.id, revision.id)
    assert insects.texts() == before.pop()


def test_many_different_sets_are_changed_at_once(insects):
    images = [new(1000 + n, ["common", f"own {n}"]) for n in range(1200)]
    added = [one.image_id for one in insects.take(*images)]
    assert insects.act("rename_label", label="common", to="shared").images == 1200
    assert datasets.find_image(insects.session, added[-1]).label == join_labels(["shared", "own 1199"])


def test_arrivals_under_new_names_add_labels_by_one_revision_that_can_be_undone(insects):
    found = insects.take(new(0, ["bee"], "bee"), new(4, ["fly"], "fly"), new(1, ["ant"], "ant"), new(9, ["fly"], "fly"))
    assert [(one.new, one.label and split_labels(one.label)) for one in found] == [
        (False, ["ant", "bee"]),
        (False, ["fly"]),
        (False, ["ant", "bee"]),
        (True, ["fly"]),
    ]
    insects.take(new(5, ["fly"], "fly"))
    (revision,) = revisions.page(insects.session, insects.dataset.id, Window(9)).data
    assert (revision.act, revision.images) == ("import", 3)
    assert insects.labels()[5] == ["bee", "fly", "wasp"]
    revisions.undo(insects.session, insects.dataset.id, revision.id)
    assert insects.labels() == [None if labels is None else sorted(labels) for labels in SETS]


def test_an_arrival_that_would_make_a_set_too_long_is_told_and_changes_nothing(insects):
    long = [f"{n:0>199}" for n in range(5)]
    (kept,) = insects.take(new(50, long, "a"))
    (again,) = insects.take(new(50, [f"{n:0>199}" for n in range(5, 10)], "b"))
    assert (again.new, again.label, again.error.code) == (False, kept.label, "label_refused")
