import unicodedata

import pytest

from tsukiji.names import leftover, plain_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("cat/1.jpg", "cat/1.jpg"),
        ("cat\\1.jpg", "cat/1.jpg"),
        (".\\cat\\./1.jpg", "cat/1.jpg"),
        ("./cat//1.jpg", "cat/1.jpg"),
        ("..\\1.jpg", "../1.jpg"),
        ("\\\\server\\1.jpg", "//server/1.jpg"),
        (unicodedata.normalize("NFD", "pâté/1.jpg"), "pâté/1.jpg"),
    ],
)
def test_the_shortest_spelling_of_a_name(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("__MACOSX/cat/._1.jpg", "__MACOSX"),
        (".DS_Store", ".DS_Store"),
        ("cat/.hidden.jpg", ".hidden.jpg"),
        (".git/x.jpg", ".git"),
        ("cat/.ipynb_checkpoints/1.jpg", ".ipynb_checkpoints"),
        ("cat/Thumbs.db", "Thumbs.db"),
        ("cat/ehthumbs.db", "ehthumbs.db"),
        ("Desktop.ini", "Desktop.ini"),
        ("cat/Icon\r", "Icon\r"),
        ("cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir"),
        ("#recycle/1.jpg", "#recycle"),
        ("@Recycle/1.jpg", "@Recycle"),
        ("$RECYCLE.BIN/S-1-5-21/$R1.jpg", "$RECYCLE.BIN"),
        ("System Volume Information/x", "System Volume Information"),
        ("lost+found/x.jpg", "lost+found"),
        ("LOST.DIR/1", "LOST.DIR"),
        ("FOUND.000/FILE0000.CHK", "FOUND.000"),
        (".Trash-1000/files/1.jpg", ".Trash-1000"),
        (".thumbnails/1.jpg", ".thumbnails"),
    ],
)
def test_what_devices_and_systems_leave_behind(name, part):
    assert leftover(name) == part


@pytest.mark.parametrize(
    "name",
    ["cat/1.jpg", "a.b/c.d.jpg", "thumbs.db.jpg", "recycled/1.jpg", "lost/found/1.jpg", "../x", "icon/1.jpg", "@cat/1"],
)
def test_what_people_mean(name):
    assert leftover(name) is None
