"""What rounds of suggestions need: features of images without labels, and a worker that does a round."""

import numpy as np

from db.jobs import leases
from db.models import Job
from tests.api.conftest import as_files, picture
from tsukiji.vision.feature_cache import PLAIN, FeatureCache, weights_key
from tsukiji.vision.shapes import architecture_of
from worker.jobs import suggestions
from worker.runner import run

PLACE = "/v1/datasets/pets/suggestions"
BACKBONE = "efficientnet_lite0"


def add_pets(client, services):
    """24 images without labels, cats and dogs by their features; {name: id}, cats first."""
    client.post("/v1/datasets", json={"name": "pets"})
    for number in range(24):
        sent = as_files([picture((number * 10, 60, 90))])
        name = f"{'cat' if number < 12 else 'dog'}-{number:02}.png"
        client.post("/v1/datasets/pets/images", files=[("files", (name, sent[0][1][1], "image/png"))])
    images = client.get("/v1/datasets/pets/images?limit=100").json()["data"]
    keep(services, {image["sha256"]: image["name"][:3] for image in images})
    return {image["name"]: image["id"] for image in sorted(images, key=lambda image: image["name"])}


def keep(services, kinds):
    """Put features of pictures where the backbone leaves them: alike within a kind."""
    facts = architecture_of(BACKBONE)
    random = np.random.default_rng(0)
    centres = {kind: np.random.default_rng(ord(kind[0])).random(facts.num_features) for kind in set(kinds.values())}
    kept = FeatureCache(services.settings.cache_dir / "features.db", "made-up", 2**30)
    blank = np.zeros(facts.num_middle + facts.num_features)
    found = {
        sha256: np.concatenate([blank, centres[kind] + 0.1 * random.random(facts.num_features)])
        for sha256, kind in kinds.items()
    }
    kept.write(found, PLAIN)
    kept.name_space(weights_key(BACKBONE, 224, services.settings.weights_dir))


def work(services, worker, job_id):
    """Do a round as a worker does."""
    with services.database.transaction() as session:
        job = leases.claim(session, Job, job_id, worker.worker, 30)
    run(worker, job, suggestions.run)


def act(client, act, **more):
    answer = client.post("/v1/datasets/pets/revisions", json={"act": act, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def label(client, pets, count=4):
    """Label the first images of both kinds."""
    for kind, start in (("cat", 0), ("dog", 12)):
        act(client, "relabel", label=kind, images=list(pets.values())[start : start + count])
