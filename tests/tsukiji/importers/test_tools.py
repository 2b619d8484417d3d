"""Every tool's sample comes in whole: recognised by its looks and by name, with its labels and splits."""

import json

import pytest

from tests.tsukiji.importers import samples
from tsukiji.errors import TableInvalid
from tsukiji.importers import Table, lay_out, sampled_label
from tsukiji.types import ImportOptions

PETS = samples.PETS
SPLITS = dict(zip(PETS, ("train", "valid", "test"), strict=True))
LABELS_ONLY = dict.fromkeys(PETS)


def layout(name, data, files=tuple(PETS), wanted="auto"):
    return lay_out([*files, name], [Table(name, data)], ImportOptions(format=wanted))


@pytest.mark.parametrize("auto", [True, False])
@pytest.mark.parametrize(
    ("wanted", "name", "data", "splits"),
    [
        ("vertex", "export.csv", samples.vertex_csv(), SPLITS),
        ("vertex", "export.jsonl", samples.vertex_jsonl(), SPLITS),
        ("sagemaker", "output.manifest", samples.sagemaker(), LABELS_ONLY),
        ("sagemaker", "output.manifest", samples.rekognition(), LABELS_ONLY),
        ("coco", "instances.json", samples.coco(), LABELS_ONLY),
    ],
)
def test_an_export_beside_its_files(wanted, name, data, splits, auto):
    found = layout(name, data, wanted="auto" if auto else wanted)
    assert {file: found.place(file).label for file in PETS} == PETS
    assert {file: found.place(file).split for file in PETS} == splits
    assert (found.tables, found.faults, found.remotes) == ({name}, [], [])


def test_azure_by_address_and_by_files_named_like_its_images():
    data = samples.azure()
    images = json.loads(data)
    found = layout("images.json", data, files=())
    assert [remote.url for remote in found.remotes] == [image["originalImageUri"] for image in images]
    assert [remote.placement.label for remote in found.remotes] == list(PETS.values())
    files = [f"downloaded/{image['id']}.jpg" for image in images]
    found = layout("images.json", data, files)
    assert [found.place(file).label for file in files] == list(PETS.values())
    assert (found.remotes, found.faults) == ([], [])


def test_azure_with_its_tags_beside_its_images():
    images = json.loads(samples.azure())
    for image in images:
        image["tags"] = [{"tagId": tag["tagId"]} for tag in image["tags"]]
    tags = [{"id": "b0a9", "name": "cat", "imageCount": 2}, {"id": "c1d8", "name": "dog", "imageCount": 1}]
    found = layout("project.json", json.dumps({"images": images, "tags": tags}).encode(), files=())
    assert [remote.placement.label for remote in found.remotes] == list(PETS.values())


def test_a_teachable_machine_project():
    files = samples.TEACHABLE_FILES
    found = layout("manifest.json", samples.teachable(), files)
    assert [found.place(file).label for file in files] == ["cat", "cat", "dog"]
    assert (found.tables, found.faults) == ({"manifest.json"}, [])


def test_a_project_of_sounds_is_none():
    manifest = json.loads(samples.teachable()) | {"type": "audio"}
    found = layout("manifest.json", json.dumps(manifest).encode(), files=())
    [(name, error)] = found.faults
    assert (name, error.code) == ("manifest.json", "table_invalid")


@pytest.mark.parametrize(
    ("archive", "label"),
    [
        ("cat-samples.zip", "cat"),
        ("Class 1-samples (2).zip", "Class 1"),
        ("guinea pig_samples.zip", "guinea pig"),
        ("cat.zip", None),
        ("samples.zip", None),
        (None, None),
    ],
)
def test_the_samples_of_one_class_are_named_after_it(archive, label):
    assert sampled_label(archive) == label


def test_imagefolders_of_hugging_face_have_a_table_in_each_split():
    files = ["train/1.jpg", "train/2.jpg", "test/3.jpg", "train/4.jpg"]
    tables = {"train/metadata.csv": samples.imagefolder_csv(), "test/metadata.jsonl": samples.imagefolder_jsonl()}
    found = lay_out([*files, *tables], [Table(*one) for one in tables.items()], ImportOptions())
    assert [(found.place(file).label, found.place(file).split) for file in files] == [
        ("cat", "train"),
        ("cat", "train"),
        ("dog", "test"),
        (None, "train"),
    ]
    assert [warning["code"] for warning in found.warnings] == ["columns_ignored"]


