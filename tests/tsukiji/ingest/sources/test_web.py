"""Pictures from the web: a real server on this machine, reached by names and addresses that the tests make up."""

import contextlib
import socket
import ssl
import threading
import time

import httpcore2
import pytest

from tests.tsukiji.ingest.sources.internet import PICTURE, PUBLIC, Network, serving
from tsukiji import errors
from tsukiji.ingest.sources.web import Web
from tsukiji.kernel.settings import SourceSettings
from tsukiji.kernel.web_guard import is_public

OTHER_PUBLIC = "2606:2800:220:1::1"
LIMIT = 1000


@pytest.fixture
def server():
    """A server that notes who asked for what; `answers` are functions by path."""
    with serving({"/1.png": lambda handler: handler.answer()}) as server:
        yield server


def names(**addresses):
    """A resolver of these names (`_` for a dot); a list holds successive answers."""

    def resolve(host, port):
        found = addresses[host.replace(".", "_")]
        if isinstance(found, list):
            return [found.pop(0)]
        if isinstance(found, Exception):
            raise found
        return found.split()

    return resolve


@pytest.fixture
def web(server):
    """Open the web of a test; by default every name has one public address."""

    def make(resolve=lambda host, port: [PUBLIC], hosts=("*",), seconds=5.0, **options):
        network = Network(server)
        return Web(hosts, seconds, resolve, network, **options), network

    return make


def fetch(web, url="http://photos.example/1.png", limit=LIMIT):
    return web.open(url).read(limit)


def test_a_picture_comes_by_its_name_from_the_address_that_was_checked(web, server):
    found, network = web()
    assert fetch(found) == PICTURE
    assert server.asked == [("photos.example", "/1.png")]
    assert network.dialled == [(PUBLIC, 80)]


# --- addresses -------------------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "2002:7f00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "192.0.0.8",
    "192.88.99.1",
    "203.0.113.9",
    "::7f00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:20::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_never_dialled(web, server, address):
    found, network = web(lambda host, port: [address])
    with pytest.raises(errors.UrlNotPublic):
        fetch(found)
    assert (network.dialled, server.asked) == ([], [])


def test_one_private_address_among_public_ones_is_enough(web, server):
    found, network = web(lambda host, port: [PUBLIC, "10.0.0.1"])
    with pytest.raises(errors.UrlNotPublic):
        fetch(found)
    assert network.dialled == []


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, OTHER_PUBLIC, "64:ff9b::808:808", "192.0.1.1", "2606:4700::1"])
def test_public_addresses_are(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"]
)
def test_this_machine_is_not_asked_however_it_is_spelled(server, host):
    """With the system's own resolver and a real connection, without fakes in between."""
    port = server.server_address[1]

    class Dial(httpcore2.SyncBackend):
        def connect_tcp(self, host, port_asked, timeout=None, local_address=None, socket_options=None):
            return super().connect_tcp(host, port, timeout)

    with pytest.raises((errors.UrlNotPublic, errors.UrlNotAllowed, errors.UrlUnreachable)):
        fetch(Web(["*"], 5.0, dial=Dial()), f"http://{host}/1.png")
    assert server.asked == []


def test_a_resolver_that_changes_its_answer_gains_nothing(web, server):
    """DNS rebinding: the first answer is public, every later one is this machine."""
    answers = [PUBLIC, "127.0.0.1", "127.0.0.1"]
    found, network = web(names(photos_example=answers))
    assert fetch(found) == PICTURE
    assert (network.dialled, answers) == ([(PUBLIC, 80)], ["127.0.0.1", "127.0.0.1"])
    with pytest.raises(errors.UrlNotPublic):
        fetch(found)
    assert len(server.asked) == 1


def test_a_redirect_to_the_same_name_is_resolved_and_checked_anew(web, server):
    server.answers["/old"] = lambda handler: handler.answer(b"", 302, Location="/1.png")
    found, _ = web(names(photos_example=[PUBLIC, "127.0.0.1"]))
    with pytest.raises(errors.UrlNotPublic):
        fetch(found, "http://photos.example/old")
    assert server.asked == [("photos.example", "/old")]


def test_the_next_address_is_tried_where_one_does_not_answer(web, server):
    class Broken(Network):
        def connect_tcp(self, host, *rest, **options):
            if host == PUBLIC:
                raise httpcore2.ConnectError("no route")
            return super().connect_tcp(host, *rest, **options)

    network = Broken(server)
    assert fetch(Web(["*"], 5.0, lambda host, port: [PUBLIC, OTHER_PUBLIC], network)) == PICTURE
    assert network.dialled == [(OTHER_PUBLIC, 80)]


# --- redirects -------------------------------------------------------------------------------------------------------


def test_a_redirect_within_the_host_is_followed(web, server):
    server.answers["/old"] = lambda handler: handler.answer(b"", 301, Location="http://photos.example/1.png")
    found, _ = web()
    assert fetch(found, "http://photos.example/old") == PICTURE


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/1.png",
        "http://elsewhere.example/1.png",
        "//elsewhere.example/1.png",
        "http://169.254.169.254/latest/meta-data",
        "http://user:secret@photos.example/1.png",
        "http://photos.example:8080/1.png",
        "file:///etc/passwd",
        "ftp://photos.example/1.png",
        "http://[/",
        "",
    ],
)
def test_a_redirect_elsewhere_is_refused(web, server, location):
    server.answers["/old"] = lambda handler: handler.answer(b"", 302, Location=location)
    found, network = web()
    with pytest.raises((errors.UrlRedirected, errors.UrlNotAllowed)):
        fetch(found, "http://photos.example/old")
    assert {path for _, path in server.asked} == {"/old"}
    assert {host for host, _ in network.dialled} == {PUBLIC}


