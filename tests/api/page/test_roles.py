"""A visitor whose key may not do everything is shown what it may, and told what it may not."""

import re

import pytest
from fastapi.routing import APIRoute

from api.http.access import Need
from api.page import docs, help_pages, sign_in, sign_in_links, sign_in_provider, style_guide
from api.page.allowed_forms import need_at
from api.page.routes import SCREENS
from db import keys

OPEN = {docs, help_pages, sign_in, sign_in_links, sign_in_provider, style_guide}


@pytest.fixture
def visit(browser, start, services):
    """Sign in with a key of these scopes."""

    def visit(*scopes, **columns):
        with services.database.transaction() as session:
            secret = keys.create(session, "visitor", scopes, **columns)[1]
        opened = start(follow_redirects=True)
        opened.headers.update(browser.headers)
        opened.post("/sign-in", data={"key": secret})
        return opened

    return visit


def shown(page):
    """Where the forms that are shown lead."""
    forms = [form for form in re.findall(r"<form([^>]*)>", page.text) if 'method="post"' in form]
    return {re.search(r'action="([^"]*)"', form)[1] for form in forms if "hidden" not in form and "action" in form}


def test_every_screen_says_what_it_needs():
    routes = [route for screen in SCREENS if screen not in OPEN for route in screen.router.routes]
    assert len(routes) > 40
    for route in routes:
        assert isinstance(route, APIRoute)
        assert isinstance(getattr(route.endpoint, "need", None), Need), route.path


def test_forms_are_of_what_the_visitor_may_do(browser, visit, dataset, model):
    home, data, shelf = "/", f"/datasets/{dataset}", f"/models/{model}"
    everything = {"/datasets", "/datasets/sample", f"{data}/images", f"{data}/delete", f"{shelf}/promote"}
    assert everything <= shown(browser.get(home)) | shown(browser.get(data)) | shown(browser.get(shelf))
    for scopes, allowed in (
        (("read",), set()),
        (("label",), {"/datasets", "/datasets/sample", f"{data}/images"}),
        (("train",), {f"{data}/delete", f"{shelf}/promote"}),
    ):
        visitor = visit(*scopes)
        found = shown(visitor.get(home)) | shown(visitor.get(data)) | shown(visitor.get(shelf))
        assert found & everything == allowed, scopes
    bound = visit("label", "train", datasets=[dataset])
    assert shown(bound.get(home)) == {"/sign-out"}, "it may create no data sets"


def test_what_is_refused_says_what_is_missing(visit, dataset):
    visitor = visit("read")
    answer = visitor.post(f"/datasets/{dataset}/delete", data={"name": "sushi"})
    assert answer.status_code == 403
    assert "needs the scope `train`" in answer.text
    assert visitor.get(f"/datasets/{dataset}").status_code == 200


def test_who_may_only_predict_has_the_screens_for_that(visit, model):
    visitor = visit("predict")
    assert visitor.get("/use").status_code == 200
    assert visitor.get("/batches").status_code == 200
    assert visitor.get("/jobs").status_code == 200
    assert visitor.get("/").status_code == 200


def test_the_menu_says_who_is_signed_in(visit):
    assert "Signed in as visitor, who may label" in visit("label").get("/").text


def test_forms_lead_somewhere(browser, app, dataset, model):
    for path in (
        "/",
        f"/datasets/{dataset}",
        f"/datasets/{dataset}/train",
        f"/models/{model}",
        "/use",
        "/batches",
        "/keys",
    ):
        for action in shown(browser.get(path)) - {"/sign-out"}:
            assert need_at(app, action), (path, action)
