"""LitServe with its documented image classifier, batching on: `python -m bench.throughput.peers.litserve_server`.

After "Speed up serving by 200x" in LitServe's documentation: pictures as base64 in JSON, decoded by a pool of threads
when a batch is put together, one worker with all threads of the machine.
"""

import base64
import io
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import litserve
import torch
from PIL import Image
from torch import Tensor

from bench.throughput.peers.network import load_network, load_transform

BATCH: Final = 32
BATCH_SECONDS: Final = 0.05


class ImageClassifier(litserve.LitAPI):
    def __init__(self, folder: Path) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS)
        self._folder = folder

    def setup(self, device: str) -> None:
        self._device = device
        self._model = load_network(self._folder).to(device)
        self._transform = load_transform(self._folder)
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def decode_request(self, request: dict[str, str]) -> str:
        return request["image_data"]

    def batch(self, inputs: Sequence[str]) -> Tensor:
        return torch.stack(list(self._pool.map(self._open, inputs))).to(self._device)

    @torch.inference_mode()
    def predict(self, x: Tensor, **_: Any) -> Tensor:
        found: Tensor = self._model(x).argmax(1)
        return found

    def unbatch(self, output: Tensor) -> list[int]:
        return output.tolist()

    def encode_response(self, output: int, **_: Any) -> dict[str, int]:
        return {"output": output}

    def _open(self, data: str) -> Tensor:
        image: Tensor = self._transform(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        return image


if __name__ == "__main__":
    server = litserve.LitServer(ImageClassifier(Path(sys.argv[1])), timeout=False)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
