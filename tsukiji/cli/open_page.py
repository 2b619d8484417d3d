"""`tsukiji open`: the page in a browser, signed in by a link that works once."""

import json
import subprocess
import sys
from typing import Annotated

import typer

from tsukiji.cli.output import AsJson, note, print_json
from tsukiji.cli.programs import NEEDED_BY_DB, environment, programs_folder
from tsukiji.client import Client
from tsukiji.client._base import configure
from tsukiji.kernel.browser import open_browser


class KeyMissing(OSError):
    """The service is elsewhere, and only a key can ask it for a link."""


def open_page(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser, where there is one.")] = True,
    as_json: AsJson = False,
) -> None:
    """Open the page in a browser, signed in by a link that works once.

    It also prints the link, which works for some minutes. With TSUKIJI_API_KEY the service is asked for it; without, it
    is made where the database of the service is.
    """
    address = configure(None, None, 60, 2)
    if address.api_key:
        with Client() as client:
            link = client.create_sign_in_link()
        url = address.url + link.path
    elif address.is_local:
        url = make_link_here()
    else:
        raise KeyMissing(f"Set TSUKIJI_API_KEY to a key of {address.url}, or run this where that service runs.")
    if as_json:
        print_json({"url": url})
    else:
        typer.echo(url)
    if browser and sys.stdout.isatty() and not open_browser(url):
        note("no browser was found here; open the link in one")


def make_link_here() -> str:
    """Return a link that was written into the database of this machine's service."""
    command = [sys.executable, "-m", "db", "sign-in-link", "--json"]
    done = subprocess.run(
        command, cwd=programs_folder(NEEDED_BY_DB), env=environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)
    url: str = json.loads(done.stdout)["url"]
    return url
