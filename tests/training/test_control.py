import pytest

from training.control import Cancelled, Control


def test_orders_are_lines() -> None:
    control = Control()
    control.obey("something of a later version")
    assert not control.finishing
    control.obey("finish\r")
    assert control.finishing
    control.check()
    control.obey("cancel")
    with pytest.raises(Cancelled):
        control.check()
