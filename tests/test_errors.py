from devtools.error_pages import AREAS, documented


def test_every_error_stands_on_the_page_once():
    placed = [code for codes in AREAS.values() for code in codes.split()]
    assert sorted(placed) == sorted(documented()), "place new codes in devtools/error_pages.py"


def test_every_error_has_words_of_its_own():
    titles = [kind.title for kind in documented().values()]
    assert len(set(titles)) == len(titles)
