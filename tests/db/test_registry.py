import pytest

from db import aliases, blobs, registry
from db.clock import now
from db.models import Blob, Evaluation, Model
from tsukiji.errors import Conflict, NotFound
from tsukiji.ids import new_id

SHA = "a" * 64


def add(session, name="pets", sha=SHA):
    model = Model(
        id=new_id("mdl"), name=name, backbone="resnet34", label_names=["cat", "dog"], recipe={}, accuracy=0.9, bytes=1
    )
    registry.add_model(session, model, {"model.safetensors": (sha, 1)})
    return model


def test_a_model_is_found_by_id_alias_and_newest_of_its_name(session):
    older, newer = add(session), add(session)
    aliases.put(session, "production", older.id)
    assert registry.find_model(session, older.id) is older
    assert registry.find_model(session, "production") is older
    assert registry.find_model(session, "pets") is newer
    with pytest.raises(NotFound):
        registry.find_model(session, "birds")


def test_an_alias_is_moved_and_protects_its_model(session):
    older, newer = add(session), add(session)
    aliases.put(session, "production", older.id)
    aliases.put(session, "production", newer.id)
    with pytest.raises(Conflict):
        registry.remove_model(session, newer.id)
    registry.remove_model(session, older.id)
    aliases.remove(session, "production")
    registry.remove_model(session, newer.id)
    assert registry.page_models(session, registry.Window()).data == []


def test_deleting_a_model_takes_its_evaluation_along(session):
    model = add(session)
    evaluation = Evaluation(id=new_id("evl"), model_id=model.id, split="valid", metrics={})
    item = {
        "seq": 0, "image_id": None, "name": "a", "sha256": SHA, "true_label": "cat", "predicted_label": "dog",
        "score": 0.6, "loss": 0.9, "probabilities": b"",
    }  # fmt: skip
    registry.add_evaluation(session, evaluation, [item])
    cell = registry.page_evaluation_items(session, evaluation.id, registry.Window(), "cat", "dog")
    assert [row.name for row in cell.data] == ["a"]
    assert registry.page_evaluation_items(session, evaluation.id, registry.Window(), "cat", "cat").data == []
    evaluation_id = evaluation.id
    registry.remove_model(session, model.id)
    session.expunge_all()
    with pytest.raises(NotFound):
        registry.find_evaluation(session, evaluation_id)


def test_only_bytes_that_nothing_refers_to_are_swept(session):
    model = add(session)
    blobs.keep(session, [("b" * 64, 1)])
    for sha in (SHA, "b" * 64):
        session.get_one(Blob, sha).used_at = now(-7200)
    session.flush()
    blobs.keep(session, [("c" * 64, 1)])  # fresh: its upload may still be under way
    assert blobs.sweep(session, grace_hours=1) == ["b" * 64]
    registry.remove_model(session, model.id)
    assert blobs.sweep(session, grace_hours=1) == [SHA]
    assert blobs.is_kept(session, "c" * 64)
