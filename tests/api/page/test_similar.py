"""Similar pictures, without script."""

import re

from tests.api.conftest import picture
from tests.api.similar import add, keep


def shown(page):
    return re.findall(r'<img src="[^"]*" alt="(\d+)\.png" loading', page.text)


def test_from_a_picture_to_those_like_it(browser, reds):
    opened = browser.get(f"/datasets/reds?image={reds[100]['id']}")
    (place,) = set(re.findall(r'href="(/datasets/\w+/similar\?image=\w+)"', opened.text))
    page = browser.get(place)
    assert shown(page)[:2] in (["80", "120"], ["120", "80"])
    assert "100" not in shown(page)
    assert "of 12 pictures" in page.text


def test_a_picture_that_is_sent_is_compared(browser, reds):
    assert "compared, and not kept" in browser.get("/datasets/reds/similar").text
    sent = [("files", ("a.png", picture((142, 60, 90)), "image/png"))]
    page = browser.post("/datasets/reds/similar", files=sent)
    assert shown(page)[0] == "140"
    assert "Known score" in page.text
    page = browser.post("/datasets/reds/similar", files=[("files", ("a.png", b"no picture", "image/png"))])
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_what_is_missing_is_said(browser, client, services, similarity_worker):
    images = add(client, "reds", 1, 2, 3)
    page = browser.get(f"/datasets/reds/similar?image={images[1]['id']}")
    assert (page.status_code, "datasets check" in page.text) == (409, True)
    keep(services, images, 1, 2)
    page = browser.get(f"/datasets/reds/similar?image={images[1]['id']}")
    assert "1 picture was not looked at yet" in page.text
    assert browser.get("/datasets/reds/similar?image=img_0").status_code == 404
