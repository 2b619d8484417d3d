"""Hosts on one machine: a network namespace each, joined by a bridge in a namespace of its own. Linux, as root.

A link that is cut drops what is sent without a word, as a pulled cable does: connections stay half open. Links are
slowed by `tbf`, which bounds the rate; delay and loss by chance would need `netem`, which not every kernel has.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

OUTSIDE: Final = 254
"""Last number of the address of this process, which is joined as well."""
SLOW: Final = ("rate", "2mbit", "burst", "32kbit", "latency", "400ms")


class NamespacesMissing(Exception):
    """Hosts cannot be made here."""


@dataclass(frozen=True)
class Host:
    """A namespace, its address, and its port at the bridge."""

    name: str
    namespace: str
    address: str
    switch: str
    port: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Before the command of a program, which then runs on this host."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        ip("-n", self.switch, "link", "set", self.port, "down")

    def join(self) -> None:
        ip("-n", self.switch, "link", "set", self.port, "up")

    def slow(self) -> None:
        """Bound what it receives and what it sends to two megabits a second."""
        run("tc", "-n", self.switch, "qdisc", "replace", "dev", self.port, "root", "tbf", *SLOW)
        run("tc", "-n", self.namespace, "qdisc", "replace", "dev", "eth0", "root", "tbf", *SLOW)

    def quicken(self) -> None:
        run("tc", "-n", self.switch, "qdisc", "del", "dev", self.port, "root")
        run("tc", "-n", self.namespace, "qdisc", "del", "dev", "eth0", "root")


@contextmanager
def network(*names: str) -> Iterator[list[Host]]:
    """Join these hosts and this process; all is gone at the end, with the namespaces.

    Raises:
        NamespacesMissing: this is not Linux, not root, or the kernel refuses.
    """
    if os.name != "posix" or os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("tc")):
        raise NamespacesMissing("Hosts are network namespaces: run this as root, with iproute2 (`ip`, `tc`).")
    mark = secrets.token_hex(3)
    subnet = f"10.213.{secrets.randbelow(250) + 1}"
    switch = f"tsukiji-{mark}"
    hosts = [
        Host(name, f"{switch}-{name}", f"{subnet}.{number}", switch, f"p{number}")
        for number, name in enumerate(names, 1)
    ]
    try:
        make_switch(switch)
        for host in hosts:
            ip("netns", "add", host.namespace)
            plug(host.switch, host.port, "eth0", host.namespace, host.address)
        plug(switch, "p0", f"tsu{mark}", str(os.getpid()), f"{subnet}.{OUTSIDE}")
        yield hosts
    except subprocess.CalledProcessError as error:
        raise NamespacesMissing(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from error
    finally:
        for namespace in (*(host.namespace for host in hosts), switch):  # links go with their ends
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


def make_switch(namespace: str) -> None:
    ip("netns", "add", namespace)
    ip("-n", namespace, "link", "add", "bridge", "type", "bridge")
    ip("-n", namespace, "link", "set", "bridge", "up")


def plug(switch: str, port: str, device: str, namespace: str, address: str) -> None:
    """Lay a cable from a port of the bridge to a device of a namespace, given by its name or a pid in it."""
    ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", device, "netns", namespace)
    ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    within = [] if namespace.isdecimal() else ["-n", namespace]
    ip(*within, "address", "add", f"{address}/24", "dev", device)
    ip(*within, "link", "set", device, "up")
    if within:
        ip(*within, "link", "set", "lo", "up")


def ip(*arguments: str) -> None:
    run("ip", *arguments)


def run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
