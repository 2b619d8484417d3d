"""Identifiers: a prefix for the type, then 26 characters that sort by creation time."""

import os
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32


def new_id(prefix: str) -> str:
    """Return `prefix_` and a ULID: 48 bits of milliseconds, 80 random bits (github.com/ulid/spec)."""
    return _written(prefix, (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10)))


def before(identifier: str, seconds: float) -> str:
    """Return what is lower than the ids made less than these seconds before this one, and higher than older ones."""
    prefix, digits = identifier.split("_")
    milliseconds = 0
    for digit in digits[:10]:
        milliseconds = milliseconds << 5 | ALPHABET.index(digit)
    return _written(prefix, max(0, milliseconds - round(1000 * seconds)) << 80)


def _written(prefix: str, number: int) -> str:
    return f"{prefix}_" + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
