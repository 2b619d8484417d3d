"""kombu's Redis transport, with one fault mended: a worker stays able to read when its acknowledgement fails.

kombu 5.7 frees the place of a message only after the broker took the acknowledgement. Where Redis is down at that
moment the error is logged and the place stays taken; with a prefetch of 1 the worker then never reads again.
"""

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    def ack(self, delivery_tag: str) -> None:
        """Free the message's place, also where Redis cannot be told: the row says what is done."""
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
