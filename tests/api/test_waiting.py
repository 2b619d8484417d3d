"""Many who wait and many who poll cost the service little."""

import asyncio
import heapq
import threading
from collections import Counter

import pytest

from api.poll_pacing import LONGEST_PAUSE, POLLS_PER_CORE, PollPacer
from api.watch import Topic, Watch
from db.jobs import jobs
from db.models import Job
from devtools.servers import wait_until
from tests.api.conftest import as_files, pictures


def test_all_who_wait_share_one_look():
    topics = [Topic("job", f"job_{number}") for number in range(300)]
    versions, looks = dict.fromkeys(topics, 1), []

    def look(asked):
        looks.append(set(asked))
        return {topic: versions[topic] for topic in asked if topic in versions}

    watch = Watch(look)

    async def session():
        async def follow(topic):
            return await watch.wait({topic: 1}, 20)

        waiting = [asyncio.create_task(follow(topic)) for topic in topics]
        await asyncio.sleep(0)
        while not any(len(asked) == 300 for asked in looks):
            await asyncio.sleep(0.01)
        versions[topics[7]] = 2
        assert await waiting[7]
        assert sum(task.done() for task in waiting) == 1, "nobody else was woken"
        del versions[topics[8]]
        assert await waiting[8], "it is gone, and the row will say so"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(session())
    assert len(looks) < 100
    assert wait_until(lambda: all(thread.name != "watch" for thread in threading.enumerate())), "nobody waits any more"


def test_who_waits_for_too_long_or_for_a_database_that_is_away_is_let_go():
    def fail(_topics):
        raise OSError("away")

    known = {Topic("job", "a"): 1, Topic("history", "a"): 1}
    assert asyncio.run(Watch(fail).wait(known, 20)), "the row is read, and meets it"
    assert not asyncio.run(Watch(lambda topics: dict.fromkeys(topics, 1)).wait(known, 0.05))


def test_who_waits_for_several_things_hears_of_each():
    known = {Topic("job", "a"): 1, Topic("history", "a"): 1}
    for changed in known:
        assert asyncio.run(
            Watch(lambda topics, changed=changed: dict.fromkeys(topics, 1) | {changed: 2}).wait(known, 20)
        )


POLLS_PER_SECOND = 20


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("clients", [1, 10, 100, 1000])
def test_clients_are_slowed_down_so_that_all_together_keep_to_the_pace(clients):
    clock = Clock()
    poll_pacer = PollPacer(POLLS_PER_SECOND, clock)
    due = [number / clients for number in range(clients)]
    polls = []
    while (at := heapq.heappop(due)) < 300:
        clock.now = at
        polls.append(at)
        heapq.heappush(due, at + poll_pacer.pause(5))
    late = sum(at > 200 for at in polls) / 100
    assert late <= 1.3 * max(POLLS_PER_SECOND, 1)
    assert late == pytest.approx(min(clients / 5, POLLS_PER_SECOND), rel=0.35)
    clock.now += 600
    assert poll_pacer.pause(1) == 1, "they have gone"


def test_a_crowd_that_comes_all_at_once_is_slowed_down_from_the_start():
    clock = Clock()
    poll_pacer = PollPacer(POLLS_PER_SECOND, clock)
    clock.now += 1000
    due = [clock.now + number / 50 for number in range(1000)]
    seconds = Counter()
    while (at := heapq.heappop(due)) < 1040:
        clock.now = at
        seconds[int(at)] += 1
        heapq.heappush(due, at + poll_pacer.pause(1))
    assert max(seconds.values()) <= 50 + 2 * POLLS_PER_SECOND, "who comes for the first time, and not many more"


def test_a_crowd_comes_back_evenly_and_in_no_wave():
    clock = Clock()
    poll_pacer = PollPacer(POLLS_PER_SECOND, clock)
    due = [number / 50 for number in range(1000)]
    seconds = Counter()
    while (at := heapq.heappop(due)) < 200:
        clock.now = at
        seconds[int(at)] += 1
        heapq.heappush(due, at + poll_pacer.pause(1))
    after = [seconds[second] for second in range(25, 200)]
    assert (min(after), max(after)) == (POLLS_PER_SECOND, POLLS_PER_SECOND)


def test_more_cores_take_more_clients(monkeypatch):
    monkeypatch.setattr("api.poll_pacing.usable_cores", lambda: 4)
    poll_pacer = PollPacer(clock=Clock())
    pauses = Counter(poll_pacer.pause(1) for _ in range(10 * POLLS_PER_CORE))
    assert pauses == {1: 4 * POLLS_PER_CORE, 2: 4 * POLLS_PER_CORE, 3: 2 * POLLS_PER_CORE}


def test_nobody_is_sent_away_for_longer_than_two_minutes():
    poll_pacer = PollPacer(POLLS_PER_SECOND, Clock())
    assert max(poll_pacer.pause(5) for _ in range(100_000)) == LONGEST_PAUSE


def test_a_crowd_of_pollers_is_told_to_come_more_seldom(client, services, model):
    place = client.post("/v1/batches", files=as_files(pictures(1)), data={"model": model}).json()["links"]["self"]
    with services.database.transaction() as session:
        jobs.change(session, Job.id == place.rpartition("/")[2], status="running", started_at=Job.created_at)
    assert client.get(place).headers["retry-after"] == "1"
    for _ in range(100_000):
        services.poll_pacer.pause(1)
    assert client.get(place).headers["retry-after"] == str(LONGEST_PAUSE)
