"""Small pictures with a line or two below each, where the terminal shows pictures. Knows no command."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.text import Text

from tsukiji.cli.output import OUT, text

Protocol = Literal["auto", "kitty", "iterm", "sixel", "blocks", "none"]
PicturesOption = Annotated[
    Protocol,
    typer.Option(
        "--pictures",
        help="How to show small pictures: by what the terminal understands, or as half blocks; auto finds out.",
    ),
]
SIDE: Final = 24
GAP: Final = 2
"""Characters across a picture and between two, as `tsukiji.vision.terminal_images` draws them."""
BLOCKS_COLOURS: Final = "truecolor"


def protocol_of(wanted: Protocol, console: Console = OUT, environment: Mapping[str, str] = os.environ) -> Protocol:
    """Return how pictures are to be drawn; `none` in a pipe, without colours, and where no protocol is known.

    A terminal is known by what it says in its environment: asking it would take its answer from what is typed.
    """
    if wanted != "auto":
        return wanted
    if not console.is_terminal or console.no_color or console.width < SIDE:
        return "none"
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    inside = "TMUX" in environment or terminal.startswith(("screen", "tmux"))
    if not inside and ("KITTY_WINDOW_ID" in environment or terminal in {"xterm-kitty", "xterm-ghostty"}):
        return "kitty"
    if not inside and (program in {"iTerm.app", "WezTerm"} or environment.get("LC_TERMINAL") == "iTerm2"):
        return "iterm"
    if not inside and (terminal.startswith(("foot", "mlterm", "contour")) or program == "mintty"):
        return "sixel"
    return "blocks" if console.color_system == BLOCKS_COLOURS else "none"


def show_pictures(pictures: Sequence[tuple[bytes, Sequence[str]]], protocol: Protocol, console: Console = OUT) -> None:
    """Print rows of pictures, as many side by side as fit, each with its lines below.

    Without Pillow, which the client alone does not install, nothing is drawn.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, str(index)) for index in range(len(pictures))]
        for file, (content, _) in zip(files, pictures, strict=True):
            file.write_bytes(content)
        in_a_row = max(1, (console.width + GAP) // (SIDE + GAP))
        for start in range(0, len(pictures), in_a_row):
            row = slice(start, start + in_a_row)
            drawn = drawing(files[row], protocol)
            if drawn is None:
                return
            console.file.write(drawn)
            console.file.flush()
            for lines in zip(*(caption for _, caption in pictures[row]), strict=True):
                console.print(Text((" " * GAP).join(fitting(line) for line in lines)), soft_wrap=True)
            console.print()


def fitting(line: str) -> str:
    """Return a line as wide as a picture, cut at its end."""
    shown = Text(text(line))
    shown.truncate(SIDE, overflow="ellipsis", pad=True)
    return shown.plain


def drawing(files: Sequence[Path], protocol: Protocol) -> str | None:
    command = [sys.executable, "-m", "tsukiji.vision.terminal_images", "--as", protocol, *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return None if done.returncode else done.stdout
