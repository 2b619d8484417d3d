"""The sample data set: pictures that come with a package, and need no internet."""

from collections.abc import Iterator
from functools import partial

from tsukiji.errors import SampleUnavailable
from tsukiji.ingest.archives import Entry
from tsukiji.ingest.skipped import SkippedFiles


def digit_files(_passed: SkippedFiles) -> Iterator[Entry]:
    """Yield scikit-learn's handwritten digits as files in class folders, each drawn when it is read.

    Raises:
        SampleUnavailable: scikit-learn is not installed here.
    """
    try:
        from training.digits import digits, draw  # noqa: PLC0415 - scikit-learn is an optional extra
    except ImportError as error:
        raise SampleUnavailable(f"The intake worker lacks {error.name}.") from error
    for name, greys in digits():
        yield Entry(name, None, partial(draw, greys))
