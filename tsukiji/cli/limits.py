"""`tsukiji limits`: what the service allows."""

from tsukiji.cli.output import AsJson, print_fields, print_json
from tsukiji.client import Client


def show_limits(as_json: AsJson = False) -> None:
    """Show the service's limits: sizes, counts, times. The settings change them."""
    with Client() as client:
        found = client.limits()
    if as_json:
        print_json(found)
    else:
        print_fields({name.replace("_", " "): f"{value:,}" for name, value in found.items()})
