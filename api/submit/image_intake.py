"""Intake of pictures sent with their labels: each file gets a verdict, and none stops the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import UploadFile

from api.http.bodies import Form, file_name, read_file
from api.http.errors import invalid_field
from api.services import Services
from db import quotas, stored_bytes
from db.curation import datasets, image_intake
from db.curation.datasets import NewImage
from db.curation.image_intake import IntakeOutcome
from db.labels import MULTI
from db.models import ApiKey
from tsukiji.errors import CropOutside, ImageError
from tsukiji.ingest.importers import json_list
from tsukiji.labels import clean_labels, clean_word, count_labels, join_labels, label_members, look_alikes
from tsukiji.types import Box, FileVerdict, Problem, Split, UploadResult
from tsukiji.vision.decoding.decode import probe

SPLITS: tuple[str, ...] = get_args(Split)
BOX: TypeAdapter[Box] = TypeAdapter(Box)

Clean = Callable[[str | None, str, str], str | None]
"""From what was sent, the field's name and its pointer to what is kept."""


@dataclass(frozen=True)
class ImageFields:
    """What the sender says of one file."""

    name: str
    label: str | None
    """As it is kept: one label, or a set of them as one text."""
    split: str | None
    group: str | None
    crop: Box | None


def take_files(services: Services, caller: ApiKey, dataset: str, form: Form) -> UploadResult:
    """Decode every file once, keep what is good, and say what became of each.

    Raises:
        NotFound, Invalid: the data set is not there; labels or split are wrong. Nothing is kept then.
        QuotaExceeded, StorageQuotaExceeded
    """
    with services.database.reading() as session:
        quotas.check(session, caller)
        stored_bytes.check(session, caller.project_id)
        row = datasets.find(session, dataset)
        present = datasets.labels_of(session, row.id)
    all_fields = read_fields(form, row.kind)
    labels = set(count_labels((fields.label, 1) for fields in all_fields))
    check_labels(services, present, labels)
    found = [look(services, fields, upload) for fields, upload in zip(all_fields, form.files, strict=True)]
    with services.database.transaction() as session:
        row = datasets.find(session, dataset)
        good = [image for image in found if isinstance(image, NewImage)]
        stored = iter(image_intake.take_in(session, row, good, "sent directly", caller))
        if good:
            quotas.check(session, caller, sent=len(good))
    files = [image if isinstance(image, FileVerdict) else verdict(image, next(stored)) for image in found]
    return summarise(files, look_alikes(present | labels, labels))


def look(services: Services, fields: ImageFields, upload: UploadFile) -> NewImage | FileVerdict:
    limits = services.decode_limits
    data = read_file(upload, limits.max_bytes)
    try:
        facts = probe(data, limits)
        datasets.check_crop(fields.crop, facts.width, facts.height)
    except (ImageError, CropOutside) as error:
        problem = Problem.model_validate(error.to_dict())
        return FileVerdict(name=fields.name, verdict="rejected", **label_members(fields.label), error=problem)
    blob = services.store.put(data)
    return NewImage(
        name=fields.name,
        label=fields.label,
        split=fields.split,
        sha256=blob.sha256,
        width=facts.width,
        height=facts.height,
        bytes=blob.size,
        format=facts.format,
        group=fields.group,
        phash=facts.phash,
        crop=fields.crop,
        miniature=facts.miniature,
    )


def verdict(image: NewImage, found: IntakeOutcome) -> FileVerdict:
    known = {"name": image.name, "image_id": found.image_id, **label_members(found.label)}
    if found.error is not None:
        return FileVerdict.model_validate(known | {"verdict": "rejected", "error": found.error.to_dict()})
    return FileVerdict.model_validate(known | {"verdict": "accepted" if found.new else "duplicate"})


def summarise(files: list[FileVerdict], warnings: list[dict[str, str]]) -> UploadResult:
    words = [file.verdict for file in files]
    return UploadResult(
        accepted=words.count("accepted"),
        duplicates=words.count("duplicate"),
        rejected=words.count("rejected"),
        files=files,
        warnings=[*warnings],
    )


def read_fields(form: Form, kind: str) -> list[ImageFields]:
    split = form.one("split") or None
    if split is not None and split not in SPLITS:
        raise invalid_field("#/split", f"one of {', '.join(SPLITS)}")
    names = [file_name(upload, number) for number, upload in enumerate(form.files)]
    labels = read_words(form, "label", clean_set if kind == MULTI else word_of)
    said = zip(names, labels, read_words(form, "group", word_of), read_crops(form), strict=True)
    return [ImageFields(name, label, split, group, crop) for name, label, group, crop in said]


def read_crops(form: Form) -> Sequence[Box | None]:
    """Return the box of each file, from `crops` one by one: a JSON list of four numbers, or nothing."""
    many = form.fields.get("crops")
    if many is None:
        return [None] * len(form.files)
    check_number("crops", many, form)
    found: list[Box | None] = []
    for number, text in enumerate(many):
        try:
            found.append(BOX.validate_json(text) if text else None)
        except ValidationError as error:
            raise invalid_field(f"#/crops/{number}", "a JSON list of left, upper, right, lower in pixels") from error
    return found


def read_words(form: Form, name: str, clean: Clean) -> Sequence[str | None]:
    """Return a label or group for each file: from `labels` one by one, or one `label` for all; empty means none."""
    one, many = form.one(name), form.fields.get(f"{name}s")
    if many is None:
        return [clean(one, name, f"#/{name}")] * len(form.files)
    if one is not None:
        raise invalid_field(f"#/{name}", f"send either `{name}` or `{name}s`")
    check_number(f"{name}s", many, form)
    return [clean(word, name, f"#/{name}s/{number}") for number, word in enumerate(many)]


def check_number(name: str, many: Sequence[str], form: Form) -> None:
    """Raise Invalid unless there is one for each file."""
    if len(many) != len(form.files):
        raise invalid_field(f"#/{name}", f"{len(many)} {name} for {len(form.files)} files; send one for each")


def clean_set(text: str | None, name: str, pointer: str) -> str | None:
    """Return the text of a set, sent as a JSON list of labels or as one label."""
    listed = json_list(text or "")
    if listed is None:
        word = word_of(text, name, pointer)
        return None if word is None else join_labels([word])
    if not all(isinstance(word, str) for word in listed):
        raise invalid_field(pointer, "a list of labels may contain only strings")
    try:
        return clean_labels(listed)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from error


def word_of(text: str | None, name: str, pointer: str) -> str | None:
    try:
        return clean_word(text, name)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from error


def check_labels(services: Services, present: set[str], labels: set[str]) -> None:
    """Raise Invalid where the data set would get too many labels."""
    allowed = services.settings.limits.dataset_classes
    if len(present | labels) > allowed and labels - present:
        raise invalid_field("#/labels", f"the data set would have {len(present | labels)} labels; at most {allowed}")
