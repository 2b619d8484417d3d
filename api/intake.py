"""Pictures sent with their labels become images of a data set: each file gets a verdict, none stops the others."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from starlette.datastructures import UploadFile

from api.bodies import Form, file_name, read_file
from api.errors import invalid_field
from api.services import Services
from db import datasets
from db.datasets import NewImage
from tsukiji.errors import ImageError
from tsukiji.types import FileVerdict, Problem, Split, UploadResult
from tsukiji.vision.decode import probe

WORD_CHARACTERS = 200
SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True)
class Wish:
    """What the sender says of one file."""

    name: str
    label: str | None
    split: str | None
    group: str | None


def take_files(services: Services, dataset: str, form: Form) -> UploadResult:
    """Decode every file once, keep what is good, and say what became of each.

    Raises:
        NotFound, Invalid: the data set is not there; labels or split are wrong. Nothing is kept then.
    """
    wishes = read_wishes(form)
    check_labels(services, dataset, {wish.label for wish in wishes if wish.label})
    found = [look(services, wish, upload) for wish, upload in zip(wishes, form.files, strict=True)]
    with services.database.transaction() as session:
        dataset_id = datasets.find(session, dataset).id
        good = [image for image in found if isinstance(image, NewImage)]
        stored = iter(datasets.add_images(session, dataset_id, good))
    return summarise([image if isinstance(image, FileVerdict) else verdict(image, *next(stored)) for image in found])


def look(services: Services, wish: Wish, upload: UploadFile) -> NewImage | FileVerdict:
    limits = services.decode_limits
    data = read_file(upload, limits.max_bytes)
    try:
        facts = probe(data, limits)
    except ImageError as error:
        problem = Problem.model_validate(error.to_dict())
        return FileVerdict(name=wish.name, verdict="rejected", label=wish.label, error=problem)
    blob = services.store.put(data)
    return NewImage(
        name=wish.name,
        label=wish.label,
        split=wish.split,
        sha256=blob.sha256,
        width=facts.width,
        height=facts.height,
        bytes=blob.size,
        format=facts.format,
        group=wish.group,
        phash=facts.phash,
    )


def verdict(image: NewImage, image_id: str, new: bool) -> FileVerdict:
    word = "accepted" if new else "duplicate"
    return FileVerdict.model_validate({"name": image.name, "verdict": word, "label": image.label, "image_id": image_id})


def summarise(files: list[FileVerdict]) -> UploadResult:
    words = [file.verdict for file in files]
    return UploadResult(
        accepted=words.count("accepted"),
        duplicates=words.count("duplicate"),
        rejected=words.count("rejected"),
        files=files,
    )


def read_wishes(form: Form) -> list[Wish]:
    split = form.one("split") or None
    if split is not None and split not in SPLITS:
        raise invalid_field("#/split", f"one of {', '.join(SPLITS)}")
    names = [file_name(upload, number) for number, upload in enumerate(form.files)]
    told = zip(names, read_words(form, "label"), read_words(form, "group"), strict=True)
    return [Wish(name, label, split, group) for name, label, group in told]


def read_words(form: Form, name: str) -> Sequence[str | None]:
    """Return a label or group for each file: from `labels` one by one, or one `label` for all; empty means none."""
    one, many = form.one(name), form.fields.get(f"{name}s")
    if many is None:
        return [clean_word(one, name, f"#/{name}")] * len(form.files)
    if one is not None:
        raise invalid_field(f"#/{name}", f"send either `{name}` or `{name}s`")
    if len(many) != len(form.files):
        raise invalid_field(f"#/{name}s", f"{len(many)} {name}s for {len(form.files)} files; send one for each")
    return [clean_word(word, name, f"#/{name}s/{number}") for number, word in enumerate(many)]


def clean_word(text: str | None, name: str, pointer: str) -> str | None:
    word = unicodedata.normalize("NFC", text or "").strip()
    if not word:
        return None
    if len(word) > WORD_CHARACTERS:
        raise invalid_field(pointer, f"a {name} has at most {WORD_CHARACTERS} characters; this has {len(word)}")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in word):
        raise invalid_field(pointer, f"a {name} has no control characters")
    return word


def check_labels(services: Services, dataset: str, labels: set[str]) -> None:
    """Raise Invalid where the data set would get too many labels."""
    with services.database.reading() as session:
        dataset_id = datasets.find(session, dataset).id
        present = {label for label, _ in datasets.count_labels(session, [dataset_id])[dataset_id] if label}
    allowed = services.settings.limits.dataset_classes
    if len(present | labels) > allowed and labels - present:
        raise invalid_field("#/labels", f"the data set would have {len(present | labels)} labels; at most {allowed}")
