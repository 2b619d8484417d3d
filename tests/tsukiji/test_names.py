import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsukiji.labels import clean_word, folder_labels, join_labels, label_folder, split_labels
from tsukiji.names import from_path, leftover, path_safe, plain_name


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


words = st.sampled_from(["a+b", "+", "%2B", "con", "LPT1.x", ".x", "..", "@eaDir", "Thumbs.db", "50% off", "a.", "%41"])
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50)
labels = (words | texts).map(clean_word).filter(bool)


@given(labels)
def test_a_label_comes_back_from_the_folder_that_it_names(label):
    folder = label_folder(label)
    assert from_path(folder) == label
    assert leftover(folder) is None
    assert not set(folder) & set('/\\:*?"<>|')
    assert not folder.endswith((".", " "))


@given(st.lists(labels.filter(lambda label: len(label) < 40), max_size=3))
def test_a_set_comes_back_from_the_folder_that_it_names(listed):
    text = join_labels(listed)
    assert folder_labels(label_folder(text)) == split_labels(text)


@pytest.mark.parametrize("name", ["100%41", "50%off", "%", "%zz", "a%20b", "%2e", "cat", "n%2fa"])
def test_a_name_that_we_did_not_encode_stays_as_it_is(name):
    assert from_path(name) == name


@pytest.mark.parametrize("name", ["con", "NUL.jpg", "com1", ".hidden", "__MACOSX", "what?", "a/b", "a.", "a "])
def test_names_that_some_system_does_not_take_are_encoded(name):
    assert path_safe(name) != name
    assert from_path(path_safe(name)) == name
