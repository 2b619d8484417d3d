"""Azure Custom Vision: the images of a project with their tags, as its training API lists them.

Custom Vision Training API v3.3, "Get Images" (an array of images with `tags`, `originalImageUri`), "Get Tags".
"""

from collections.abc import Iterator
from typing import Any, Final

from tsukiji.ingest.importers.items import Item, refused, words

NEGATIVE: Final = "Negative"
"""The type of the tag for pictures with none of the labels, and its name on the site."""


def is_one(document: Any) -> bool:
    return any(isinstance(image, dict) and "originalImageUri" in image for image in _images(document))


def read(document: Any) -> Iterator[Item]:
    """Yield an item for each image. A negative tag means that an image has none of the labels.

    Args:
        document: the array of images; several pages of it joined; or `{"images": [...], "tags": [...]}`.
    """
    listed = document.get("tags") if isinstance(document, dict) else None
    tags = {tag["id"]: tag for tag in listed or [] if isinstance(tag, dict) and "id" in tag}
    for number, image in enumerate(_images(document), 1):
        if not isinstance(image, dict) or "id" not in image:
            yield refused(number, "`id` is missing")
            continue
        uri = str(image.get("originalImageUri") or "")
        try:
            found = [_tag(tag, tags) for tag in image.get("tags") or []]
            labels = words([name for name, is_negative in found if not is_negative])
            yield Item(
                line=number,
                file=str(image["id"]),  # a file saved under the id, with any suffix
                url=uri if "://" in uri else None,  # in a virtual network it is a path that only Azure can resolve
                labels=labels,
                is_none=not labels and any(is_negative for _, is_negative in found),
            )
        except ValueError as error:
            yield refused(number, str(error))


def _images(document: Any) -> list[Any]:
    images = document.get("images") if isinstance(document, dict) and "annotations" not in document else document
    return images if isinstance(images, list) else []


def _tag(tag: Any, tags: dict[Any, dict[str, Any]]) -> tuple[Any, bool]:
    """Return a tag's name, and whether it is the negative one, judging by its name if its type is missing."""
    if not isinstance(tag, dict):
        return tag, False
    known = tags.get(tag.get("tagId"), {})
    name, kind = tag.get("tagName") or known.get("name"), tag.get("type") or known.get("type")
    return name, (kind or name) == NEGATIVE
