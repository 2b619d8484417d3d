import pytest
from sqlalchemy import text

from db import aliases, registry
from db.paging import Window
from db.upgrade import downgrade, upgrade
from tests.db.test_registry import add
from tsukiji.errors import Conflict, NotFound


def history(session, name="production"):
    return [(move.model_id, move.moved_by) for move in aliases.page_moves(session, name, Window()).data]


def test_every_move_is_noted_with_who_made_it(session):
    older, newer = add(session).id, add(session).id
    aliases.put(session, "production", older, by="key_1")
    aliases.put(session, "production", newer, by="key_2")
    aliases.put(session, "production", newer, by="key_3")
    aliases.remove(session, "production", by="key_1")
    assert history(session) == [(None, "key_1"), (newer, "key_2"), (older, "key_1")]
    with pytest.raises(NotFound):
        history(session, "canary")


def test_roll_back_leads_to_the_model_before_and_from_there_back(session):
    first, second, third = (add(session).id for _ in range(3))
    for model in (first, second, third):
        aliases.put(session, "production", model)
    assert aliases.roll_back(session, "production", by="key_1").model_id == second
    assert history(session)[0] == (second, "key_1")
    assert aliases.roll_back(session, "production").model_id == third


def test_roll_back_passes_over_a_time_without_the_alias(session):
    first, second = add(session).id, add(session).id
    aliases.put(session, "production", first)
    aliases.remove(session, "production")
    aliases.put(session, "production", second)
    assert aliases.roll_back(session, "production").model_id == first


def test_no_way_back(session):
    first, second = add(session).id, add(session).id
    with pytest.raises(NotFound):
        aliases.roll_back(session, "production")
    aliases.put(session, "production", first)
    with pytest.raises(Conflict, match="no previous"):
        aliases.roll_back(session, "production")
    aliases.put(session, "production", second)
    registry.remove_model(session, first)
    with pytest.raises(Conflict, match="was deleted"):
        aliases.roll_back(session, "production")
    assert aliases.find(session, "production").model_id == second


def test_an_alias_from_before_there_was_a_history_can_be_rolled_back(database, settings):
    with database.transaction() as session:
        older, newer = add(session).id, add(session).id
        aliases.put(session, "production", older)
        session.flush()
        session.execute(text("DELETE FROM alias_moves"))
    downgrade(settings, "0001")
    upgrade(settings)
    with database.transaction() as session:
        aliases.put(session, "production", newer)
        assert aliases.roll_back(session, "production").model_id == older
