"""Puts a sealed package into a store by the hashes in its manifest, without hashing the weights again."""

from pathlib import Path

from tsukiji.kernel.storage import Blob, BlobStore
from tsukiji.vision import package


def keep(store: BlobStore, folder: Path) -> dict[str, Blob]:
    """Store the files of a package that was just sealed or verified, and return them by name.

    Raises:
        PackageInvalid: the manifest is invalid.
        DigestMismatch: a file has another size than in the manifest.
    """
    files = package.read_manifest(folder).files
    kept = {name: store.put(folder / name, Blob(facts.sha256, facts.bytes)) for name, facts in files.items()}
    return kept | {package.MANIFEST: store.put(folder / package.MANIFEST)}
