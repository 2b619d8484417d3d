"""Effect of a picture that kills its worker on others, on a service with a single inference worker.

A healthy batch alone, and the same batch right behind a poisonous one, alternately. `delay_seconds` is the median delay
of the second; `delay_seconds_max` the worst. The poisonous batch must end as `failed` after its attempts.
"""

import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from bench.report import parse, show
from devtools.journey import fill, train, write_pictures
from devtools.poisoned_service import ATTEMPTS, poisoned_service
from tsukiji import Client, JobFailedError, Model

JOB_SECONDS = 300


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), 1 if options.quick else options.rounds)
    show("a poisonous picture", figures, as_json=options.json)


def measure(scratch: Path, rounds: int) -> dict[str, Any]:
    poison, pictures = scratch / "poison.png", scratch / "pictures"
    Image.new("RGB", (40, 40), (1, 2, 3)).save(poison)
    pictures.mkdir()
    with poisoned_service(scratch, poison) as client:
        model = train(client, fill(client, write_pictures(pictures), "poison")).model
        if model is None:
            raise RuntimeError("the training made no model")
        healthy(client, model, pictures)
        turns = [turn(client, model, poison, pictures) for _ in range(rounds)]
    delays = [behind - alone for alone, behind, _ in turns]
    return {
        "delay_seconds": statistics.median(delays),
        "delay_seconds_max": max(delays),
        "seconds_alone": statistics.median(alone for alone, _, _ in turns),
        "poison_failed": all(failed for _, _, failed in turns),
        "attempts": ATTEMPTS,
        "rounds": rounds,
    }


def turn(client: Client, model: Model, poison: Path, pictures: Path) -> tuple[float, float, bool]:
    """Return the healthy batch's seconds alone and behind the poisonous one, and whether that one has failed."""
    healthy(client, model, pictures)  # until the worker that the turn before has killed is back
    alone = healthy(client, model, pictures)
    bad = client.batches.create(model=model, images=[poison])
    behind = healthy(client, model, pictures)
    with suppress(JobFailedError):
        bad.wait(JOB_SECONDS)
    return alone, behind, bad.status == "failed"


def healthy(client: Client, model: Model, pictures: Path) -> float:
    began = time.perf_counter()
    client.batches.create(model=model, images=[pictures]).wait(JOB_SECONDS)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
