"""The command line: `tsukiji ...`. Knows the client and how to start the programs, nothing of how they work."""

from tsukiji.cli.app import app


def main() -> None:
    app()


__all__ = ["app", "main"]
