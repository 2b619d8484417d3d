"""Hosts of `bench.hosts` reach one another, unless their link is cut; nothing of them is left."""

import subprocess

import pytest

from bench.hosting.network import NamespacesMissing, network

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts():
    try:
        with network("one", "two") as found:
            yield found
    except NamespacesMissing as error:
        pytest.skip(str(error))


def reaches(host, other):
    """Return whether a packet of one host arrives at another: without an answer to ARP it is refused at once."""
    code = f"import socket; socket.create_connection(('{other.address}', 9), 0.5)"
    command = [*host.prefix, "python3", "-c", code]
    error = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    return "ConnectionRefusedError" in error


def test_a_link_is_cut_and_joined(hosts):
    one, two = hosts
    assert reaches(one, two)
    two.cut()
    assert not reaches(one, two)
    two.join()
    assert reaches(one, two)
    two.slow()
    assert reaches(one, two)
    two.quicken()


def test_nothing_is_left(hosts):
    with network("three") as (three,):
        assert three.namespace in listed()
    assert three.namespace not in listed()
    assert three.switch not in listed()
    assert hosts[0].namespace in listed()  # others are left alone


def listed():
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
