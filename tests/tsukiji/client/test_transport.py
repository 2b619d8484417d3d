import threading

import pytest

import tsukiji
from devtools.scripted_service import Answer, dataset, page, problem


def test_sends_key_and_agent(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset())
    client.datasets.get("pets")
    assert service.asked[0].headers["authorization"] == "Bearer tsk_secret"
    assert service.asked[0].headers["user-agent"].startswith("tsukiji-python/")


def test_environment_fills_in_and_arguments_win(connect, service, monkeypatch):
    monkeypatch.setenv("TSUKIJI_URL", service.url + "/")
    monkeypatch.setenv("TSUKIJI_API_KEY", "tsk_environment")
    service.answer("GET", "/v1/limits", {})
    with connect() as client:
        client.limits()
    with connect(api_key="tsk_argument") as client:
        client.limits()
    keys = [asked.headers["authorization"] for asked in service.asked]
    assert keys == ["Bearer tsk_environment", "Bearer tsk_argument"]


def test_a_proxy_never_stands_between_us_and_this_machine(connect, service, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    service.answer("GET", "/v1/limits", {"image_bytes": 1})
    with connect(service.url) as client:
        assert client.limits() == {"image_bytes": 1}


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused_at_once(connect, url):
    with pytest.raises(ValueError, match="not a service address"):
        connect(url)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_tries_again_with_one_idempotency_key(client, service, slept, status):
    service.answer("POST", "/v1/datasets", problem(status, "busy"), Answer(cut=True), dataset())
    assert client.datasets.create("pets").id == "dst_1"
    keys = {asked.headers["idempotency-key"] for asked in service.asked}
    assert len(service.asked) == 3
    assert len(keys) == 1
    assert 0.375 <= slept[0] <= 0.5
    assert 0.75 <= slept[1] <= 1.0


def test_two_calls_have_two_keys(client, service):
    service.answer("POST", "/v1/datasets", dataset())
    client.datasets.create("pets")
    client.datasets.create("pets")
    assert len({asked.headers["idempotency-key"] for asked in service.asked}) == 2


def test_gives_up_after_two_retries(client, service):
    service.answer("GET", "/v1/info", problem(503, "storage_unavailable", request_id="req_1"))
    with pytest.raises(tsukiji.InternalServerError) as caught:
        client.info()
    assert len(service.asked) == 3
    assert (caught.value.code, caught.value.request_id) == ("storage_unavailable", "req_1")


def test_obeys_the_server_on_when_and_whether(client, service, slept):
    busy = problem(429, "queue_full", headers={"Retry-After": "7"})
    final = problem(409, "name_taken", headers={"x-should-retry": "false"})
    service.answer("POST", "/v1/datasets", busy, final)
    with pytest.raises(tsukiji.ConflictError):
        client.datasets.create("pets")
    assert slept == [7.0]


@pytest.mark.parametrize("told", ["86400", "soon", "nan", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_an_unreasonable_retry_after_is_not_waited_for(client, service, slept, told):
    service.answer("GET", "/v1/limits", problem(429, "queue_full", headers={"Retry-After": told}), {})
    client.limits()
    assert slept[0] <= 0.5


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, tsukiji.BadRequestError),
        (401, tsukiji.AuthenticationError),
        (403, tsukiji.PermissionDeniedError),
        (404, tsukiji.NotFoundError),
        (418, tsukiji.APIStatusError),
        (422, tsukiji.UnprocessableEntityError),
    ],
)
def test_a_problem_is_an_exception_with_its_members(client, service, status, error):
    service.answer("GET", "/v1/info", problem(status, "some_code", "what happened", hint="what to do"))
    with pytest.raises(error, match="what happened what to do") as caught:
        client.info()
    assert type(caught.value) is error
    assert caught.value.status_code == status
    assert caught.value.problem.hint == "what to do"
    assert len(service.asked) == 1


def test_a_refusal_that_is_no_problem_document(client, service):
    page_of_a_proxy = Answer(b"<html>Bad gateway</html>", 502, {"X-Request-ID": "req_9", "x-should-retry": "false"})
    service.answer("GET", "/v1/info", page_of_a_proxy)
    with pytest.raises(tsukiji.InternalServerError, match="Bad gateway") as caught:
        client.info()
    assert (caught.value.code, caught.value.request_id) == ("http_502", "req_9")


def test_nobody_there(connect, slept, sleep):
    with connect("http://127.0.0.1:9", max_retries=1) as client:
        client._transport.sleep = sleep
        with pytest.raises(tsukiji.APIConnectionError, match=r"http://127\.0\.0\.1:9"):
            client.info()
    assert len(slept) == 1


def test_silence_is_a_timeout(connect, service, slept):
    gate = threading.Event()
    service.answer("GET", "/v1/info", lambda _: gate.wait(5) and {})
    with connect(service.url, timeout=0.05, max_retries=0) as client, pytest.raises(tsukiji.APITimeoutError):
        client.info()
    gate.set()


def test_lists_read_every_page_and_no_page_too_early(client, service):
    service.answer("GET", "/v1/datasets", page(dataset("a"), dataset("b"), cursor="next"), page(dataset("c")))
    listed = iter(client.datasets.list(page_size=2))
    assert [next(listed).name, next(listed).name] == ["a", "b"]
    assert len(service.asked) == 1
    assert [found.name for found in listed] == ["c"]
    assert [asked.query for asked in service.asked] == [{"limit": ["2"]}, {"limit": ["2"], "cursor": ["next"]}]


def test_names_of_any_characters_reach_the_service_whole(client, service):
    service.answer("GET", "/v1/datasets/ä b?c#d%2F", dataset("ä b?c#d%2F"))
    assert client.datasets.get("ä b?c#d%2F").name == "ä b?c#d%2F"


def test_fields_of_a_later_server_are_kept(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset(colour="red"))
    assert client.datasets.get("pets").model_dump()["colour"] == "red"


def test_a_service_of_another_version_is_named_as_the_cause(client, service):
    service.answer("GET", "/v1/datasets/pets", {"object": "dataset", "uuid": "pets"})
    service.answer("GET", "/v1/datasets", page({"object": "dataset", "uuid": "pets"}))
    for call in (lambda: client.datasets.get("pets"), lambda: list(client.datasets.list())):
        with pytest.raises(tsukiji.APIResponseError, match=r"id: Field required.*different versions"):
            call()


def test_a_newer_service_may_say_more(client, service):
    service.answer("GET", "/v1/datasets/pets", dataset(colour="red"))
    assert client.datasets.get("pets").colour == "red"


def test_a_key_that_expires_between_two_pages(client, service):
    service.answer(
        "GET", "/v1/datasets", page(dataset("a"), cursor="next"), problem(401, "unauthorized", "The key was revoked.")
    )
    with pytest.raises(tsukiji.AuthenticationError, match="The key was revoked"):
        list(client.datasets.list())
    assert len(service.asked) == 2
