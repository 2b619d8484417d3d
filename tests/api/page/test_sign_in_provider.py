"""Signing in by a real OpenID provider, and by one that answers falsely."""

import base64
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from api.http.middleware import COOKIE
from api.page.sign_in_provider import COOKIE as ATTEMPT
from devtools.servers import free_port
from tests.api.conftest import configure_openid
from tests.api.test_auth import SAME_SITE

ANNA = "anna@example.com"


@pytest.fixture
def stranger(start):
    """A browser that is not signed in."""
    opened = start(follow_redirects=False)
    opened.headers.update(SAME_SITE | {"accept": "text/html"})
    return opened


@pytest.fixture
def anna(openid_provider, client):
    """Somebody whom the provider knows, and who is invited as an editor."""
    openid_provider.know("anna", email=ANNA, email_verified=True, name="Anna")
    assert client.post("/v1/invitations", json={"email": "Anna@Example.com", "role": "editor"}).status_code == 201
    return "anna"


def sign_in(browser, provider, subject, wanted="/", **form):
    """Go to the provider and come back; returns the answer of the way back."""
    away = browser.get("/sign-in/provider", params={"next": wanted})
    assert away.status_code == 303, away.text
    return browser.get(provider.consent(away.headers["location"], subject, **form))


def refused(answer, code, status):
    """Whether the sign-in page shows this error with its hint, and no session is opened."""
    assert (answer.status_code, code in answer.text) == (status, True), answer.text
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers or f"{COOKIE}=" not in answer.headers["set-cookie"]
    return True


def test_the_page_offers_the_provider_and_keys(stranger, openid_provider, services):
    configure_openid(services, name="Example SSO")
    page = stranger.get("/sign-in", params={"next": "/jobs?kind=training"}).text
    assert "Sign in with Example SSO" in page
    assert 'href="/sign-in/provider?next=/jobs%3Fkind%3Dtraining"' in page
    assert 'name="key"' in page


def test_without_a_provider_there_are_keys_and_links(stranger):
    assert "Sign in with " not in stranger.get("/sign-in").text
    assert refused(stranger.get("/sign-in/provider"), "provider_not_set", 409)
    assert refused(stranger.get("/sign-in/provider/callback?code=a&state=b"), "provider_not_set", 409)


def test_who_is_invited_comes_in_at_the_page_asked_for(stranger, openid_provider, anna, client):
    away = stranger.get("/sign-in/provider", params={"next": "/jobs?kind=training"})
    asked = {name: values[0] for name, values in parse_qs(urlsplit(away.headers["location"]).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/sign-in/provider/callback"
    assert "SameSite=lax" in away.headers["set-cookie"]
    assert "HttpOnly" in away.headers["set-cookie"]
    back = stranger.get(openid_provider.consent(away.headers["location"], anna))
    assert back.status_code == 200
    assert 'content="0; url=/jobs?kind=training"' in back.text, "a redirect would not bring the strict cookie along"
    assert "SameSite=strict" in back.headers["set-cookie"]
    assert ATTEMPT not in stranger.cookies
    assert stranger.get("/v1/keys/self").json()["scopes"] == ["predict", "label", "train"]
    assert [(one["email"], one["role"]) for one in client.get("/v1/people").json()["data"]] == [(ANNA, "editor")]
    assert client.get("/v1/invitations").json()["data"] == [], "it is used up"
    assert "Signed in as anna@example.com" in stranger.get("/").text


def test_the_second_time_needs_no_invitation_and_keeps_the_key(stranger, start, openid_provider, anna):
    sign_in(stranger, openid_provider, anna)
    other = start(follow_redirects=False)
    assert sign_in(other, openid_provider, anna).status_code == 200
    assert other.get("/v1/keys/self").json()["id"] == stranger.get("/v1/keys/self").json()["id"]


def test_acts_are_written_down_with_the_name(stranger, openid_provider, anna, client):
    sign_in(stranger, openid_provider, anna)
    stranger.post("/v1/datasets", json={"name": "sushi"})
    entries = client.get("/v1/audit").json()["data"]
    assert [(one["act"], one["name"]) for one in entries[:3]] == [
        ("create_dataset", ANNA),
        ("sign_in", ANNA),
        ("admit_person", ANNA),
    ]
    assert entries[3]["act"] == "create_invitation"


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "/\n/evil.example", ""]
)
def test_what_is_asked_for_is_never_another_site(stranger, openid_provider, anna, wanted):
    assert 'content="0; url=/"' in sign_in(stranger, openid_provider, anna, wanted=wanted).text


