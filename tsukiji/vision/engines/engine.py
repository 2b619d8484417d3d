"""What every engine offers: embeddings of fitted pictures."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Engine(Protocol):
    """Computes embeddings with one body. Thread-safe: a pass computes on as many threads as its caller may.

    Attributes:
        space: hash of everything that embeddings depend on beside the picture, see `feature_cache.space_of`.
        num_embedded: width E of an embedding.
    """

    space: str
    num_embedded: int

    @property
    def bytes(self) -> int:
        """Memory of the weights."""

    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Return embeddings (N, E) of fitted pictures (N, H, W, 3), and the sums of their last maps (N, h, w).

        Embeddings are as `Classifier.embed` makes them.

        Raises:
            torch.OutOfMemoryError: the device's memory does not suffice for so many pictures.
        """

    def stages(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Return the maps of pictures (N, H, W, 3) of any size, as `Classifier.stages` does.

        Raises:
            torch.OutOfMemoryError: as for `look`.
        """
