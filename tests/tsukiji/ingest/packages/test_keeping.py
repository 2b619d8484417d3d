"""A package on its way into the store."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.tsukiji.vision.packages import LABELS
from tsukiji.errors import DigestMismatch
from tsukiji.ingest.packages.intake import clean_labels
from tsukiji.ingest.packages.keeping import keep
from tsukiji.kernel.storage import blobs
from tsukiji.kernel.storage.memory import MemoryStore
from tsukiji.vision import package


@pytest.fixture
def hashed(monkeypatch):
    """The name of every file that is hashed, and what is hashed in pieces under None."""
    names, file_digest, digest_of = [], hashlib.file_digest, blobs.digest_of

    def note_file(file, algorithm):
        names.append(Path(file.name).name)
        return file_digest(file, algorithm)

    def note_pieces(pieces):
        names.append(None)
        return digest_of(pieces)

    monkeypatch.setattr(hashlib, "file_digest", note_file)
    monkeypatch.setattr("tsukiji.kernel.storage.blobs.digest_of", note_pieces)
    return names


def test_weights_are_hashed_once_on_their_way_in(folder, hashed):
    """Also if a label must be normalised, and the package sealed again."""
    config = json.loads((folder / package.CONFIG).read_text())
    config["label_names"] = [f" {LABELS[0]}", *LABELS[1:]]
    (folder / package.CONFIG).write_text(json.dumps(config))
    manifest = package.read_manifest(folder)
    package.seal_again(folder, manifest, [package.CONFIG])
    hashed.clear()

    store = MemoryStore()
    manifest = clean_labels(folder, package.verify(folder))
    kept = keep(store, folder)

    assert hashed.count(package.WEIGHTS) == 1
    assert hashed.count(None) == 1, "the manifest, which lists all but itself"
    assert {name: (blob.sha256, blob.size) for name, blob in kept.items() if name != package.MANIFEST} == {
        name: (facts.sha256, facts.bytes) for name, facts in manifest.files.items()
    }
    for name, blob in kept.items():
        data = store.read(blob.sha256)
        assert data == (folder / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == blob.sha256
    assert package.read_config(folder).label_names == LABELS


def test_a_file_that_was_cut_short_meanwhile_is_not_kept(folder):
    weights = folder / package.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DigestMismatch):
        keep(MemoryStore(), folder)
