"""What is of the asynchronous client alone; whatever both do is tested through `client`."""

import asyncio
import inspect
import sys
import threading
from pathlib import Path

import pytest

import tsukiji
from devtools import sync_client
from devtools.scripted_service import dataset, job, model, page
from tests.tsukiji.uploads import DATA, PLACE
from tsukiji import client as package
from tsukiji.client import _async

FOLDER = Path(package.__file__).parent


def test_the_synchronous_client_is_derived_from_this_one():
    made = sync_client.modules()
    kept = {file.name: file.read_text("utf-8") for file in sync_client.TARGET.glob("*.py")}
    assert made == {name: text for name, text in kept.items() if name not in sync_client.HAND_WRITTEN}, (
        "run `make sync-client`"
    )


def test_less_than_a_twentieth_is_written_twice_by_hand():
    def lines(files):
        return sum(len(file.read_text("utf-8").splitlines()) for file in files)

    by_hand = [
        file for file in FOLDER.rglob("*.py") if file.parent.name != "_sync" or file.name in sync_client.HAND_WRITTEN
    ]
    twice = [side / name for side in (sync_client.SOURCE, sync_client.TARGET) for name in sync_client.HAND_WRITTEN]
    assert lines(twice) / 2 < 0.05 * lines(by_hand)


def surface(module):
    """The public methods of each public class with their parameters."""
    classes = {name.removeprefix("Async"): getattr(module, name) for name in module.__all__}
    return {
        f"{name}.{method}": list(inspect.signature(function).parameters)
        for name, of in classes.items()
        for method, function in vars(of).items()
        if not method.startswith("_") and inspect.isfunction(function)
    }


def test_both_have_the_same_surface():
    assert surface(_async) == {
        name: parameters
        for name, parameters in surface(package).items()
        if f"Async{name.partition('.')[0]}" in _async.__all__
    }
    assert {name.removeprefix("Async") for name in _async.__all__} <= set(package.__all__)
    assert "AsyncClient" in dir(tsukiji)


async def newcomer(service):
    async with tsukiji.AsyncClient(service.url) as client:
        names = [found.name async for found in client.datasets.list()]
        training = await client.trainings.create("pets")
        await training.wait(progress=False)
        found = await training.model
        return names, found.name, await client.datasets.list()[0], await client.datasets.list().count()


def test_a_tour(service):
    service.answer("GET", "/v1/datasets", page(dataset("a"), dataset("b")))
    service.answer("POST", "/v1/trainings", job("succeeded", result={"model_id": "mdl_1"}))
    service.answer("GET", "/v1/models/mdl_1", model())
    names, trained, first, count = asyncio.run(newcomer(service))
    assert (names, trained, first.name, count) == (["a", "b"], "pets", "a", 2)


def test_calls_run_at_once(service):
    """Each answer waits until all have arrived."""
    together = threading.Barrier(5, timeout=20)

    def answer(asked):
        together.wait()
        return dataset(asked.path.rpartition("/")[2])

    async def ask():
        async with tsukiji.AsyncClient(service.url) as client:
            return await asyncio.gather(*[client.datasets.get(name) for name in "abcde"])

    for name in "abcde":
        service.answer("GET", f"/v1/datasets/{name}", answer)
    assert [found.name for found in asyncio.run(ask())] == list("abcde")


def test_a_cancelled_wait_leaves_the_job_running_and_says_so(service, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    service.answer("GET", "/v1/trainings/trn_1", job("running"))
    service.answer("GET", "/v1/jobs/trn_1", job("running"))

    async def run():
        async with tsukiji.AsyncClient(service.url) as client:
            training = await client.trainings.get("trn_1")
            waiting = asyncio.create_task(training.wait(progress=True))
            while not service.asked_for("GET", "/v1/jobs/trn_1"):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return await training.refresh()  # the connection still works

    assert asyncio.run(run()).status == "running"
    assert "training trn_1 goes on in the service" in capsys.readouterr().err
    assert {asked.method for asked in service.asked} == {"GET"}


def test_a_cancelled_upload_stops_and_keeps_its_parts(service, kept, tmp_path):
    """The service answers the second part never: the first is confirmed, and the rest is not begun."""
    gate = threading.Event()
    file = tmp_path / "pets.zip"
    file.write_bytes(DATA)
    for number in (2, 3):
        service.answer("PUT", f"{PLACE}/parts/{number}", lambda _: gate.wait(20) and {})

    async def run():
        async with tsukiji.AsyncClient(service.url) as client:
            first = asyncio.Event()
            sending = asyncio.create_task(client.uploads.send(file, lambda done, _total: first.set() if done else None))
            await first.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    try:
        asyncio.run(run())
    finally:
        gate.set()
    assert not service.asked_for("POST", f"{PLACE}/complete")
    assert sorted(kept) == [1]
