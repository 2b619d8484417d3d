"""A model's package as a local folder. Knows no torch."""

from pathlib import Path

from db import registry
from tsukiji.errors import ModelGone, NotFound
from worker.services import Services


def fetch_package(services: Services, model_id: str, folder: Path) -> None:
    """Create the folder, which must not exist, from the package's blobs.

    Raises:
        ModelGone: the model was deleted.
        BlobMissing, BlobCorrupt: its package is damaged.
    """
    try:
        with services.database.reading() as session:
            registry.find_model(session, model_id)
            files = [(file.name, file.sha256) for file in registry.model_files(session, model_id)]
    except NotFound as error:
        raise ModelGone(f"The model {model_id} was deleted.") from error
    folder.mkdir()
    for name, sha256 in files:
        services.store.fetch(sha256, folder / name)
