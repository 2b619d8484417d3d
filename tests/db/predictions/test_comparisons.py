from db import registry
from db.models import Evaluation
from db.predictions import comparisons
from db.predictions.comparisons import Tally
from tests.db.test_registry import add
from tsukiji.ids import new_id


def evaluate(session, model, *images):
    evaluation = Evaluation(id=new_id("evl"), model_id=model.id, split="valid", metrics={})
    items = [
        {
            "seq": seq, "image_id": None, "name": letter, "sha256": letter * 64, "true_label": true,
            "predicted_label": predicted, "score": 0.6, "loss": loss, "probabilities": b"",
        }
        for seq, (letter, true, predicted, loss) in enumerate(images)
    ]  # fmt: skip
    registry.add_evaluation(session, evaluation, items)
    return evaluation.id


def test_images_are_matched_by_content(session):
    model = add(session)
    a = evaluate(session, model, ("a", "cat", "cat", 1), ("b", "cat", "dog", 1), ("c", "dog", "dog", 1))
    b = evaluate(session, model, ("c", "dog", "cat", 1), ("b", "cat", "cat", 1), ("d", "cat", "cat", 1))
    evaluate(session, model, ("a", "cat", "dog", 1), ("b", "cat", "dog", 1))  # not part of the comparison
    assert sorted(comparisons.tally(session, a, b), key=lambda row: row.label) == [
        Tally("cat", right_a=False, right_b=True, images=1),
        Tally("dog", right_a=True, right_b=False, images=1),
    ]
    assert (comparisons.count_items(session, a), comparisons.count_relabelled(session, a, b)) == (3, 0)
    assert comparisons.count_changed(session, a, b) == 2
    found = comparisons.changed_items(session, a, b, 10)
    assert [(one.name, one.predicted_label, other.predicted_label) for one, other in found] == [
        ("c", "dog", "cat"),
        ("b", "dog", "cat"),
    ]
    assert len(comparisons.changed_items(session, a, b, 1)) == 1


def test_an_image_that_was_relabelled_is_not_compared(session):
    model = add(session)
    a, b = (evaluate(session, model, ("a", true, "cat", 1)) for true in ("cat", "dog"))
    assert comparisons.tally(session, a, b) == []
    assert comparisons.count_relabelled(session, a, b) == 1


def test_top_losses_page_by_page(session):
    images = [(letter, "cat", "dog", loss) for letter, loss in zip("abcde", (0.1, 0.3, 0.1, 0.7, 0.3), strict=True)]
    evaluation = evaluate(session, add(session), *images)
    names, window = "", registry.Window(2)
    while True:
        page = registry.page_evaluation_items(session, evaluation, window, worst_first=True)
        names += "".join(row.name for row in page.data)
        if page.next_cursor is None:
            break
        window = registry.Window(2, page.next_cursor)
    assert names == "dbeac"
