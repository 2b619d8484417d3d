import threading

from tests.services import wait_until
from worker.device import Device


def start(act):
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_a_prediction_goes_in_between_two_passes_of_a_chunk_and_then_the_chunk_has_its_turn():
    device, order = Device(), []
    ready, more = threading.Event(), threading.Event()

    def lane():
        for number in range(3):
            ready.set()
            with device.hold_first():
                order.append(f"prediction {number}")
        more.set()

    with device.hold():
        device.give_way()
        thread = start(lane)
        assert ready.wait(10)
        assert wait_until(lambda: device._hurried)
        for number in range(3):
            order.append(f"pass {number}")
            device.give_way()
            wait_until(lambda number=number: device._hurried or number == 2)
    thread.join(10)
    assert order == ["pass 0", "prediction 0", "pass 1", "prediction 1", "pass 2", "prediction 2"]
    assert more.is_set()


def test_a_chunk_waits_for_a_pass_that_is_under_way():
    device, order = Device(), []
    inside, leave = threading.Event(), threading.Event()

    def lane():
        with device.hold_first():
            inside.set()
            leave.wait(10)
            order.append("prediction")

    thread = start(lane)
    assert inside.wait(10)

    def chunk():
        with device.hold():
            order.append("chunk")

    other = start(chunk)
    leave.set()
    thread.join(10)
    other.join(10)
    assert order == ["prediction", "chunk"]