def test_redirects_end(web, server):
    server.answers["/round"] = lambda handler: handler.answer(b"", 307, Location="/round")
    found, _ = web()
    with pytest.raises(errors.UrlRedirected, match="more than 3 times"):
        fetch(found, "http://photos.example/round")
    assert len(server.asked) == 4


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_size_that_is_announced_is_refused_unread(web, server):
    server.answers["/1.png"] = lambda handler: handler.answer(b"x", length=LIMIT + 1)
    found, _ = web()
    with pytest.raises(errors.ImageTooManyBytes):
        fetch(found)


def test_a_body_without_end_is_refused_at_the_first_byte_too_many(web, server):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "image/png")
        handler.send_header("Connection", "close")
        handler.end_headers()
        with_errors(lambda: [handler.wfile.write(bytes(500)) for _ in range(10_000)])

    server.answers["/1.png"] = endless
    found, _ = web()
    with pytest.raises(errors.ImageTooManyBytes):
        fetch(found)


def with_errors(act):
    with contextlib.suppress(OSError):  # the other side has hung up, as it should
        act()


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_server_that_drips_is_left_in_time(web, server, part):
    """Each byte comes soon enough; all together never end."""

    def drip(handler):
        def act():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 900\r\n\r\n"
            if part == "body":
                handler.wfile.write(head)
            for byte in head if part == "headers" else bytes(900):
                handler.wfile.write(bytes([byte]))
                if server.hung_up.wait(0.05):
                    return

        with_errors(act)

    server.hung_up = threading.Event()
    server.answers["/1.png"] = drip
    found, _ = web(seconds=0.4)
    began = time.monotonic()
    with pytest.raises(errors.UrlUnreachable, match=r"more than 0\.4 s"):
        fetch(found)
    took = time.monotonic() - began
    server.hung_up.set()
    assert took < 3


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", "video/mp4", "application/zip"])
def test_what_says_to_be_no_picture_is_not_read(web, server, kind):
    server.answers["/1.png"] = lambda handler: handler.answer(kind=kind)
    found, _ = web()
    with pytest.raises(errors.NotAnImage):
        fetch(found)


@pytest.mark.parametrize("kind", ["image/webp", "IMAGE/JPEG", "application/octet-stream", None])
def test_what_may_be_a_picture_is(web, server, kind):
    server.answers["/1.png"] = lambda handler: handler.answer(kind=kind)
    found, _ = web()
    assert fetch(found) == PICTURE


@pytest.mark.parametrize("status", [403, 404, 500, 206, 304])
def test_another_answer_is_none(web, server, status):
    server.answers["/1.png"] = lambda handler: handler.answer(b"" if status == 304 else PICTURE, status)
    found, _ = web()
    with pytest.raises(errors.UrlUnreachable) as raised:
        fetch(found)
    assert raised.value.extra["status"] == status


def test_names_without_an_address_and_lines_that_break(web, server):
    found, _ = web(names(photos_example=socket.gaierror(-2, "Name or service not known")))
    with pytest.raises(errors.UrlUnreachable):
        fetch(found)
    found, _ = web(lambda host, port: [])
    with pytest.raises(errors.UrlUnreachable):
        fetch(found)
    server.answers["/1.png"] = lambda handler: handler.answer(PICTURE, length=500) or handler.connection.shutdown(2)
    found, _ = web()
    with pytest.raises(errors.UrlUnreachable):
        fetch(found)


# --- who may be asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/1.png",
        "http://photos.example.evil.example/1.png",
        "http://evilphotos.example/1.png",
        "http://photos.example:8080/1.png",
        "http://user@photos.example/1.png",
        "http://user:secret@photos.example/1.png",
        "http://elsewhere.example#@photos.example/1.png",
        "http://cdn.example/1.png",
        "ftp://photos.example/1.png",
        "http:///1.png",
        "http://photos.example\\@127.0.0.1/",
        "http://pho\ntos.example/1.png",
        "photos.example/1.png",
        "http://" + "x" * 300 + ".example/",
    ],
)
def test_only_hosts_on_the_list_are_asked(web, server, url):
    found, network = web(hosts=["photos.example", "*.cdn.example"])
    with pytest.raises((errors.UrlNotAllowed, errors.UrlUnreachable)):
        fetch(found, url)
    assert network.dialled == []


@pytest.mark.parametrize(
    "url", ["http://PHOTOS.example/1.png", "http://photos.example./1.png", "http://a.b.cdn.example/1.png"]
)
def test_hosts_on_the_list_are(web, url):
    found, _ = web(hosts=["photos.example", "*.cdn.example"])
    assert fetch(found, url) == PICTURE


def test_nobody_is_asked_by_default(web):
    found, network = web(hosts=SourceSettings().hosts)
    with pytest.raises(errors.UrlNotAllowed):
        fetch(found)
    assert network.dialled == []


@pytest.mark.parametrize("host", ["", "http://photos.example", "photos.example/x", "a b", "*.*", "*x", "10.0.0.0/8"])
def test_the_setting_takes_hosts_only(host):
    with pytest.raises(ValueError, match="is not a host name"):
        SourceSettings(hosts=[host])


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_the_certificate_is_held_against_the_name_and_not_the_address(server, tmp_path, certificate):
    files, trusting = certificate("photos.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    asked = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found = Web(["*"], 5.0, lambda host, port: [PUBLIC], Network(server), trusting)
    assert fetch(found, "https://photos.example/1.png") == PICTURE
    with pytest.raises(errors.UrlUnreachable, match="certificate"):
        fetch(found, "https://other.example/1.png")
    assert asked == ["photos.example", "other.example"]
    assert server.asked == [("photos.example", "/1.png")]
