"""What is found where images have several labels."""

from collections import Counter
from types import SimpleNamespace

import numpy as np

from tsukiji.labels import join_labels
from worker.jobs.analysis_findings import Alike, Seen, again, conflicts, label_next, listed, suspected_labels


def shown(image_id, labels):
    return SimpleNamespace(id=image_id, label=None if labels is None else join_labels(labels))


def test_a_set_is_compared_as_a_whole_and_told_by_its_labels():
    pictures = [shown("a", ["ant", "bee"]), shown("b", ["bee", "ant"]), shown("c", ["ant"]), shown("d", ["ant"])]
    found = list(conflicts(pictures, [Alike([0, 1], 0.1), Alike([2, 3], 0.1)], {}))
    assert found == []
    found = list(conflicts(pictures, [Alike([0, 1, 2], 0.1)], {}))
    assert [row["image_id"] for row in found] == ["a", "b", "c"]
    assert all(row["suggestion"] == {"labels": {"ant": 3, "bee": 2}} for row in found)


def test_labels_that_came_with_another_folder_are_no_conflict_and_others_are():
    pictures = [shown("a", ["ant", "bee"]), shown("b", ["ant"]), shown("c", None)]
    names = {
        "a": [("bee/1.jpg", join_labels(["bee"]))],
        "b": [("wasp/2.jpg", join_labels(["wasp"]))],
        "c": [("3.jpg", join_labels([])), ("4.jpg", None)],
    }
    found = list(conflicts(pictures, [], names))
    assert {row["image_id"]: row["suggestion"] for row in found} == {"b": {"labels": {"ant": 1, "wasp": 1}}}
    listed = {row["image_id"]: row["suggestion"]["names"] for row in again(pictures, names)}
    assert listed["a"] == [{"name": "bee/1.jpg", "labels": ["bee"]}]
    assert listed["c"] == [{"name": "3.jpg", "labels": []}, {"name": "4.jpg", "label": None}]


def test_a_label_too_many_and_one_too_few_are_suspected():
    throw = np.random.default_rng(5)
    truth = throw.random((120, 3)) < 0.4
    directions = throw.normal(size=(3, 32))
    vectors = (truth @ directions + 0.1 * throw.normal(size=(120, 32))).astype(np.float32)
    names = np.array(["ant", "bee", "wasp"])
    labels = [names[row].tolist() for row in truth]
    one, other = int(np.flatnonzero(truth[:, 0])[0]), int(np.flatnonzero(~truth[:, 1])[-1])
    told = {one: [name for name in labels[one] if name != "ant"], other: sorted([*labels[other], "bee"])}
    pictures = [shown(str(number), told.get(number, found)) for number, found in enumerate(labels)]
    found = list(suspected_labels(pictures, Seen(vectors, np.zeros((120, 4), np.float32))))
    assert {row["image_id"]: row["suggestion"]["labels"] for row in found[:2]} == {
        str(one): labels[one],
        str(other): labels[other],
    }


def test_what_to_label_next_asks_no_classifier_of_sets():
    vectors = np.random.default_rng(6).normal(size=(40, 16)).astype(np.float32)
    pictures = [shown(str(number), ["ant"] if number < 30 else None) for number in range(40)]
    found = list(label_next(pictures, Seen(vectors, np.zeros((40, 4), np.float32))))
    assert {row["image_id"] for row in found} <= {str(number) for number in range(30, 40)}
    assert len(found) > 0
    assert all(row["suggestion"]["label"] is None for row in found)


def test_a_finding_of_very_many_images_says_so_and_only_its_worst_are_listed():
    rows = [{"kind": "blurry", "image_id": str(n), "score": n / 1000} for n in range(300)]
    rows += [{"kind": "near_duplicates", "image_id": str(n), "score": 0.01} for n in range(600)]
    rows += [{"kind": "grayscale", "image_id": str(n), "score": 0.0} for n in range(990)]
    rows += [{"kind": "label_next", "image_id": str(n), "score": n / 100} for n in range(150)]
    rows += [{"kind": "dark", "image_id": str(n), "score": 0.1} for n in range(50)]
    kept, prevalent = listed(rows, 1000)
    assert prevalent == {"blurry": 300, "near_duplicates": 600, "grayscale": 990}
    counts = Counter(row["kind"] for row in kept)
    assert counts == {"blurry": 100, "near_duplicates": 600, "label_next": 150, "dark": 50}
    assert max(row["score"] for row in kept if row["kind"] == "blurry") < 0.1
