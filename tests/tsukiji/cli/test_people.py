import json

from devtools.scripted_service import Answer, page
from tests.tsukiji.client.test_people import INVITATION, PERSON


def test_ls_says_who_may_do_what_and_why(service, run):
    service.answer("GET", "/v1/people", page(PERSON, PERSON | {"id": "psn_2", "claimed_role": "editor"}))
    lines = run("people", "ls").stdout.splitlines()[1:]
    assert [line.split("\t")[:5] for line in lines] == [
        ["psn_1", "anna@example.com", "Anna", "editor", "invitation"],
        ["psn_2", "anna@example.com", "Anna", "editor", "provider"],
    ]
    assert json.loads(run("people", "ls", "--json").stdout.splitlines()[0])["id"] == "psn_1"


def test_invite_and_withdraw(service, run):
    service.answer("POST", "/v1/invitations", INVITATION)
    service.answer("GET", "/v1/invitations", page(INVITATION))
    service.answer("DELETE", "/v1/invitations/inv_1", Answer(b"", 204))
    assert "inv_1" in run("people", "invite", "bob@example.com", "--role", "admin", "--expires", "3").stdout
    sent = {"email": "bob@example.com", "role": "admin", "expires_in_days": 3, "project": None}
    assert service.asked[0].json == sent
    assert "bob@example.com" in run("people", "invitations").stdout
    assert run("people", "withdraw", "inv_1").exit_code == 0
    assert run("people", "invite", "bob@example.com", "--role", "king").exit_code == 2


def test_role_and_rm(service, run):
    service.answer("PATCH", "/v1/people/psn_1", PERSON | {"role": "admin"})
    service.answer("DELETE", "/v1/people/psn_1", Answer(b"", 204))
    assert "admin" in run("people", "role", "psn_1", "admin").stdout
    assert service.asked[0].json == {"role": "admin"}
    assert "removed psn_1" in run("people", "rm", "psn_1", "--created").stderr
    assert service.asked[-1].query["created"] == ["true"]
