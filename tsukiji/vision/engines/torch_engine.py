"""PyTorch as an engine: on every device, and what trained a network computes it exactly."""

from collections.abc import Callable

import torch
from torch import Tensor

from tsukiji.vision.engines.engine import Floats, Pixels
from tsukiji.vision.execution_plan import Plan
from tsukiji.vision.feature_cache import space_of
from tsukiji.vision.fuse_batch_norm import fold
from tsukiji.vision.model import Classifier
from tsukiji.vision.preprocess import Preprocess


class TorchEngine:
    """A network in evaluation mode on its device.

    Attributes:
        model: the network, in the plan's precision.
    """

    def __init__(self, model: Classifier, backbone: str, preprocess: Preprocess, plan: Plan) -> None:
        """`model`, with float32 weights, is changed, and moved to the plan's device."""
        self._plan = plan
        self._device = torch.device(plan.device)
        self._mean, self._std, self._most = (
            torch.tensor(values, device=self._device)[:, None, None]
            for values in (preprocess.mean, preprocess.std, (255.0,))
        )
        model.eval().requires_grad_(False)
        self.space = space_of(model.body_state(), backbone, preprocess, plan.precision)
        self.num_embedded = model.num_embedded
        if plan.folded:
            fold(model)
        model.lower(plan.dtype)
        self.model = model.to(self._device).to(memory_format=plan.memory_format)
        self._look: Callable[[Tensor], tuple[Tensor, Tensor]] = self._embed_and_sum
        if plan.compiled:
            self._look = torch.compile(self._embed_and_sum, dynamic=True)

    @property
    def bytes(self) -> int:
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum(tensor.nbytes for tensor in tensors)

    @torch.inference_mode()
    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        embeddings, responses = self._look(self.normalise(pixels))
        return embeddings.cpu().numpy(), responses.cpu().numpy()

    @torch.inference_mode()
    def stages(self, pixels: Pixels) -> tuple[Floats, Floats]:
        middle, maps = self.model.stages(self.normalise(pixels))
        return middle.cpu().numpy(), maps.cpu().numpy()

    def normalise(self, pixels: Pixels) -> Tensor:
        """Return the network's input, on its device: as `Preprocess.to_array`, in the plan's precision."""
        batch = torch.from_numpy(pixels)
        if self._device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        # A tensor and not the number 255, for which some devices multiply by the reciprocal.
        batch = batch.div_(self._most).sub_(self._mean).div_(self._std)
        return batch.to(self._plan.dtype, memory_format=self._plan.memory_format)

    def _embed_and_sum(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        embeddings, maps = self.model.look(inputs)
        return embeddings, maps.sum(1)
