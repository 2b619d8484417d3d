import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from db import blobs
from db.clock import now
from db.curation import datasets
from db.curation.datasets import NewImage
from db.models import Blob
from db.paging import Window
from tsukiji.errors import Conflict, Invalid, NotFound
from tsukiji.types import ImageFilter


def image(number, label="cat", split=None):
    return NewImage(f"{number}.jpg", label, split, f"{number:064x}", 10, 20, 30, "JPEG")


def test_a_picture_is_stored_once(session):
    dataset = datasets.create(session, "pets")
    first = datasets.add_images(session, dataset.id, [image(1), image(2), image(1)])
    again = datasets.add_images(session, dataset.id, [image(2), image(3)])
    assert [new for _, new in first] == [True, True, False]
    assert first[0][0] == first[2][0]
    assert [new for _, new in again] == [False, True]
    assert again[0][0] == first[1][0]


def test_the_same_picture_may_lie_in_two_data_sets(session):
    one, two = datasets.create(session, "one"), datasets.create(session, "two")
    assert datasets.add_images(session, one.id, [image(1)])[0][1]
    assert datasets.add_images(session, two.id, [image(1)])[0][1]


def test_counts(session):
    dataset = datasets.create(session, "pets")
    datasets.add_images(session, dataset.id, [image(1), image(2), image(3, "dog", "valid"), image(4, None)])
    assert datasets.count_labels(session, [dataset.id])[dataset.id] == [("cat", 2), (None, 1), ("dog", 1)]
    assert datasets.count_images(session, [dataset.id])[dataset.id].splits == {"unassigned": 3, "valid": 1}


def test_names_are_taken_once_and_found_like_ids(session):
    dataset = datasets.create(session, "pets")
    with pytest.raises(Conflict):
        datasets.create(session, "pets")
    assert datasets.find(session, "pets") is datasets.find(session, dataset.id)
    with pytest.raises(NotFound):
        datasets.find(session, "birds")


def test_pages_show_every_image_once(session):
    dataset = datasets.create(session, "pets")
    datasets.add_images(session, dataset.id, [image(number, "cat" if number % 2 else "dog") for number in range(25)])
    seen, window = [], Window(10, None, ("cat",))
    while True:
        rows = datasets.page_images(session, dataset.id, window, ImageFilter(label="cat"))
        seen += [row.name for row in rows.data]
        if rows.next_cursor is None:
            break
        window = Window(10, rows.next_cursor, ("cat",))
    assert len(seen) == len(set(seen)) == 12


def test_a_cursor_does_not_go_on_with_other_filters(session):
    dataset = datasets.create(session, "pets")
    datasets.add_images(session, dataset.id, [image(number) for number in range(3)])
    cursor = datasets.page_images(session, dataset.id, Window(1, None, ("cat",)), ImageFilter(label="cat")).next_cursor
    for window in (Window(1, cursor, ("dog",)), Window(1, "nonsense", ("cat",)), Window(1, "é", ())):
        with pytest.raises(Invalid):
            datasets.page_images(session, dataset.id, window)


def test_deleting_takes_the_images_along(session):
    dataset = datasets.create(session, "pets")
    (image_id, _), *_ = datasets.add_images(session, dataset.id, [image(1)])
    datasets.remove(session, dataset.id)
    session.expire_all()
    with pytest.raises(NotFound):
        datasets.find_image(session, image_id)


def test_bytes_of_a_deleted_image_stay_for_the_grace_time(session):
    dataset = datasets.create(session, "pets")
    (image_id, _), *_ = datasets.add_images(session, dataset.id, [image(1)])
    session.execute(update(Blob).values(used_at=now(-48 * 3600)))
    datasets.remove_image(session, image_id)
    assert blobs.sweep(session, grace_hours=24) == [], "a training that is under way may still read them"
    session.execute(update(Blob).values(used_at=now(-48 * 3600)))
    assert blobs.sweep(session, grace_hours=24) == [f"{1:064x}"]


def splits_of(database, dataset_id):
    with database.reading() as session:
        return {image.id: image.drawn_split for image in datasets.labelled_images(session, dataset_id)}


def test_drawn_splits_of_many_images_are_kept(database):
    with database.transaction() as session:
        dataset = datasets.create(session, "pets")
        added = datasets.add_images(session, dataset.id, [image(number) for number in range(3000)])
    drawn = {image_id: "valid" if number % 3 == 0 else "train" for number, (image_id, _) in enumerate(added)}
    with database.transaction() as session:
        datasets.keep_splits(session, dataset.id, drawn)
    assert splits_of(database, dataset.id) == drawn


def test_of_two_draws_at_once_one_stands_whole(database):
    """Each writes in another order; without the lock on the data set they would stop each other, or mix."""
    with database.transaction() as session:
        dataset = datasets.create(session, "pets")
        ids = [image_id for image_id, _ in datasets.add_images(session, dataset.id, map(image, range(1200)))]
    draws = [{image_id: ("train", "valid")[(n + turn) % 2] for n, image_id in enumerate(ids)} for turn in range(4)]
    start = threading.Barrier(len(draws))

    def write(drawn):
        start.wait()
        with database.transaction() as session:
            datasets.keep_splits(session, dataset.id, drawn)

    with ThreadPoolExecutor(len(draws)) as pool:
        list(pool.map(write, draws))
    assert splits_of(database, dataset.id) in draws
