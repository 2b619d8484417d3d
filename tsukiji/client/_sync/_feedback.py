# Made by `python -m devtools.sync_client` from tsukiji/client/_async: edit that.
"""Corrected predictions, sent to a data set."""

from collections.abc import Mapping

from tsukiji import types
from tsukiji.client._base import path
from tsukiji.client._sync._bound import Identified, id_of
from tsukiji.client._sync._curation import Labels, as_members
from tsukiji.client._sync._transport import Transport


def correct(
    transport: Transport, job_id: str, labels: Mapping[str | int, Labels], dataset: str | Identified | None
) -> types.Feedback:
    """Send the right labels of images, by `custom_id` or by `seq`."""
    corrections = [
        {"seq" if isinstance(image, int) else "custom_id": image, **as_members(label)}
        for image, label in labels.items()
    ]
    asked = {"corrections": corrections} | ({} if dataset is None else {"dataset": id_of(dataset)})
    return transport.fetch(types.Feedback, "POST", path("jobs", job_id, "feedback"), json=asked)
