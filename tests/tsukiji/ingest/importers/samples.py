"""What other tools export, as small as it can be: golden samples, by the names under which they come."""

import json

PETS = {"cats/1.jpg": "cat", "cats/2.jpg": "cat", "dogs/3.jpg": "dog"}
"""The pictures that every sample names, with their labels."""


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def azure():
    """Pages of `GET .../images/tagged` joined, as their author saves them; a picture lies under the id of its image."""
    tags = {"cat": "b0a9", "dog": "c1d8"}
    images = [
        {
            "id": f"0{number}f3c2aa-0000-4000-8000-00000000000{number}",
            "created": "2026-03-01T10:00:00.0000000Z",
            "width": 640,
            "height": 480,
            "resizedImageUri": f"https://irisprod.example/i-r/{number}?sv=2017&sig=a%2Bb",
            "thumbnailUri": f"https://irisprod.example/t-r/{number}?sv=2017&sig=a%2Bb",
            "originalImageUri": f"https://irisprod.example/i-o/{number}?sv=2017&sig=a%2Bb",
            "tags": [{"tagId": tags[label], "tagName": label, "created": "2026-03-01T10:00:00.0000000Z"}],
            "regions": [],
        }
        for number, label in enumerate(PETS.values(), 1)
    ]
    return json.dumps(images).encode()


def vertex_csv():
    uses = ("training", "validation", "test")
    return "".join(
        f"{use},gs://my-bucket/pets/{name},{label}\n" for use, (name, label) in zip(uses, PETS.items(), strict=True)
    ).encode()


def vertex_jsonl():
    uses = ("training", "validation", "test")
    return lines(
        *(
            {
                "imageGcsUri": f"gs://my-bucket/pets/{name}",
                "classificationAnnotation": {
                    "displayName": label,
                    "annotationResourceLabels": {"aiplatform.googleapis.com/annotation_set_name": "pets"},
                },
                "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": use},
            }
            for use, (name, label) in zip(uses, PETS.items(), strict=True)
        )
    )


def sagemaker():
    """Ground Truth, image classification with one label."""
    names = sorted(set(PETS.values()))
    facts = {"confidence": 0.94, "human-annotated": "yes", "creation-date": "2026-03-01T10:00:00.000000"}
    facts |= {"type": "groundtruth/image-classification", "job-name": "labeling-job/pets"}
    return lines(
        *(
            {
                "source-ref": f"s3://my-bucket/pets/{name}",
                "pets": names.index(label),
                "pets-metadata": facts | {"class-name": label},
            }
            for name, label in PETS.items()
        )
    )


def rekognition():
    """Custom Labels, image-level labels: an attribute for each label that an image has."""
    facts = {"confidence": 1, "human-annotated": "yes", "creation-date": "2026-03-01T10:00:00.000Z"}
    facts |= {"type": "groundtruth/image-classification", "job-name": "labeling-job/pets"}
    return lines(
        *(
            {
                "source-ref": f"s3://my-bucket/pets/{name}",
                f"pets_{label}": 1,
                f"pets_{label}-metadata": facts | {"class-name": label},
            }
            for name, label in PETS.items()
        )
    )


def coco():
    categories = [{"id": 7, "name": "cat", "supercategory": "animal"}, {"id": 9, "name": "dog"}]
    ids = {category["name"]: category["id"] for category in categories}
    images = [
        {"id": 100 + number, "file_name": name, "width": 640, "height": 480, "license": 1}
        for number, name in enumerate(PETS)
    ]
    annotations = [
        {"id": number, "image_id": 100 + number, "category_id": ids[label]}
        for number, label in enumerate(PETS.values())
    ]
    whole = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    return json.dumps(whole).encode()


def teachable():
    """A project's manifest; its samples are files beside it."""
    appdata = {"publishResponse": {}, "trainEpochs": 50, "trainBatchSize": 16, "trainLearningRate": 0.001}
    return json.dumps({"type": "image", "version": "2.4.10", "appdata": appdata}).encode()


TEACHABLE_FILES = ("cat-!-0.jpg", "cat-!-1.jpg", "dog-!-0.jpg")


def imagefolder_csv():
    """Hugging Face: in the folder of the pictures, which it names relative to itself; with a column that we ignore."""
    return b"file_name,label,caption\n1.jpg,cat,asleep\n2.jpg,cat,\n"


def imagefolder_jsonl():
    return lines({"file_name": "3.jpg", "label": "dog", "text": "running"})


def label_studio(first=("cat",)):
    """CSV, JSON-MIN and JSON of a project with three images: these choices, dog, and these choices.

    Pictures have eight characters before their names, which are written as in addresses.
    """
    meta = {
        "annotator": 1,
        "created_at": "2026-03-01T10:00:00Z",
        "updated_at": "2026-03-01T10:00:00Z",
        "lead_time": 1.5,
    }
    csv = "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n"
    small, whole = [], []
    for number, labels in enumerate([first, ("dog",), first]):
        image = f"/data/upload/3/0a1b2c{number}d-my%20photo%20{number}.jpg"
        choice = labels[0] if len(labels) == 1 else {"choices": [*labels]}
        small.append({"image": image, "id": number, "choice": choice, "annotation_id": number, **meta})
        quoted = choice if isinstance(choice, str) else '"' + json.dumps(choice).replace('"', '""') + '"'
        csv += f"{number},1,{quoted},2026-03-01,{number},{image},1.5,2026-03-01\n"
        result = {"type": "choices", "value": {"choices": [*labels]}, "from_name": "choice", "to_name": "image"}
        annotation = {"id": number, "result": [result], "was_cancelled": False, "ground_truth": False}
        whole.append({"id": number, "data": {"image": image}, "annotations": [annotation], "predictions": []})
    documents = {"project-min.json": json.dumps(small), "project.json": json.dumps(whole), "project.csv": csv}
    return {name: text.encode() for name, text in documents.items()}
