"""What a shell offers for names of data sets and models: asked of the service, silently and within a second."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Final

from tsukiji.client import APIError, Client

SECONDS: Final = 1.0
ASKED: Final = 200
"""Of the newest; more are no help."""


def complete_dataset(incomplete: str) -> list[str]:
    return offered(incomplete, lambda client: (dataset.name for dataset in client.datasets.list()))


def complete_model(incomplete: str) -> list[str]:
    """Offer the aliases first, which outlive a model."""
    return offered(incomplete, lambda client: chain(aliases_of(client), (model.name for model in client.models.list())))


def complete_source(incomplete: str) -> list[str]:
    """Offer folders and data sets."""
    start = Path(incomplete)
    above = start if incomplete.endswith("/") else start.parent
    folders = []
    with suppress(OSError):
        folders = sorted(f"{path}/" for path in above.iterdir() if path.is_dir())
    return [folder for folder in folders if folder.startswith(incomplete)] + complete_dataset(incomplete)


def aliases_of(client: Client) -> Iterable[str]:
    return (alias.name for alias in client.aliases.list())


def offered(incomplete: str, names_of: Callable[[Client], Iterable[str]]) -> list[str]:
    """Return the names that begin so, each once; none where the service does not answer."""
    with suppress(APIError, ValueError, LookupError), Client(timeout=SECONDS, max_retries=0) as client:
        return [name for name in dict.fromkeys(islice(names_of(client), ASKED)) if name.startswith(incomplete)]
    return []
