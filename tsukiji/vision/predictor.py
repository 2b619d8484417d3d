"""A model package, loaded once, and pictures to probabilities. Knows no job, no queue and no HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tsukiji.errors import GpuOutOfMemory, PackageInvalid
from tsukiji.vision import package
from tsukiji.vision.device import choose_device
from tsukiji.vision.model import Classifier, build
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.preprocess import Preprocess


class Predictor:
    """A network in evaluation mode on its device. Use one from one thread.

    Attributes:
        label_names: in the order of the columns of `predict`.
        preprocess: what each picture goes through.
        device: where the network lies.
        batch_size: images in one forward pass; halved when the device runs out of memory.
    """

    def __init__(
        self,
        model: Classifier,
        config: ModelConfig,
        preprocess: Preprocess,
        calibration: Calibration,
        device: torch.device,
        batch_size: int = 32,
    ) -> None:
        self.label_names = config.label_names
        self.preprocess = preprocess
        self.device = device
        self.batch_size = batch_size
        self._temperature = calibration.temperature
        self._layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
        self._model = model.eval().requires_grad_(False).to(device).to(memory_format=self._layout)

    @classmethod
    def load(cls, folder: Path, device: str = "auto", batch_size: int = 32) -> Self:
        """Verify a package and load it.

        Raises:
            PackageInvalid: the package is damaged, of another format, or its weights do not fit or are not numbers.
            Invalid: there is no such device here.
        """
        package.verify(folder)
        config = package.read_config(folder)
        return cls(
            _load_model(folder, config),
            config,
            package.read_preprocess(folder),
            package.read_calibration(folder),
            choose_device(device),
            batch_size,
        )

    def predict(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Return calibrated probabilities (N, classes) of RGB pictures of any size; each row sums to 1.

        Raises:
            GpuOutOfMemory: not even one picture fits.
        """
        rows = [np.empty((0, len(self.label_names)), np.float32)]
        done = 0
        while done < len(images):
            batch = images[done : done + self.batch_size]
            try:
                rows.append(self._probabilities(self.preprocess.to_array(batch)))
            except torch.OutOfMemoryError as error:
                self._halve(len(batch), error)
            else:
                done += len(batch)
        return np.concatenate(rows)

    @torch.inference_mode()
    def _probabilities(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        batch = torch.from_numpy(inputs).to(device=self.device, memory_format=self._layout)
        probabilities: npt.NDArray[np.float32] = (self._model(batch) / self._temperature).softmax(1).cpu().numpy()
        return probabilities

    def _halve(self, tried: int, error: torch.OutOfMemoryError) -> None:
        if tried == 1:
            raise GpuOutOfMemory(
                f"{self.device} has too little memory for one image of {self.preprocess.size} pixels.",
                hint="Free the device's memory, or set TSUKIJI_INFERENCE_DEVICE=cpu.",
            ) from error
        self.batch_size = tried // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _load_model(folder: Path, config: ModelConfig) -> Classifier:
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        model = build(config.architecture, config.num_classes)
    try:
        model.load_state_dict(_read_weights(folder / package.WEIGHTS), strict=True, assign=True)
    except RuntimeError as error:
        raise PackageInvalid(f"The weights do not fit {config.architecture}: {error}") from error
    return model


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise PackageInvalid(f"{path.name} cannot be read: {error}") from error
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise PackageInvalid(f"{path.name} holds values that are not numbers, in {name}.")
    return state
