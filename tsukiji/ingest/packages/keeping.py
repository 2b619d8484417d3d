"""A sealed package into a store, by the hashes that its manifest has: weights are not hashed once more."""

from pathlib import Path

from tsukiji.kernel.storage import Blob, BlobStore
from tsukiji.vision import package


def keep(store: BlobStore, folder: Path) -> dict[str, Blob]:
    """Put a package's files, which were just sealed or verified, and return them by name.

    Raises:
        PackageInvalid: the manifest is not valid.
        DigestMismatch: a file is longer or shorter than the manifest says.
    """
    files = package.read_manifest(folder).files
    kept = {name: store.put(folder / name, Blob(facts.sha256, facts.bytes)) for name, facts in files.items()}
    return kept | {package.MANIFEST: store.put(folder / package.MANIFEST)}
