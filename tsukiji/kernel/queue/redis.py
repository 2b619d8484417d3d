"""kombu's Redis transport with a bug fixed: a worker can still read after its acknowledgement failed.

kombu 5.7 frees the slot of a message only after the broker accepted the acknowledgement. If Redis is down at that
moment, the error is logged and the slot stays taken; with a prefetch of 1 the worker then never reads again.
"""

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    def ack(self, delivery_tag: str) -> None:
        """Free the message's slot, even if Redis is unreachable: the row records what is done."""
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """As `ack`."""
        try:
            super().reject(delivery_tag, requeue)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    QoS = QoS


class Transport(redis.Transport):
    Channel = Channel
