"""Who is let in, with which role, in which project, in both databases."""

import pytest
from sqlalchemy import select

from db import keys, people, projects
from db.models import DEFAULT_PROJECT, ApiKey, Invitation, Person
from db.people import Identity
from db.upgrade import downgrade, upgrade
from tsukiji.errors import ClaimMissing, Conflict, EmailUnverified, NotFound, NotInvited
from tsukiji.scopes import ROLES, SCOPES_OF, role_of

ISSUER = "https://id.example"
ANNA = Identity(ISSUER, "1", "anna@example.com", verified=True, name="Anna")


def claiming(role, who=ANNA):
    return Identity(who.issuer, who.subject, who.email, who.verified, who.name, role)


@pytest.fixture
def other(session):
    return projects.create(session, "other").id


@pytest.fixture
def invite(session):
    def invite(role="viewer", project=DEFAULT_PROJECT, days=7, email=ANNA.email):
        return people.invite(session, project, email, role, days, "key_admin")

    return invite


def roles(session, who=ANNA):
    """The roles of a person by the names of projects."""
    person = people.find_identity(session, who)
    return {key.project.name: role_of(key.scopes) for key in people.keys_of(session, person.id)}


def test_each_role_is_told_from_its_scopes():
    assert [role_of(SCOPES_OF[role]) for role in ROLES] == list(ROLES)


def test_nobody_comes_in_without_role_or_invitation(session):
    assert isinstance(people.admit(session, ANNA), NotInvited)
    assert isinstance(people.admit(session, Identity(ISSUER, "1")), ClaimMissing)
    assert isinstance(people.admit(session, Identity(ISSUER, "1", ANNA.email)), EmailUnverified)
    assert session.scalars(select(Person)).all() == [], "who stays out leaves no row"


def test_invitations_of_several_projects_are_accepted_together(session, invite, other):
    invite("editor")
    invite("viewer", other)
    key = people.admit(session, ANNA)
    assert roles(session) == {"default": "editor", "other": "viewer"}
    assert (key.name, key.created_by) == ("anna@example.com", "key_admin")
    assert session.scalars(select(Invitation)).all() == []


def test_who_comes_back_is_where_they_were_last(session, invite, other):
    invite("editor")
    invite("viewer", other)
    people.admit(session, ANNA)
    person = people.find_identity(session, ANNA)
    (key,) = [key for key in people.keys_of(session, person.id) if key.project_id == other]
    keys.touch(session, key.id)
    session.expire_all()
    assert people.admit(session, ANNA).id == key.id


def test_a_session_goes_on_in_another_project_of_the_person_only(session, invite, other):
    invite("editor")
    here = people.admit(session, ANNA)
    token = keys.sign_in(session, here.id, 1)
    session.flush()
    for project in (other, "prj_none"):
        with pytest.raises(NotFound):
            people.switch(session, token, here, project)
    invite("viewer", other)
    people.admit(session, ANNA)
    people.switch(session, token, here, other)
    assert keys.signed_in(session, token).project_id == other
    program, _ = keys.create(session, "program")
    with pytest.raises(NotFound):
        people.switch(session, keys.sign_in(session, program.id, 1), program, other)


def test_the_claim_decides_in_the_default_project_and_invitations_in_others(session, invite, other):
    invite("labeller", other)
    invite("viewer")
    people.admit(session, claiming("admin"))
    assert roles(session) == {"default": "admin", "other": "labeller"}
    people.admit(session, claiming("editor"))
    assert roles(session) == {"default": "editor", "other": "labeller"}
    person, key = people.find(session, DEFAULT_PROJECT, people.find_identity(session, ANNA).id)
    with pytest.raises(Conflict):
        people.change_role(session, person, key, "viewer")
    person, key = people.find(session, other, person.id)
    people.change_role(session, person, key, "admin")
    assert roles(session) == {"default": "editor", "other": "admin"}


def test_a_claim_that_is_gone_ends_what_it_gave_until_it_is_back(session, invite, other):
    token = keys.sign_in(session, people.admit(session, claiming("editor")).id, 1)
    session.flush()
    assert isinstance(people.admit(session, ANNA), NotInvited)
    assert keys.signed_in(session, token) is None
    invite("viewer", other)
    assert people.admit(session, ANNA).project_id == other
    assert roles(session) == {"other": "viewer"}
    people.admit(session, claiming("viewer"))
    assert roles(session) == {"default": "viewer", "other": "viewer"}


def test_who_was_removed_needs_an_invitation_whatever_the_claim_says(session, invite):
    people.admit(session, claiming("editor"))
    person, key = people.find(session, DEFAULT_PROJECT, people.find_identity(session, ANNA).id)
    keys.end(session, key)
    people.bar(session, person)
    refused = people.admit(session, claiming("editor"))
    assert isinstance(refused, NotInvited)
    assert "removed" in refused.detail
    invite("viewer")
    assert people.admit(session, claiming("editor")).id != key.id, "what was revoked stays so"
    assert roles(session) == {"default": "editor"}
    assert isinstance(people.admit(session, claiming("editor")), ApiKey)


def test_an_invitation_is_replaced_by_another_and_not_for_who_is_there(session, invite, other):
    invite("viewer")
    invite("editor", email="ANNA@example.com")
    assert [one.role for one in session.scalars(select(Invitation))] == ["editor"]
    people.admit(session, ANNA)
    with pytest.raises(Conflict):
        invite()
    assert invite(project=other).project_id == other


def test_people_of_one_subject_at_two_providers_are_two(session, invite):
    people.admit(session, claiming("viewer"))
    stranger = Identity("https://evil.example", "1", "anna@example.com")
    assert isinstance(people.admit(session, stranger), EmailUnverified)


def test_people_have_no_secret_and_are_no_keys_of_programs(session, invite):
    invite("admin")
    key = people.admit(session, ANNA)
    assert keys.all_keys(session) == []
    for act in (keys.revoke, lambda session, key_id: keys.rotate(session, key_id, 1)):
        with pytest.raises(NotFound):
            act(session, key.id)
    token = keys.local_link(session, 1)
    assert keys.use_link(session, token) != key.id, "commands on the server do not act as a person"


def test_keys_of_people_go_with_the_migration(database, settings):
    with database.transaction() as session:
        people.admit(session, claiming("editor"))
        keys.create(session, "program")
    downgrade(settings, "0025")
    upgrade(settings)
    with database.reading() as session:
        assert [key.name for key in session.scalars(select(ApiKey))] == ["program"]