def test_imagefolders_without_labels_are_unlabelled():
    found = lay_out(
        ["train/1.jpg", "train/metadata.csv"],
        [Table("train/metadata.csv", b"file_name,text\n1.jpg,x\n")],
        ImportOptions(),
    )
    assert (found.place("train/1.jpg").label, found.place("train/1.jpg").split) == (None, "train")


def test_what_lies_in_google_s_buckets_has_to_be_copied():
    found = layout("export.csv", samples.vertex_csv(), files=["pets/cats/1.jpg"])
    assert found.place("pets/cats/1.jpg").label == "cat"
    assert [(name, error.code, error.extra["line"]) for name, error in found.faults] == [
        ("gs://my-bucket/pets/cats/2.jpg", "file_not_sent", 2),
        ("gs://my-bucket/pets/dogs/3.jpg", "file_not_sent", 3),
    ]
    assert "Copy the files" in found.faults[0][1].hint


def test_what_lies_in_s3_is_fetched():
    found = layout("output.manifest", samples.sagemaker(), files=())
    assert [remote.url for remote in found.remotes] == [f"s3://my-bucket/pets/{name}" for name in PETS]


def test_the_split_may_stand_in_the_name_of_a_manifest():
    found = layout("test.manifest", samples.sagemaker())
    assert {found.place(file).split for file in PETS} == {"test"}


MULTILABEL = {
    "source-ref": "s3://my-bucket/pets/cats/1.jpg",
    "pets": [0, 1],
    "pets-metadata": {"class-map": {"0": "cat", "1": "dog"}, "type": "groundtruth/image-classification-multilabel"},
}
TWO_TAGS = json.loads(samples.coco())
TWO_TAGS["annotations"].append({"id": 9, "image_id": 100, "category_id": 9})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("labels.csv", b"file;label\ncats/1.jpg;cat\n"),
        ("export.csv", b"gs://my-bucket/pets/cats/1.jpg,cat,dog\n"),
        ("export.jsonl", samples.lines(json.loads(samples.vertex_jsonl().splitlines()[0]))),
        ("output.manifest", samples.lines(MULTILABEL)),
        ("instances.json", json.dumps(TWO_TAGS).encode()),
        ("labels.jsonl", samples.lines({"file": "cats/1.jpg", "labels": ["cat", "dog"]})),
    ],
)
def test_several_labels_are_a_clear_verdict_and_one_twice_is_one(name, data):
    place = layout(name, data).place("cats/1.jpg")
    if name in {"labels.csv", "export.jsonl"}:
        assert (place.label, place.error) == ("cat", None)
    else:
        assert (place.error.code, place.error.extra["labels"]) == ("several_labels", ["cat", "dog"])


def test_categories_without_a_label_are_unlabelled_pictures():
    document = json.loads(samples.coco()) | {"annotations": []}
    found = layout("instances.json", json.dumps(document).encode())
    assert {found.place(file).label for file in PETS} == {None}


def test_annotations_that_join_nothing_are_faults_of_their_own():
    document = json.loads(samples.coco())
    document["annotations"].append({"id": 9, "image_id": 555, "category_id": 7})
    document["images"].append({"id": 5})
    found = layout("instances.json", json.dumps(document).encode())
    assert [(name, error.code) for name, error in found.faults] == [
        ("instances.json, line 4", "table_line_invalid"),
        ("instances.json, line 4", "table_line_invalid"),
    ]
    assert found.place("dogs/3.jpg").label == "dog"


@pytest.mark.parametrize("name", ["notes.json", "package.json", "x.jsonl", "y.csv", "labels.txt"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[]", b"{}", b'{"a": 1}', b"[" * 5000, b"null", b"[[1]]"])
def test_what_is_no_table_stays_a_file_or_is_one_fault(name, data):
    found = layout(name, data)
    assert {found.place(file).label for file in PETS} == {"cats", "dogs"}
    assert len(found.faults) <= 1
    with pytest.raises(TableInvalid):
        lay_out([], [Table(name, data, is_named=True)], ImportOptions())
