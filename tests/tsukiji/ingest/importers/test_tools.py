"""Every tool's sample comes in whole: recognised by its looks and by name, with its labels and splits."""

import json

import pytest

from tests.tsukiji.ingest.importers import samples
from tsukiji.errors import TableInvalid
from tsukiji.ingest.importers import Table, lay_out, sampled_label
from tsukiji.labels import join_labels
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


NEGATIVE = {"id": "e2f7", "name": "Negative", "type": "Negative"}


@pytest.mark.parametrize("tags", [[NEGATIVE | {"name": "other things"}], [NEGATIVE], None])
def test_the_negative_tag_of_azure_says_that_an_image_has_none_of_the_others(tags):
    images = json.loads(samples.azure())
    images[1]["tags"] = [{"tagId": "e2f7", "tagName": tags[0]["name"] if tags else "Negative"}]
    images[2]["tags"] = []
    data = json.dumps({"images": images, "tags": tags} if tags else images).encode()
    files = [f"{image['id']}.jpg" for image in images]
    table = Table("images.json", data)
    found = lay_out(files, [table], ImportOptions(), kind="multi_label")
    assert [found.place(file).label for file in files] == [join_labels(["cat"]), join_labels([]), None]
    found = lay_out(files, [table], ImportOptions(label="pet"))
    assert [found.place(file).label for file in files] == ["cat", None, "pet"]
    assert [warning["code"] for warning in found.warnings] == ["labels_none"]


def test_a_tag_that_is_only_called_negative_is_one_where_tags_tell_their_types():
    document = {"images": json.loads(samples.azure())[:1], "tags": [NEGATIVE | {"type": "Regular"}]}
    document["images"][0]["tags"] = [{"tagId": "e2f7", "tagName": "Negative"}]
    found = lay_out([], [Table("images.json", json.dumps(document).encode())], ImportOptions(), kind="multi_label")
    assert found.remotes[0].placement.label == join_labels(["Negative"])


UPLOADED = [f"images/0a1b2c{number}d-my photo {number}.jpg" for number in range(3)]


@pytest.mark.parametrize("originals", [False, True])
@pytest.mark.parametrize(("name", "data"), samples.label_studio().items())
def test_label_studio_beside_the_pictures_that_were_sent_to_it(name, data, originals):
    files = [f"mine/my photo {number}.jpg" for number in range(3)] if originals else UPLOADED
    found = layout(name, data, files)
    assert [found.place(file).label for file in files] == ["cat", "dog", "cat"]
    assert (found.tables, found.faults) == ({name}, [])
    assert [warning["code"] for warning in found.warnings] == ["names_differ"]


@pytest.mark.parametrize(("name", "data"), samples.label_studio(["cat", "indoor"]).items())
def test_several_choices_of_label_studio(name, data):
    found = lay_out([*UPLOADED, name], [Table(name, data)], ImportOptions(), kind="multi_label")
    assert [found.place(file).label for file in UPLOADED] == [
        join_labels(labels) for labels in (["cat", "indoor"], ["dog"], ["cat", "indoor"])
    ]


def task(*annotations, **data):
    def annotation(labels):
        value = {"type": "choices", "value": {"choices": labels}, "from_name": "animal", "to_name": "image"}
        return {"result": [value] if labels else [], "was_cancelled": labels is None}

    made = [one if isinstance(one, dict) else annotation(one) for one in annotations]
    return {"id": 1, "data": data or {"image": "1.jpg"}, "annotations": made, "predictions": [{"result": "x"}]}


BOX = {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "rectanglelabels": ["dog"]}}
TAXONOMY = {"type": "taxonomy", "value": {"taxonomy": [["animals", "cat"]]}}


@pytest.mark.parametrize(
    ("one", "label", "code"),
    [
        (task(["cat"], ["cat"]), "cat", None),
        (task(["cat"], ["dog"]), None, "table_line_invalid"),
        (task(["cat"], {"result": [], "was_cancelled": True}), "cat", None),
        (task(["dog"], task(["cat"])["annotations"][0] | {"ground_truth": True}), "cat", None),
        (task(), None, None),
        (task({"result": [BOX, BOX]}), "dog", None),
        (task({"result": [BOX, task(["cat"])["annotations"][0]["result"][0]]}), "cat", None),
        (task({"result": [TAXONOMY]}), "cat", None),
        (task(["cat"], captured="2026", photo_of_it="/data/local-files/?d=set/1.jpg"), "cat", None),
        (task(["cat"], text="no picture"), None, "table_line_invalid"),
        ({"data": None, "annotations": "x"}, None, "table_line_invalid"),
        (5, None, "table_line_invalid"),
    ],
)
def test_tasks_of_label_studio(one, label, code):
    data = json.dumps([task(["cat"], image="0.jpg"), one]).encode()
    found = layout("project.json", data, ["set/0.jpg", "set/1.jpg"])
    assert (found.place("set/0.jpg").label, found.place("set/1.jpg").label) == ("cat", label)
    assert [error.code for _, error in found.faults] == ([code] if code else [])


def test_columns_of_label_studio_have_the_names_that_its_author_gave():
    head = "annotation_id,annotator,animal,created_at,id,image,lead_time,updated_at"
    found = layout("project.csv", f"{head}\n7,1,cat,2026,1,cats/1.jpg,1.5,2026\n".encode(), ["cats/1.jpg"])
    assert (found.place("cats/1.jpg").label, found.warnings) == ("cat", [])


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        (["cat", "dog"], {"cats/1": 0, "cats/2": 0, "dogs/3": 1}, ["cat", "cat", "dog"]),
        (None, {"1": "cat", "2": None, "3": {"label": "dog", "confidence": 0.9}}, ["cat", None, "dog"]),
        (["cat"], {"1": [0], "2": {"label": 0, "attributes": {}}, "3": []}, ["cat", "cat", None]),
        (["cat"], {"1": 0, "2": 7, "3": -1}, ["cat", None, None]),
    ],
)
def test_labels_of_fiftyone(classes, labels, expected):
    files = ["data/cats/1.jpg", "data/cats/2.jpg", "data/dogs/3.jpg"]
    found = layout("labels.json", json.dumps({"classes": classes, "labels": labels}).encode(), files)
    assert [found.place(file).label for file in files] == expected
    assert [error.code for _, error in found.faults] == ["table_line_invalid"] * (7 in labels.values()) * 2


def test_sets_of_fiftyone():
    document = {"classes": ["cat", "dog"], "labels": {"cats/1": [0, 1], "cats/2": [], "dogs/3": None}}
    files = ["data/cats/1.jpg", "data/cats/2.jpg", "data/dogs/3.jpg"]
    table = Table("labels.json", json.dumps(document).encode())
    found = lay_out(files, [table], ImportOptions(), kind="multi_label")
    assert [found.place(file).label for file in files] == [join_labels(["cat", "dog"]), join_labels([]), None]


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
    assert "Copy the bucket's files" in found.faults[0][1].hint


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
