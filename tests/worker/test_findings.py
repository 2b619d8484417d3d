"""What counts as a conflict where images have several labels."""

from types import SimpleNamespace

from tsukiji.labels import join_labels
from worker.findings import Alike, again, conflicts


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
