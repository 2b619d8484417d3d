"""Edits and their undo, on both databases: exact, also with concurrent edits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from db import keys
from db.curation import datasets, image_edits, revisions
from db.curation.datasets import NewImage
from db.models import Image, RevisionChange
from db.paging import Window
from tsukiji.errors import ChangedSince, Conflict, CropOutside, LabelRefused, NotFound, RevisionUndone
from tsukiji.types import Act

ACTS = TypeAdapter(Act)
FIELDS = ("label", "split", "crop", "excluded", "review")


class Pets:
    """A data set of six images: three cats, two dogs, one without a label that waits for review."""

    def __init__(self, session):
        self.session = session
        self.id = datasets.create(session, "pets").id
        labels = ["cat", "cat", "cat", "dog", "dog", None]
        images = [
            NewImage(f"{n}.jpg", label, None, f"{n:064x}", 100, 80, 30, "JPEG", review=None if label else "pending")
            for n, label in enumerate(labels)
        ]
        self.images = [image_id for image_id, _ in datasets.add_images(session, self.id, images)]

    def act(self, kind, most_labels=10, author=None, **wanted):
        act = ACTS.validate_python({"act": kind, **wanted})
        return image_edits.carry_out(self.session, self.id, act, author, most_labels=most_labels)

    def undo(self, revision):
        return revisions.undo(self.session, self.id, revision.id)

    def state(self):
        columns = [getattr(Image, name) for name in FIELDS]
        rows = self.session.execute(select(Image.id, *columns).where(Image.dataset_id == self.id))
        return {row[0]: tuple(row[1:]) for row in rows}

    def values(self, field):
        return [self.state()[image_id][FIELDS.index(field)] for image_id in self.images]


@pytest.fixture
def pets(session):
    return Pets(session)


EVERY_ACT = [
    ("label", {"kind": "relabel", "label": "fish", "filter": {}}, 6, ["fish"] * 6),
    ("label", {"kind": "relabel", "label": None, "filter": {"label": "cat"}}, 3, [None] * 3 + ["dog", "dog", None]),
    ("label", {"kind": "relabel", "label": "dog", "filter": {}}, 4, ["dog"] * 6),
    ("excluded", {"kind": "exclude", "filter": {"label": "dog"}}, 2, [False] * 3 + [True, True, False]),
    ("split", {"kind": "split", "split": "test", "filter": {"unlabelled": True}}, 1, [None] * 5 + ["test"]),
    ("crop", {"kind": "crop", "crop": [0, 10, 100, 80], "filter": {"label": "dog"}}, 2, None),
    ("review", {"kind": "review", "review": "accepted", "filter": {}}, 1, [None] * 5 + ["accepted"]),
    (
        "label",
        {"kind": "merge_labels", "labels": ["cat", "dog"], "into": "pet"},
        5,
        ["pet"] * 5 + [None],
    ),
    ("label", {"kind": "rename_label", "label": "cat", "to": "Felis"}, 3, ["Felis"] * 3 + ["dog", "dog", None]),
    ("label", {"kind": "delete_label", "label": "dog"}, 2, ["cat"] * 3 + [None] * 3),
]


@pytest.mark.parametrize(("field", "wanted", "images", "after"), EVERY_ACT)
def test_every_act_by_filter_is_done_and_undone_exactly(pets, field, wanted, images, after):
    before = pets.state()
    revision = pets.act(**wanted)
    assert (revision.field, revision.images) == (field, images)
    changed = pets.values(field)
    assert after is None or changed == after
    undone = pets.undo(revision)
    assert (undone.images, undone.undoes) == (images, revision.id)
    assert pets.state() == before
    pets.undo(undone)
    assert pets.values(field) == changed, "an undo can be undone"


def test_images_that_are_named(pets):
    first, second, third, *_ = pets.images
    assert pets.act("exclude", images=[first, second, first]).images == 2
    assert pets.act("restore", images=[second, third]).images == 1
    assert pets.values("excluded") == [True, False, False, False, False, False]
    suggested = [{"image": first, "label": "dog"}, {"image": second, "label": "cat"}, {"image": third, "label": "eel"}]
    assert pets.act("accept_labels", labels=suggested).images == 2
    assert pets.values("label")[:3] == ["dog", "cat", "eel"]
    crops = [{"image": first, "crop": [0, 0, 10, 10]}, {"image": second, "crop": [1, 1, 100, 80]}]
    revision = pets.act("accept_crops", crops=crops)
    assert pets.values("crop")[:3] == [(0, 0, 10, 10), (1, 1, 100, 80), None]
    pets.undo(revision)
    assert pets.values("crop") == [None] * 6


def test_the_best_of_each_group_stays(pets):
    a, b, c, d, e, _ = pets.images
    groups = [{"images": [a, b, c], "keep": b}, {"images": [c, d, e], "keep": d}]
    before = pets.state()
    revision = pets.act("keep_best", groups=groups)
    assert pets.values("excluded") == [True, False, True, False, True, False]
    pets.undo(revision)
    assert pets.state() == before


def test_what_stands_so_already_is_not_changed_nor_counted(pets):
    assert pets.act("relabel", label="cat", filter={"label": "cat"}).images == 0
    revision = pets.act("split", split="train", images=pets.images[:2])
    pets.act("split", split="train", filter={})
    with pytest.raises(NotFound):
        revisions.undo(pets.session, datasets.create(pets.session, "other").id, revision.id)
    pets.undo(revision)
    assert pets.values("split") == [None, None, "train", "train", "train", "train"]


def test_an_undo_never_overwrites_what_came_later(pets):
    first = pets.act("relabel", label="fish", filter={"label": "cat"})
    second = pets.act("relabel", label="eel", images=pets.images[1:2])
    elsewhere = pets.act("split", split="valid", images=pets.images[:2])
    before = pets.state()
    with pytest.raises(ChangedSince) as raised:
        pets.undo(first)
    assert (raised.value.extra["revision"], raised.value.extra["images"]) == (second.id, 1)
    assert pets.state() == before
    pets.undo(second)
    pets.undo(first)
    assert pets.values("label")[:3] == ["cat"] * 3
    assert pets.values("split")[:2] == ["valid"] * 2, "another field is another matter"
    assert elsewhere.undone_by is None


def test_a_revision_is_undone_once(pets):
    revision = pets.act("exclude", filter={})
    undone = pets.undo(revision)
    with pytest.raises(RevisionUndone) as raised:
        pets.undo(revision)
    assert raised.value.extra["undone_by"] == undone.id


def test_a_deleted_image_stays_deleted(pets):
    revision = pets.act("relabel", label="fish", filter={"label": "cat"})
    datasets.remove_image(pets.session, pets.images[0])
    assert pets.undo(revision).images == 2
    assert len(pets.state()) == 5


def test_the_history_says_who_and_what(pets, session):
    author, _ = keys.create(session, "anna")
    pets.act("exclude", images=pets.images[:1], author=author)
    pets.act("relabel", label="fish", filter={"label": "cat", "split": "unassigned"}, author=author)
    rows = revisions.page(session, pets.id, Window(1))
    assert rows.data[0].description == "label as 'fish': those labelled 'cat', in no split"
    assert (rows.data[0].author, rows.data[0].created_by) == ("anna", author.id)
    older = revisions.page(session, pets.id, Window(1, rows.next_cursor))
    assert [row.description for row in older.data] == ["exclude"]
    assert older.next_cursor is None
    changes = revisions.page_changes(session, older.data[0].id, Window())
    read = [
        (row.image_id, *(revisions.read("excluded", text) for text in (row.before, row.after))) for row in changes.data
    ]
    assert read == [(pets.images[0], False, True)]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (NotFound, {"kind": "relabel", "label": "x", "images": ["img_nobody"]}),
        (NotFound, {"kind": "accept_labels", "labels": [{"image": "img_nobody", "label": "x"}]}),
        (NotFound, {"kind": "merge_labels", "labels": ["cat", "cow"], "into": "pet"}),
        (NotFound, {"kind": "rename_label", "label": "cow", "to": "bull"}),
        (NotFound, {"kind": "delete_label", "label": "cow"}),
        (Conflict, {"kind": "rename_label", "label": "cat", "to": "dog"}),
        (CropOutside, {"kind": "crop", "crop": [0, 0, 101, 80], "filter": {"label": "cat"}}),
        (LabelRefused, {"kind": "relabel", "label": "third", "filter": {}, "most_labels": 2}),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_revision(database, error, wanted):
    with database.transaction() as session:
        pets = Pets(session)
        before = pets.state()

    def act():
        with database.transaction() as session:
            pets.session = session
            pets.act(**wanted)

    with pytest.raises(error):
        act()
    with database.reading() as session:
        pets.session = session
        assert pets.state() == before
        assert revisions.page(session, pets.id, Window()).data == []


def test_named_images_of_another_data_set_are_refused(pets, session):
    other = datasets.create(session, "birds")
    (stranger, _), *_ = datasets.add_images(session, other.id, [NewImage("b", "x", None, "f" * 64, 9, 9, 9, "PNG")])
    with pytest.raises(NotFound):
        pets.act("relabel", label="x", images=[pets.images[0], stranger])


def test_what_is_left_out_is_in_no_snapshot(pets, session):
    assert datasets.count_left_out(session, [pets.id]) == {pets.id: (0, 1)}
    pets.act("relabel", label="cat", filter={"review": "pending"})
    pets.act("exclude", images=pets.images[:1])
    assert {image.id for image in datasets.labelled_images(session, pets.id)} == set(pets.images[1:5])
    pets.act("review", review="accepted", filter={"review": "pending"})
    assert {image.id for image in datasets.labelled_images(session, pets.id)} == set(pets.images[1:])
    assert len(datasets.page_in_use(session, pets.id, Window()).data) == 5
    assert datasets.count_left_out(session, [pets.id]) == {pets.id: (1, 0)}


def test_a_data_set_goes_with_its_history(pets, session):
    pets.act("exclude", filter={})
    datasets.remove(session, pets.id)
    assert session.scalars(select(RevisionChange)).all() == []


def test_acts_at_the_same_moment_follow_one_another(database):
    """Each notes what the one before it left, or their undoing would not lead back."""
    with database.transaction() as session:
        pets = Pets(session)
        before = pets.state()
    start, done = threading.Barrier(4), []

    def relabel(label):
        start.wait()
        with database.transaction() as session:
            act = ACTS.validate_python({"act": "relabel", "label": label, "filter": {}})
            done.append(image_edits.carry_out(session, pets.id, act, most_labels=10).id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(relabel, ["a", "b", "c", "d"]))
    left = set(done)
    while left:  # only the last one can be undone
        for revision_id in sorted(left):
            try:
                with database.transaction() as session:
                    revisions.undo(session, pets.id, revision_id)
            except ChangedSince:
                continue
            left.remove(revision_id)
            break
        else:
            pytest.fail(f"none of {left} can be undone")
    with database.reading() as session:
        pets.session = session
        assert pets.state() == before


@pytest.mark.parametrize(
    "act",
    [
        {"kind": "relabel", "label": "dog", "filter": {"label": "kat"}},
        {"kind": "exclude", "filter": {"label": "kat"}},
        {"kind": "split", "split": "test", "filter": {"label": "kat", "split": "train"}},
        {"kind": "rename_label", "label": "kat", "to": "cats"},
    ],
)
def test_a_label_that_no_image_has_is_an_error_that_names_the_near_miss(pets, act):
    with pytest.raises(NotFound, match="No image has the label 'kat'") as caught:
        pets.act(**act)
    assert caught.value.hint == "Did you mean 'cat'?"
    with pytest.raises(NotFound) as caught:
        pets.act("exclude", filter={"label": "zebra"})
    assert caught.value.hint == "There are 'cat', 'dog'."
