"""COCO's JSON for classification: images, categories, and annotations that link them.

COCO, "Data format"; only `image_id` and `category_id` of annotations are used, not boxes and masks.
"""

from collections.abc import Iterator
from typing import Any, Final

from tsukiji.ingest.importers.items import Item, place, refused, words

MEMBERS: Final = ("images", "annotations", "categories")


def is_one(document: Any) -> bool:
    return isinstance(document, dict) and all(isinstance(document.get(member), list) for member in MEMBERS)


def read(document: Any) -> Iterator[Item]:
    """Yield an item for each image, then one for each annotation with a broken link."""
    images, annotations, categories = ([one for one in document[member] if isinstance(one, dict)] for member in MEMBERS)
    names = {_key(category.get("id")): category.get("name") for category in categories}
    labels: dict[str, list[Any]] = {_key(image.get("id")): [] for image in images}
    lost: list[Item] = []
    for number, annotation in enumerate(annotations, 1):
        image, category = _key(annotation.get("image_id")), _key(annotation.get("category_id"))
        if image in labels and category in names:
            labels[image].append(names[category])
        else:
            lost.append(refused(number, "the annotation refers to an unknown image or category"))
    for number, one in enumerate(images, 1):
        yield _item(number, one, labels[_key(one.get("id"))])
    yield from lost


def _key(value: Any) -> str:
    return str(value)


def _item(number: int, image: dict[str, Any], labels: list[Any]) -> Item:
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        return refused(number, "the image has no `file_name`")
    file, url = place(name)
    address = url or str(image.get("coco_url") or image.get("flickr_url") or "")
    try:
        return Item(line=number, file=file, url=address or None, labels=words(labels))
    except ValueError as error:
        return refused(number, str(error))
