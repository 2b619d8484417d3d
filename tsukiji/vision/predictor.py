"""A loaded model package: pictures to probabilities. Knows no jobs, no queue and no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tsukiji.errors import GpuOutOfMemory, PackageInvalid
from tsukiji.labels import decide_set, split_labels
from tsukiji.types import Kind
from tsukiji.vision import package
from tsukiji.vision.drift import HeldOut, read_held_out
from tsukiji.vision.engines import Engine, Floats, Pixels
from tsukiji.vision.engines.opening import open_engine
from tsukiji.vision.engines.torch_engine import TorchEngine
from tsukiji.vision.execution_plan import Plan, exact
from tsukiji.vision.feature_cache import rounded
from tsukiji.vision.model import Classifier, build
from tsukiji.vision.out_of_distribution import Known
from tsukiji.vision.out_of_distribution import load as load_known
from tsukiji.vision.package import Calibration, ModelConfig
from tsukiji.vision.preprocess import Preprocess

HALF: Final = 0.5


@dataclass(frozen=True)
class Answers:
    """Predictions for N pictures; float32.

    Attributes:
        probabilities: calibrated, (N, classes); each row sums to 1, unless the model is multi-label.
        known_scores: (N,), see `Known.scores`; None if the package has no statistics for it.
    """

    probabilities: Floats
    known_scores: Floats | None


class Predictor:
    """A network in evaluation mode on its device. Thread-safe: the only state is a batch size.

    Attributes:
        kind: single-label or multi-label.
        label_names: in the order of the columns of `predict`.
        thresholds: of a multi-label model: the probability from which an image has each label, (classes,).
        preprocess: of each picture.
        plan: how to run the network.
        device: where it is.
        engine: computes embeddings.
        held_out: the distribution of the pictures that the training held out; None in packages of earlier versions.
        model: the network.
        space: hash of everything that embeddings depend on beside the picture, see `feature_cache.space_of`.
        batch_size: images per forward pass; halved when the device runs out of memory.
    """

    def __init__(
        self,
        model: Classifier,
        config: ModelConfig,
        preprocess: Preprocess,
        calibration: Calibration,
        plan: Plan,
        known: Known | None = None,
        engine: Engine | None = None,
        held_out: HeldOut | None = None,
    ) -> None:
        """`engine` computes embeddings, if not PyTorch does."""
        self.kind = config.kind
        self.label_names = config.label_names
        self.thresholds = calibration.thresholds or [HALF] * config.num_classes
        self.preprocess = preprocess
        self.plan = plan
        self.device = torch.device(plan.device)
        self.batch_size = plan.batch_size
        self._temperature = calibration.temperature
        self._known = known
        self.held_out = held_out
        self._torch = TorchEngine(model, config.architecture, preprocess, plan)
        self.model = self._torch.model
        self.engine = engine or self._torch
        self.space = self.engine.space

    @classmethod
    def load(cls, folder: Path, device: str = "auto", batch_size: int = 32) -> Self:
        """Verify a package and load it with the plan that matches its training.

        Raises:
            PackageInvalid: the package is damaged, of another format, or its weights do not fit or are not finite.
            BackboneUnavailable: its backbone needs a library that is not installed.
            Invalid: this machine has no such device.
        """
        return cls.planned(folder, exact(device, batch_size))

    @classmethod
    def planned(cls, folder: Path, plan: Plan, cache: Path | None = None) -> Self:
        """Verify a package and load it with the given plan; `cache` as for `open_engine`. Raises what `load` raises."""
        package.verify(folder)
        config, calibration = package.read_config(folder), package.read_calibration(folder)
        model = load_model(folder, config)
        known = None
        if calibration.known:
            known = load_known(folder / package.KNOWN, model.num_middle, model.num_features)
        preprocess, engine = package.read_preprocess(folder), None
        if plan.engine != "torch":
            engine = open_engine(model, config.architecture, preprocess, plan, cache, folder / package.INT8)
        return cls(model, config, preprocess, calibration, plan, known, engine, read_held_out(folder))

    @property
    def bytes(self) -> int:
        """Memory of the weights and of the statistics."""
        return self.engine.bytes + (self._known.bytes if self._known else 0)

    def predict(self, images: Sequence[Image.Image]) -> Floats:
        """Return calibrated probabilities (N, classes) of RGB pictures of any size.

        Each row sums to 1; in a multi-label model the labels are independent.

        Raises:
            GpuOutOfMemory: not even one picture fits.
        """
        return self.answer(images).probabilities

    def answer(self, images: Sequence[Image.Image]) -> Answers:
        """Return probabilities and known scores of RGB pictures of any size.

        Raises:
            GpuOutOfMemory: not even one picture fits.
        """
        return self.conclude(self.embed(images))

    def conclude(self, embeddings: Floats) -> Answers:
        """Return probabilities and known scores of the pictures with these embeddings (N, E).

        They may be non-finite if the network overflows; callers must check (`OutputNotFinite`).
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._known.scores(self.known_features(embeddings)) if self._known else None
            logits = self.decide(embeddings) / np.float32(self._temperature)
            return Answers(shares_of(logits, self.kind), scores)

    def labels_of(self, probabilities: Floats) -> list[str]:
        """Return the labels predicted by a multi-label model, given the probabilities (classes,)."""
        return split_labels(self.decide_set(probabilities))

    def decide_set(self, probabilities: Floats, threshold: float = 0.0) -> str:
        """Return the same as one text; a threshold above 0 replaces those of all labels."""
        thresholds = [threshold] * len(self.label_names) if threshold else self.thresholds
        return decide_set(self.label_names, probabilities.tolist(), thresholds)

    def verdicts(self, logits: Floats) -> npt.NDArray[np.generic]:
        """Return predictions for logits (N, classes): class numbers (N, 1), or sets of labels (N, classes)."""
        if self.kind == "single_label":
            return np.asarray(logits.argmax(axis=1, keepdims=True))
        return sigmoid(logits / np.float32(self._temperature)) >= np.asarray(self.thresholds, np.float32)

    def embed(self, images: Sequence[Image.Image]) -> Floats:
        """Return embeddings (N, E) of RGB pictures of any size, as `Classifier.embed` makes them.

        Raises:
            GpuOutOfMemory: not even one picture fits.
        """
        return self.embed_pixels(self.preprocess.to_pixels(images))

    def embed_pixels(self, pixels: Pixels) -> Floats:
        """Return embeddings (N, E) of fitted pictures, uint8 (N, H, W, 3), normally of `preprocess.size`.

        Raises:
            GpuOutOfMemory: not even one picture fits.
        """
        rows = [np.empty((0, self.model.num_embedded), np.float32)]
        done = 0
        while done < len(pixels):
            batch = pixels[done : done + self.batch_size]
            try:
                rows.append(self.engine.look(batch)[0])
            except torch.OutOfMemoryError as error:
                self._halve(len(batch), error)
            else:
                done += len(batch)
        embeddings = np.concatenate(rows)
        return rounded(embeddings) if self.plan.rounded else embeddings

    def known_features(self, embeddings: Floats) -> Floats:
        """Return the part of embeddings used for "none of these", (N, num_middle + num_features): the means."""
        middle = self.model.num_middle
        return np.concatenate([embeddings[:, :middle], embeddings[:, middle + self.model.num_features :]], axis=1)

    def normalise(self, pixels: Pixels) -> Tensor:
        """Return the input of `model` for fitted pictures, on its device."""
        return self._torch.normalise(pixels)

    @torch.inference_mode()
    def decide(self, embeddings: Floats) -> Floats:
        """Return logits (N, classes) of embeddings (N, E)."""
        logits: Floats = self.model.decide(torch.from_numpy(embeddings).to(self.device)).cpu().numpy()
        return logits

    def _halve(self, tried: int, error: torch.OutOfMemoryError) -> None:
        if tried == 1:
            raise GpuOutOfMemory(
                f"{self.device} has too little memory for one image of {self.preprocess.size} pixels.",
                hint="Free the device's memory, or set TSUKIJI_INFERENCE_DEVICE=cpu.",
            ) from error
        self.batch_size = tried // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def shares_of(logits: Floats, kind: Kind) -> Floats:
    """Return probabilities (N, classes) of logits, for the kind of model."""
    return softmax(logits) if kind == "single_label" else sigmoid(logits)


def sigmoid(logits: Floats) -> Floats:
    """Return float32 in 0..1; without overflow, as the exponents are negative."""
    powers = np.exp(-np.abs(logits))
    shares: Floats = np.where(logits >= 0, 1, powers) / (1 + powers)
    return shares.astype(np.float32)


def softmax(logits: Floats) -> Floats:
    """Return rows of float32 that sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def load_model(folder: Path, config: ModelConfig) -> Classifier:
    """Return the network of a verified package, with its weights.

    Raises:
        PackageInvalid: they do not fit, or are not finite.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        model = build(config.architecture, config.num_classes, config.head)
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
            raise PackageInvalid(f"{path.name} contains values that are not numbers, in {name}.")
    return state
