"""One of everything, for tests that call every address."""

from tests.api.conftest import as_files, make_dataset, make_model, picture, pictures, run_job, work


def make(client, services):
    """Return one of everything that an address can name, by the name of its parameter."""
    dataset, model = make_dataset(client), make_model(services)
    image = client.get(f"/v1/datasets/{dataset}/images").json()["data"][0]["id"]
    made = {
        "revision": client.post(f"/v1/datasets/{dataset}/revisions", json={"act": "exclude", "images": [image]}),
        "batch": client.post("/v1/batches", files=as_files(pictures(3)), data={"model": model, "top_k": "2"}),
        "prediction": client.post(
            f"/v1/models/{model}/predict", files=as_files([picture()]), headers={"Prefer": "wait=0"}
        ),
        "training": client.post("/v1/trainings", json={"dataset": dataset, "recipe": {"epochs": 3}}),
        "import_id": client.post(
            f"/v1/datasets/{dataset}/imports", content=b"file,label\n", headers={"Content-Type": "text/csv"}
        ),
        "analysis": client.post(f"/v1/datasets/{dataset}/analyses", json={}),
        "suggestion": client.post(f"/v1/datasets/{dataset}/suggestions", json={}),
        "snapshot": client.post(f"/v1/datasets/{dataset}/snapshots"),
        "upload": client.post("/v1/uploads", json={"bytes": 10}),
        "project": client.post("/v1/projects", json={"name": "elsewhere"}),
        "webhook": client.post("/v1/webhooks", json={"url": "https://hooks.example/"}),
    }
    found = {name: answer.json()["id"] for name, answer in made.items()}
    found["delivery"] = client.post(f"/v1/webhooks/{found['webhook']}/test").json()["id"]
    work(services)
    run_job(services, found["training"], {})
    evaluation = client.get("/v1/evaluations").json()["data"][0]["id"]
    found |= {"dataset": dataset, "image": image, "model": model, "evaluation": evaluation, "job": found["training"]}
    return found | {
        "key": "key_nope",
        "person": "per_nope",
        "invitation": "inv_nope",
        "number": 1,
        "seq": 0,
        "name": "production",
        "format": "onnx",
        "code": "not_found",
    }
