"""What an import passes over or has to guess of names: counted, and told with its result."""

import tarfile
import unicodedata
import zipfile

import pytest

from tests.worker.conftest import work
from tests.worker.inputs.test_import_reader import images, settle, submit_import
from tsukiji.kernel.settings import SourceSettings
from worker.jobs.imports import run

NAS = {
    "nas/cat/1.png": 1,
    "nas/cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png": 2,
    "nas/cat/@eaDir/1.png/SYNOPHOTO_THUMB_XL.png": 3,
    "nas/cat/Thumbs.db": b"x",
    "nas/cat/Icon\r": b"",
    "nas/dog/2.png": 4,
    "nas/dog/#recycle/old.png": 5,
    "nas/$RECYCLE.BIN/S-1-5-21/$R1.png": 6,
    "nas/lost+found/x.png": 7,
    "__MACOSX/nas/cat/._1.png": b"x",
}


@pytest.mark.parametrize("kind", ["zip", "tar", "folder"])
def test_what_devices_leave_behind_is_passed_over_and_counted(services, submit, archive, tmp_path, kind):
    folder = tmp_path / "share"
    with zipfile.ZipFile(archive(NAS)) as file:
        file.extractall(folder)
    if kind == "folder":
        settle(services, sources=SourceSettings(allowed=[f"file://{folder}"]))
        job = submit_import(submit, source=f"file://{folder}")
    elif kind == "tar":
        with tarfile.open(tmp_path / "nas.tar", "w") as file:
            file.add(folder / "nas", "nas")
        job = submit_import(submit, tmp_path / "nas.tar")
    else:
        job = submit_import(submit, tmp_path / "archive.zip")
    work(services, job.id, run)
    assert images(services, job) == {"nas/cat/1.png": ("cat", None), "nas/dog/2.png": ("dog", None)}
    assert submit.find(job).total == 2
    (warning,) = submit.find(job).result["warnings"]
    assert warning["code"] == "leftovers_passed_over"
    assert warning["count"] == {"zip": 8, "tar": 7, "folder": 7}[kind]  # a folder is one, and not looked into
    assert "@eaDir" in warning["detail"]
    assert len(warning["names"]) == 5


def old_zip(archive, encoding, *words):
    """A zip of a picture for each word, whose names are bytes of a code page."""
    path = archive({f"pets\\{chr(65 + at) * len(word.encode(encoding))}\\1.png": at for at, word in enumerate(words)})
    data = path.read_bytes()
    for at, word in enumerate(words):
        raw = word.encode(encoding)
        data = data.replace(b"pets\\" + bytes([65 + at]) * len(raw) + b"\\", b"pets\\" + raw + b"\\")
    path.write_bytes(data)
    return path


def test_names_of_a_code_page_are_guessed_and_told_or_said(services, submit, archive):
    path = old_zip(archive, "cp932", "寿司", "猫", "表")
    job = submit_import(submit, path)
    work(services, job.id, run)
    assert images(services, job) == {f"pets/{word}/1.png": (word, None) for word in ("寿司", "猫", "表")}
    (warning,) = submit.find(job).result["warnings"]
    assert (warning["code"], warning["count"]) == ("names_guessed", 3)
    assert "cp932" in warning["detail"]
    job = submit_import(submit, old_zip(archive, "koi8-r", "кот"), name="told", options={"encoding": "koi8-r"})
    work(services, job.id, run)
    assert images(services, job) == {"pets/кот/1.png": ("кот", None)}
    assert "warnings" not in submit.find(job).result


def test_a_table_finds_files_whose_names_are_decomposed(services, submit, archive):
    composed, decomposed = (unicodedata.normalize(form, "pâté.png") for form in ("NFC", "NFD"))
    for number, (file, said) in enumerate(
        [(decomposed, composed), (composed, decomposed), (f"a\\{composed}", f"a/{composed}")]
    ):
        files = {f"photos/{file}": 1, "photos/labels.csv": f"file,label\n{said},food\n".encode()}
        job = submit_import(submit, archive(files), name=f"{number}")
        work(services, job.id, run)
        assert [label for label, _ in images(services, job).values()] == ["food"]
