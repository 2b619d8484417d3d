"""The random sample of decisions in parts, which people check: see `db.jobs.guarantees`."""

import numpy as np
import pyarrow.compute as pc

from db.jobs.guarantees import Drawn, draw
from db.jobs.requests import BatchRequest
from db.models import Chunk
from db.parts.reading import PartReader


def sample(reader: PartReader) -> Drawn | None:
    """Return the sample of a batch whose parts are complete; None if nothing was promised.

    Only the parts that it comes from are read. Raises what `PartStore.opened` raises.
    """
    asked = BatchRequest.of(reader.job)
    if asked.target_error is None:
        return None
    places = np.array(draw(asked, sum(map(decided, reader.chunks()))), np.int64)
    seqs, first = np.zeros_like(places), 0
    for chunk in reader.chunks():
        after = first + decided(chunk)
        mine = (places >= first) & (places < after)
        if mine.any():
            table = reader.table(chunk, ["seq", "decision"])
            seqs[mine] = table.filter(pc.is_valid(table["decision"]))["seq"].to_numpy()[places[mine] - first]
        first = after
    return Drawn(first, seqs.tolist())


def decided(chunk: Chunk) -> int:
    """Return how many decisions a part has."""
    groups = chunk.part["groups"] if chunk.part else []
    return sum(images for _, reason, images in groups if reason is None)
