"""Cost of a second model with the same backbone on images classified by the first one.

Two heads on one frozen body, trained in the preset `quick`; the images lie in the service already, as a data set.
`shared_backbone_ratio`: seconds of the first model's batch over those of the second's, each from the submission to the
last result read. Medians of the runs; new images in each.
"""

import shutil
import statistics

from bench.throughput.served import SEEDS, classify, prepare, recipe_of, serve
from bench.throughput.stage import Figures, PartMissing, Stage


def measure(stage: Stage) -> Figures:
    if stage.weights is None:
        raise PartMissing("it takes pretrained weights (--weights): models trained from nothing share no backbone")
    times: list[tuple[float, float]] = []
    with serve(stage) as served:
        client = served.client
        second, precision = prepare(client, stage, recipe_of(stage), first_seed=SEEDS)
        if precision != served.precision:
            raise PartMissing(f"one model computes in {served.precision}, the other in {precision}: try --precision")
        for run in range(stage.runs):
            files = stage.fresh(f"images-{run}/all", stage.images)
            dataset = client.datasets.create(f"images-{run}")
            dataset.upload(files[0].parents[1])
            shutil.rmtree(files[0].parent)
            times.append((classify(client, served.model, dataset=dataset), classify(client, second, dataset=dataset)))
    return {
        "shared_backbone_ratio": statistics.median(first / again for first, again in times),
        "shared_first_images_per_second": statistics.median(stage.images / first for first, _ in times),
        "shared_second_images_per_second": statistics.median(stage.images / again for _, again in times),
    }
