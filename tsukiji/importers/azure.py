"""Azure Custom Vision: the images of a project with their tags, as its training API lists them.

Custom Vision Training API v3.3, "Get Images" (an array of images with `tags`, `originalImageUri`), "Get Tags".
"""

from collections.abc import Iterator
from typing import Any

from tsukiji.importers.items import Item, refused, words


def is_one(document: Any) -> bool:
    return any(isinstance(image, dict) and "originalImageUri" in image for image in _images(document))


def read(document: Any) -> Iterator[Item]:
    """Yield an item for each image.

    Args:
        document: the array of images; several pages of it joined; or `{"images": [...], "tags": [...]}`.
    """
    tags = document.get("tags") if isinstance(document, dict) else None
    names = {tag["id"]: tag.get("name") for tag in tags or [] if isinstance(tag, dict) and "id" in tag}
    for number, image in enumerate(_images(document), 1):
        if not isinstance(image, dict) or "id" not in image:
            yield refused(number, "it is no image: `id` is missing")
            continue
        uri = str(image.get("originalImageUri") or "")
        try:
            yield Item(
                line=number,
                file=str(image["id"]),  # a file that was saved under it, whatever its ending
                url=uri if "://" in uri else None,  # in a virtual network it is a path, which only Azure understands
                labels=words([_name(tag, names) for tag in image.get("tags") or []]),
            )
        except ValueError as error:
            yield refused(number, str(error))


def _images(document: Any) -> list[Any]:
    images = document.get("images") if isinstance(document, dict) and "annotations" not in document else document
    return images if isinstance(images, list) else []


def _name(tag: Any, names: dict[Any, Any]) -> Any:
    if not isinstance(tag, dict):
        return tag
    return tag.get("tagName") or names.get(tag.get("tagId"))
