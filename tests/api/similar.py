"""A worker that sees in a picture how red it is, and the features that an analysis would have kept."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from db.jobs import workers
from tests.api.conftest import picture
from tsukiji.vision.backbones import preprocess_of
from tsukiji.vision.feature_cache import COMPACT, FeatureCache, weights_key
from tsukiji.vision.shapes import architecture_of
from worker.inference import similar_pictures
from worker.inference.predict_rpc import PredictServer
from worker.inference.similar_pictures import SimilarPictures

BACKBONE = "efficientnet_lite0"
SPACE = "made-up"
FACTS = architecture_of(BACKBONE)
WIDTH = FACTS.num_middle + 2 * FACTS.num_features
REDS = range(0, 240, 20)


@contextmanager
def answering(worker, monkeypatch):
    """A worker that can be asked which images look alike."""
    server = PredictServer("127.0.0.1")
    server.serve(None, SimilarPictures(worker).ask)
    with worker.database.transaction() as session:
        workers.report(session, worker.worker, "infer", None, server.address(worker.worker))
    engine = SimpleNamespace(space=SPACE, look=lambda pixels: (seen(pixels[..., 0].mean()), None))
    body = similar_pictures.Body(engine, preprocess_of(BACKBONE, 224))
    monkeypatch.setattr(similar_pictures, "open_body", lambda *_: body)
    monkeypatch.setattr(similar_pictures, "PATIENCE", 0)  # else what is missing is looked for some milliseconds later
    yield worker
    server.close()


def seen(red):
    """Features that turn with the red of a picture."""
    row = np.zeros((1, WIDTH), np.float32)
    row[0, -2:] = np.cos(red / 200), np.sin(red / 200)
    return row


def add(client, dataset, *reds):
    """Add pictures of these reds; returns their images by red."""
    files = [("files", (f"{red}.png", picture((red, 60, 90)), "image/png")) for red in reds]
    client.post("/v1/datasets", json={"name": dataset})
    assert client.post(f"/v1/datasets/{dataset}/images", files=files).status_code == 201
    images = client.get(f"/v1/datasets/{dataset}/images?limit=200").json()["data"]
    return {int(image["name"][:-4]): image for image in images}


def keep(services, images, *reds):
    """Keep what an analysis would: compact features."""
    kept = FeatureCache(services.settings.cache_dir / "features.db", SPACE, 2**30)
    rows = {images[red]["sha256"]: similar_pictures.compact(seen(red), FACTS.num_middle)[0] for red in reds}
    kept.write(rows, COMPACT)
    kept.name_space(weights_key(BACKBONE, 224, services.settings.weights_dir))