def test_who_is_not_invited_stays_out_and_may_choose_another_account(stranger, openid_provider):
    openid_provider.know("bob", email="bob@example.com", email_verified=True)
    answer = sign_in(stranger, openid_provider, "bob")
    assert refused(answer, "not_invited", 403)
    assert "bob@example.com" in answer.text
    assert "choose=true" in answer.text
    again = stranger.get("/sign-in/provider?choose=true").headers["location"]
    assert parse_qs(urlsplit(again).query)["prompt"] == ["select_account"]


def test_an_invitation_expires(stranger, openid_provider, client):
    client.post("/v1/invitations", json={"email": ANNA, "expires_in_days": 1e-8})
    openid_provider.know("anna", email=ANNA, email_verified=True)
    assert refused(sign_in(stranger, openid_provider, "anna"), "not_invited", 403)


@pytest.mark.parametrize(
    "verified", [{}, {"email_verified": False}, {"email_verified": "false"}, {"email_verified": []}]
)
def test_an_unverified_address_opens_no_invitation(stranger, openid_provider, anna, verified):
    openid_provider.know("thief", email=ANNA, **verified)
    assert refused(sign_in(stranger, openid_provider, "thief"), "email_unverified", 403)


def test_addresses_are_believed_if_the_settings_say_so_unless_the_provider_denies_them(
    stranger, openid_provider, anna, services
):
    configure_openid(services, trust_email=True)
    openid_provider.know("thief", email=ANNA, email_verified=False)
    assert refused(sign_in(stranger, openid_provider, "thief"), "email_unverified", 403)
    openid_provider.know("anna", email=ANNA)
    assert sign_in(stranger, openid_provider, "anna").status_code == 200


def test_no_other_letter_passes_for_one_of_an_address(stranger, openid_provider, client):
    client.post("/v1/invitations", json={"email": "kate@example.com"})
    openid_provider.know("thief", email="\u212aate@example.com", email_verified=True)  # its lower case is k
    assert refused(sign_in(stranger, openid_provider, "thief"), "not_invited", 403)


def test_without_an_address_there_is_no_invitation(stranger, openid_provider):
    openid_provider.know("nameless", name="Nameless")
    answer = sign_in(stranger, openid_provider, "nameless")
    assert refused(answer, "claim_missing", 400)
    assert "<code>claim_missing</code>" in answer.text


# --- roles by a claim ------------------------------------------------------------------------------------------------


@pytest.fixture
def groups(services, openid_provider):
    configure_openid(services, role_claim="access.groups", roles={"ml": "editor", "ops": "admin", "all": "viewer"})

    def join(*names):
        openid_provider.know("anna", email=ANNA, access={"groups": [*names]})

    return join


def role(browser):
    return browser.get("/v1/keys/self").json().get("scopes")


