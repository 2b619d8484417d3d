from devtools.error_pages import AREAS, PAGE, documented, render


def test_the_generated_page_says_what_the_errors_say():
    assert PAGE.read_text("utf-8") == render(), f"{PAGE.name} is older than the errors: run `make docs`"


def test_every_error_stands_on_the_page_once():
    placed = [code for codes in AREAS.values() for code in codes.split()]
    assert sorted(placed) == sorted(documented()), "place new codes in devtools/error_pages.py"


def test_every_error_has_words_of_its_own():
    titles = [kind.title for kind in documented().values()]
    assert len(set(titles)) == len(titles)
    for kind in documented().values():
        assert "|" not in f"{kind.title}{kind.hint}", f"{kind.code} would break the table"
