"""Edits of a data set's images. Each is a revision, which can be undone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from tsukiji import types
from tsukiji.client._async._bound import Bound, Identified, id_of
from tsukiji.client._async._pages import AsyncPaged
from tsukiji.client._base import path

ImageIds = Iterable[str | Identified]
Labels = str | Iterable[str]
"""One label, or all of an image of a `multi_label` data set; an empty list: none of the labels."""


def as_members(labels: Labels | None) -> dict[str, Any]:
    """Return labels as request members; None: unlabelled."""
    return {"label": labels} if labels is None or isinstance(labels, str) else {"labels": list(labels)}


class Chosen(TypedDict, total=False):
    """Filters on images; all must match."""

    label: str | None
    unlabelled: bool
    none_of_these: bool
    """Marked as having none of the labels."""
    split: types.Split | Literal["unassigned"] | None
    excluded: bool | None
    review: types.Review | None
    finding: types.FindingKind | None
    pile: str | None
    """Of the last suggestions: `label:cat`, `cluster:1` or `doubtful`."""


class Curated(Bound):
    """A data set whose images can be edited: those in `images`, or those that match a filter.

    Methods that take both raise ValueError if neither is given: `everything=True` means all images.
    """

    id: str

    async def relabel(
        self,
        to: Labels | None,
        images: ImageIds | None = None,
        *,
        everything: bool = False,
        except_for: ImageIds = (),
        **wanted: Unpack[Chosen],
    ) -> types.Revision:
        """Set the label of images, or their whole set if they may have several; None removes all.

        `except_for` are images that match the filter, and are left out.
        """
        left_out = [id_of(image) for image in except_for]
        more = {"except": left_out} if left_out else {}
        return await self._act_on("relabel", images, wanted, everything, **as_members(to), **more)

    async def add_labels(
        self, labels: Labels, images: ImageIds | None = None, *, everything: bool = False, **wanted: Unpack[Chosen]
    ) -> types.Revision:
        """Add labels to images of a `multi_label` data set."""
        return await self._act_on("add_labels", images, wanted, everything, labels=_listed(labels))

    async def remove_labels(
        self, labels: Labels, images: ImageIds | None = None, *, everything: bool = False, **wanted: Unpack[Chosen]
    ) -> types.Revision:
        """Remove labels. An image without any left then counts as having none of the labels."""
        return await self._act_on("remove_labels", images, wanted, everything, labels=_listed(labels))

    async def exclude(
        self, images: ImageIds | None = None, *, everything: bool = False, **wanted: Unpack[Chosen]
    ) -> types.Revision:
        """Keep images out of snapshots, trainings, evaluations and batches. Nothing is deleted."""
        return await self._act_on("exclude", images, wanted, everything)

    async def restore(
        self, images: ImageIds | None = None, *, everything: bool = False, **wanted: Unpack[Chosen]
    ) -> types.Revision:
        """Restore excluded images."""
        return await self._act_on("restore", images, wanted, everything)

    async def set_split(
        self,
        to: types.Split | None,
        images: ImageIds | None = None,
        *,
        everything: bool = False,
        **wanted: Unpack[Chosen],
    ) -> types.Revision:
        """Set the split; None leaves it to the next training."""
        return await self._act_on("split", images, wanted, everything, split=to)

    async def crop(
        self,
        box: Sequence[int] | None,
        images: ImageIds | None = None,
        *,
        everything: bool = False,
        **wanted: Unpack[Chosen],
    ) -> types.Revision:
        """Use only a part of the pictures: left, upper, right, lower in pixels of the upright picture; None: all."""
        return await self._act_on("crop", images, wanted, everything, crop=None if box is None else list(box))

    async def review(
        self,
        verdict: Literal["accepted", "rejected"],
        images: ImageIds | None = None,
        *,
        everything: bool = False,
        **wanted: Unpack[Chosen],
    ) -> types.Revision:
        """Accept or reject images from corrected predictions; other images are not affected."""
        return await self._act_on("review", images, wanted, everything, review=verdict)

    async def dismiss(
        self,
        findings: Iterable[types.FindingKind],
        images: ImageIds | None = None,
        *,
        everything: bool = False,
        **wanted: Unpack[Chosen],
    ) -> types.Revision:
        """Dismiss findings of these kinds: the label is right, the picture is fine."""
        return await self._act_on("dismiss", images, wanted, everything, findings=list(findings))

    async def merge_labels(self, labels: Iterable[str], into: str) -> types.Revision:
        return await self._act("merge_labels", labels=list(labels), into=into)

    async def rename_label(self, label: str, to: str) -> types.Revision:
        return await self._act("rename_label", label=label, to=to)

    async def delete_label(self, label: str) -> types.Revision:
        """Remove a label from all its images; they remain, unlabelled or with their other labels."""
        return await self._act("delete_label", label=label)

    async def accept_labels(self, labels: Mapping[str, Labels]) -> types.Revision:
        """Set each image's (by id) own label or labels, such as suggested ones."""
        return await self._act(
            "accept_labels", labels=[{"image": image, **as_members(label)} for image, label in labels.items()]
        )

    async def accept_crops(self, crops: Mapping[str, Sequence[int]]) -> types.Revision:
        """Set each image's (by id) own crop."""
        return await self._act(
            "accept_crops", crops=[{"image": image, "crop": list(box)} for image, box in crops.items()]
        )

    async def keep_best(self, groups: Iterable[tuple[str, Iterable[str]]]) -> types.Revision:
        """Exclude all images of each group but one; a group is the id of the one to keep, and the ids of all."""
        return await self._act("keep_best", groups=[{"keep": keep, "images": list(images)} for keep, images in groups])

    def revisions(self) -> AsyncPaged[types.Revision]:
        """List the revisions, newest first."""
        return self._transport.paged(self._revisions(), types.Revision.model_validate)

    def changes(self, revision: str | Identified) -> AsyncPaged[types.RevisionChange]:
        """List what a revision changed of each image."""
        return self._transport.paged(self._revisions(id_of(revision), "changes"), types.RevisionChange.model_validate)

    async def undo(self, revision: str | Identified) -> types.Revision:
        """Restore every image's value from before a revision. The undo is itself a revision.

        Raises:
            ConflictError: it was undone already, or some images were edited later.
        """
        return await self._post(self._revisions(id_of(revision), "undo"))

    async def _act_on(
        self, act: types.ActName, images: ImageIds | None, wanted: Chosen, everything: bool, **more: Any
    ) -> types.Revision:
        if (images is not None) + bool(wanted) + everything != 1:
            raise ValueError("give images, a filter, or everything=True")
        chosen = {"filter": dict(wanted)} if images is None else {"images": [id_of(image) for image in images]}
        return await self._act(act, **chosen, **more)

    async def _act(self, act: types.ActName, **wanted: Any) -> types.Revision:
        return await self._post(self._revisions(), {"act": act, **wanted})

    async def _post(self, place: str, body: Any = None) -> types.Revision:
        options: dict[str, Any] = {} if body is None else {"json": body}
        return await self._transport.fetch(types.Revision, "POST", place, **options)

    def _revisions(self, *segments: str) -> str:
        return path("datasets", self.id, "revisions", *segments)


def _listed(labels: Labels) -> list[str]:
    return [labels] if isinstance(labels, str) else list(labels)