def test_a_claim_gives_the_highest_role_and_follows_at_each_sign_in(stranger, start, openid_provider, groups, client):
    groups("all", "ml", "chess")
    assert sign_in(stranger, openid_provider, "anna").status_code == 200
    assert role(stranger) == ["predict", "label", "train"]
    groups("all")
    sign_in(start(follow_redirects=False), openid_provider, "anna")
    assert role(stranger) == ["predict", "read"], "also in sessions that are open"
    (person,) = client.get("/v1/people").json()["data"]
    assert (person["role"], person["claimed_role"]) == ("viewer", "viewer")
    answer = client.patch(f"/v1/people/{person['id']}", json={"role": "admin"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), "only the provider can change it"


def test_who_loses_the_claim_is_out_at_the_next_sign_in_everywhere(stranger, start, openid_provider, groups):
    groups("ml")
    sign_in(stranger, openid_provider, "anna")
    groups("chess")
    assert refused(sign_in(start(follow_redirects=False), openid_provider, "anna"), "not_invited", 403)
    assert stranger.get("/v1/info").status_code == 401
    groups("ml")
    assert sign_in(stranger, openid_provider, "anna").status_code == 200


def test_roles_are_their_own_names_without_a_map(stranger, openid_provider, services):
    configure_openid(services, role_claim="tsukiji_role")
    openid_provider.know("eve", email="eve@example.com", tsukiji_role="labeller")
    sign_in(stranger, openid_provider, "eve")
    assert role(stranger) == ["predict", "label"]


def test_claims_that_only_userinfo_tells_count_if_they_are_of_the_same_person(stranger, start, openid_provider, groups):
    groups("ml")
    openid_provider.make_token = lambda claims: openid_provider.signed(
        {name: value for name, value in claims.items() if name not in {"access", "email"}}
    )
    assert sign_in(stranger, openid_provider, "anna").status_code == 200
    assert role(stranger) == ["predict", "label", "train"]
    openid_provider.documents["/userinfo"] = {"sub": "someone-else"}
    assert refused(sign_in(start(follow_redirects=False), openid_provider, "anna"), "id_token_invalid", 400)


def test_what_userinfo_says_of_another_address_verifies_nothing(stranger, start, openid_provider, anna):
    openid_provider.know("thief", email="thief@example.com", email_verified=True)
    openid_provider.make_token = lambda claims: openid_provider.signed(
        {name: value for name, value in claims.items() if name != "email_verified"} | {"email": ANNA}
    )
    assert refused(sign_in(stranger, openid_provider, "thief"), "email_unverified", 403)
    assert sign_in(start(follow_redirects=False), openid_provider, anna).status_code == 200, "of the same, it does"


# --- false answers ---------------------------------------------------------------------------------------------------


def unsigned(claims):
    parts = [{"alg": "none"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


LIES = {
    "nonce": lambda now: {"nonce": "of another sign-in"},
    "nonce missing": lambda now: {"nonce": None},
    "audience": lambda now: {"aud": "another-client"},
    "audience of several": lambda now: {"aud": ["another-client", "third"]},
    "audience shared": lambda now: {"aud": ["tsukiji", "another-client"], "azp": "another-client"},
    "issuer": lambda now: {"iss": "https://evil.example"},
    "access token": lambda now: {"at_hash": "of-another"},
    "no subject": lambda now: {"sub": None},
    "no expiry": lambda now: {"exp": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_this_sign_in_is_refused(stranger, openid_provider, anna, lie):
    def tell(claims):
        told = claims | LIES[lie](time.time())
        return openid_provider.signed({name: value for name, value in told.items() if value is not None})

    openid_provider.make_token = tell
    assert refused(sign_in(stranger, openid_provider, anna), "id_token_invalid", 400)


TIMES = {"expired": {"exp": -900, "iat": -1000}, "of the future": {"iat": 900, "exp": 1800}, "not yet": {"nbf": 900}}


@pytest.mark.parametrize("when", TIMES)
def test_a_token_of_another_time_says_that_clocks_differ(stranger, openid_provider, anna, when):
    times = {name: int(time.time()) + seconds for name, seconds in TIMES[when].items()}
    openid_provider.make_token = lambda claims: openid_provider.signed(claims | times)
    answer = sign_in(stranger, openid_provider, anna)
    assert refused(answer, "clock_skew", 400)
    assert "s off" in answer.text


def test_clocks_may_differ_a_little(stranger, openid_provider, anna):
    openid_provider.make_token = lambda claims: openid_provider.signed(claims | {"exp": int(time.time()) - 30})
    assert sign_in(stranger, openid_provider, anna).status_code == 200


def test_a_token_without_the_providers_signature_is_refused(stranger, openid_provider, anna):
    foreign = RSAKey.generate_key(2048)
    for make in (
        unsigned,
        lambda claims: openid_provider.signed(claims, foreign),
        lambda claims: openid_provider.signed(claims)[:-8] + "AAAAAAAA",
        lambda claims: "not.a.token",
        lambda claims: "",
    ):
        openid_provider.make_token = make
        assert refused(sign_in(stranger, openid_provider, anna), "id_token_invalid", 400)


def test_a_provider_may_announce_neither_none_nor_shared_secrets(stranger, openid_provider, anna):
    document = "/.well-known/openid-configuration"
    openid_provider.documents[document] = {"id_token_signing_alg_values_supported": ["none", "HS256"]}
    openid_provider.make_token = unsigned
    assert refused(sign_in(stranger, openid_provider, anna), "provider_invalid", 502)


def test_new_keys_of_the_provider_are_fetched(stranger, start, openid_provider, anna):
    sign_in(stranger, openid_provider, anna)
    other = RSAKey.generate_key(2048, {"kid": "new"})
    openid_provider.documents["/jwks"] = {"keys": [other.as_dict(is_private=False)]}
    header = {"alg": "RS256", "kid": "new"}
    openid_provider.make_token = lambda claims: openid_provider.signed(claims, other, header)
    assert sign_in(start(follow_redirects=False), openid_provider, anna).status_code == 200


def test_the_answer_of_another_sign_in_is_refused(stranger, start, openid_provider, anna):
    address = stranger.get("/sign-in/provider").headers["location"]
    back = openid_provider.consent(address, anna)
    thief = start(follow_redirects=False)
    assert refused(thief.get(back), "sign_in_interrupted", 400), "it has no attempt"
    thief.get("/sign-in/provider")
    assert refused(thief.get(back), "sign_in_interrupted", 400), "`state` is of another attempt"
    assert refused(stranger.get(back.replace("state=", "state=x")), "sign_in_interrupted", 400)
    assert refused(stranger.get(back), "sign_in_interrupted", 400), "an attempt is used up by any answer"


def test_who_goes_back_after_signing_in_is_led_on(stranger, openid_provider, anna):
    back = openid_provider.consent(stranger.get("/sign-in/provider").headers["location"], anna)
    stranger.get(back)
    again = stranger.get(back)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert stranger.get("/v1/info").status_code == 200


def test_a_code_is_worth_nothing_without_its_proof(stranger, start, openid_provider, anna):
    """A thief who has the code injects it into a sign-in of their own."""
    code = parse_qs(
        urlsplit(openid_provider.consent(stranger.get("/sign-in/provider").headers["location"], anna)).query
    )
    thief = start(follow_redirects=False)
    mine = parse_qs(urlsplit(thief.get("/sign-in/provider").headers["location"]).query)["state"][0]
    back = thief.get("/sign-in/provider/callback", params={"code": code["code"][0], "state": mine})
    assert refused(back, "sign_in_interrupted", 400)


def test_an_answer_of_another_provider_is_refused(stranger, openid_provider, anna):
    address = stranger.get("/sign-in/provider").headers["location"]
    back = openid_provider.consent(address, anna) + "&iss=https://evil.example"
    assert refused(stranger.get(back), "id_token_invalid", 400)


@pytest.mark.parametrize("cookie", ["", "x", "bm90IGpzb24=", "W10=", "eyJzdGF0ZSI6IDF9"])
def test_a_cookie_that_is_not_ours_is_an_interrupted_sign_in(stranger, openid_provider, cookie):
    stranger.cookies.set(ATTEMPT, cookie)
    assert refused(stranger.get("/sign-in/provider/callback?code=a&state=b"), "sign_in_interrupted", 400)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_refused_consent(stranger, openid_provider, anna):
    assert refused(sign_in(stranger, openid_provider, anna, action="deny"), "consent_refused", 400)


def test_other_errors_of_the_provider_are_told(stranger, openid_provider):
    state = parse_qs(urlsplit(stranger.get("/sign-in/provider").headers["location"]).query)["state"][0]
    told = {"error": "server_error", "error_description": "<b>at home</b>", "state": state}
    answer = stranger.get("/sign-in/provider/callback", params=told)
    assert refused(answer, "sign_in_failed", 400)
    assert "&lt;b&gt;at home" in answer.text


def test_a_provider_that_is_away(stranger, openid_provider, services):
    configure_openid(services, issuer=f"http://127.0.0.1:{free_port()}")
    answer = stranger.get("/sign-in/provider", params={"next": "/jobs"})
    assert refused(answer, "provider_unreachable", 503)
    assert 'value="/jobs"' in answer.text, "a key still leads there"


def test_a_provider_that_fails_meanwhile(stranger, openid_provider, anna):
    openid_provider.statuses["/oauth2/token"] = 503
    assert refused(sign_in(stranger, openid_provider, anna), "provider_unreachable", 503)


def test_the_wrong_client(stranger, openid_provider, anna):
    openid_provider.errors["/oauth2/token"] = "invalid_client"
    assert refused(sign_in(stranger, openid_provider, anna), "client_refused", 502)


@pytest.mark.parametrize(
    "member",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "http://evil.example/jwks"},
    ],
)
def test_a_discovery_document_that_is_not_right(stranger, openid_provider, member):
    openid_provider.documents["/.well-known/openid-configuration"] = member
    assert refused(stranger.get("/sign-in/provider"), "provider_invalid", 502)


def test_the_log_says_who_was_refused_and_why(stranger, openid_provider, logged):
    openid_provider.know("bob", email="bob@example.com", email_verified=True)
    sign_in(stranger, openid_provider, "bob")
    (line,) = [line for line in logged if line["event"] == "sign_in_refused"]
    assert line["code"] == "not_invited"
    assert "bob@example.com" in line["detail"]


def test_the_log_has_neither_code_nor_token(stranger, openid_provider, anna, logged):
    away = stranger.get("/sign-in/provider").headers["location"]
    back = openid_provider.consent(away, anna)
    stranger.get(back)
    (code,) = parse_qs(urlsplit(back).query)["code"]
    assert code not in str(logged)
    assert stranger.cookies[COOKIE] not in str(logged)


# --- how long it lasts -----------------------------------------------------------------------------------------------


def test_a_session_ends_when_the_provider_says(stranger, start, openid_provider, anna):
    soon = int(time.time()) + 600
    openid_provider.make_token = lambda claims: openid_provider.signed(claims | {"session_expiry": soon})
    back = sign_in(stranger, openid_provider, anna)
    lasts = int(back.headers["set-cookie"].split("Max-Age=")[1].split(";")[0])
    assert 500 < lasts <= 600
    openid_provider.make_token = lambda claims: openid_provider.signed(claims | {"session_expiry": soon + 10**6})
    lasts = int(
        sign_in(start(follow_redirects=False), openid_provider, anna)
        .headers["set-cookie"]
        .split("Max-Age=")[1]
        .split(";")[0]
    )
    assert lasts == 12 * 3600, "ours is sooner"
    openid_provider.make_token = lambda claims: openid_provider.signed(claims | {"session_expiry": soon - 10**6})
    assert refused(sign_in(start(follow_redirects=False), openid_provider, anna), "clock_skew", 400)


def test_signing_out_here_and_there(stranger, openid_provider, anna):
    sign_in(stranger, openid_provider, anna)
    answer = stranger.post("/sign-out")
    assert stranger.get("/v1/info").status_code == 401
    assert 'href="/sign-in/provider/out"' in stranger.get(answer.headers["location"]).text
    there = stranger.get("/sign-in/provider/out").headers["location"]
    assert there == f"{openid_provider.url}/oauth2/end_session?client_id=tsukiji"


def test_a_provider_without_an_address_for_signing_out(stranger, openid_provider):
    openid_provider.documents["/.well-known/openid-configuration"] = {"end_session_endpoint": None}
    assert refused(stranger.get("/sign-in/provider/out"), "provider_invalid", 502)
