from devtools.scripted_service import NOW, Answer, page

PERSON = {
    "object": "person",
    "id": "psn_1",
    "email": "anna@example.com",
    "name": "Anna",
    "subject": "1",
    "project": "prj_default",
    "role": "editor",
    "key_id": "key_1",
    "created_at": NOW,
    "signed_in_at": NOW,
}
INVITATION = {
    "object": "invitation",
    "id": "inv_1",
    "email": "bob@example.com",
    "project": "prj_default",
    "role": "viewer",
    "created_at": NOW,
    "created_by": "key_1",
    "expires_at": NOW,
}


def test_someone_is_invited_listed_and_the_invitation_withdrawn(client, service):
    service.answer("POST", "/v1/invitations", INVITATION)
    service.answer("GET", "/v1/invitations", page(INVITATION))
    service.answer("DELETE", "/v1/invitations/inv_1", Answer(b"", 204))
    assert client.people.invite("bob@example.com", role="labeller", expires_in_days=1, project="lab").id == "inv_1"
    sent = {"email": "bob@example.com", "role": "labeller", "expires_in_days": 1, "project": "lab"}
    assert service.asked[0].json == sent
    (invitation,) = client.people.invitations()
    client.people.withdraw(invitation)
    assert service.asked[-1].path == "/v1/invitations/inv_1"


def test_roles_change_and_people_go(client, service):
    service.answer("GET", "/v1/people", page(PERSON))
    service.answer("PATCH", "/v1/people/psn_1", PERSON | {"role": "viewer"})
    service.answer("DELETE", "/v1/people/psn_1", Answer(b"", 204))
    (person,) = client.people.list(project="lab")
    assert service.asked[0].query["project"] == ["lab"]
    assert client.people.set_role(person, "viewer").role == "viewer"
    client.people.remove(person, created=True, project="lab")
    assert service.asked[-1].query == {"own": ["false"], "created": ["true"], "project": ["lab"]}
