import pkgutil

from devtools.error_pages import AREAS, documented
from tsukiji import errors


def test_every_module_of_errors_is_on_the_page():
    listed = {module.__name__ for modules in AREAS.values() for module in modules}
    there = {f"tsukiji.errors.{module.name}" for module in pkgutil.iter_modules(errors.__path__)}
    assert there - listed == {"tsukiji.errors.base"}


def test_every_error_has_words_of_its_own():
    titles = [kind.title for modules in AREAS.values() for kind in documented(modules)]
    assert len(set(titles)) == len(titles) > 80
