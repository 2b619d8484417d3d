"""What we mend of kombu's Redis transport, against a real Redis."""

import pytest
from kombu import Connection
from kombu.transport import virtual

from tsukiji.kernel.queue import create_app
from tsukiji.kernel.settings import BrokerSettings, Settings

PLACE = {"exchange": "", "routing_key": "intake"}


@pytest.mark.parametrize("end", ["ack", "reject"])
def test_a_worker_whose_acknowledgement_fails_can_read_on(redis_url, monkeypatch, end):
    create_app(Settings(broker=BrokerSettings(url=redis_url)))  # registers the transport
    with Connection(redis_url) as connection, connection.channel() as channel:
        channel.basic_qos(prefetch_count=1)
        message = virtual.Message(
            {"body": "{}", "properties": {"delivery_tag": "tag", "delivery_info": PLACE}}, channel
        )
        channel.qos.append(message, "tag")
        assert not channel.qos.can_consume()

        def down(*_arguments, **_options):
            raise ConnectionError("Redis is away")

        monkeypatch.setattr(channel.qos, "_remove_from_indices", down)
        with pytest.raises(ConnectionError):
            getattr(channel.qos, end)("tag")
        assert channel.qos.can_consume()
