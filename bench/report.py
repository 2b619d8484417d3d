"""Shared by all benchmarks: options, pictures and output."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.machine import machine

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
LIGHT = {"even": 1.0, "odd": 0.5}


def parse(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="class folders; made-up pictures by default")
    parser.add_argument("--weights", type=Path, help="backbone weights (safetensors or a torchvision state dict)")
    parser.add_argument(
        "--quick", action="store_true", help="few pictures, one run: shows that it works, measures little"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def pictures(folders: list[Path], wanted: int, scratch: Path) -> list[Path]:
    """Return at most `wanted` pictures of the class folders, or as many generated photos of 500 x 375 pixels."""
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return found[:: max(1, len(found) // wanted)][:wanted] or make_photos(scratch, wanted)


def make_photos(folder: Path, count: int) -> list[Path]:
    """Write JPEG files that cost about as much to decode as photos: smooth shapes with noise, light and dark ones."""
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        path = folder / ("even" if number % 2 == 0 else "odd") / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
            (500, 375), Image.Resampling.BICUBIC
        )
        grain = random.normal(0, 8, (375, 500, 3))
        light = LIGHT[path.parent.name] * (np.asarray(coarse) + grain)
        Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    return paths


def weights_folder(file: Path | None, folder: Path) -> Path | None:
    """Return a folder that has the file as resnet34's weights, and point the service at it; None without a file."""
    if file is None:
        return None
    folder.mkdir()
    (folder / f"resnet34{file.suffix}").symlink_to(file.resolve())
    os.environ["TSUKIJI_WEIGHTS_DIR"] = str(folder)
    return folder


def show(title: str, figures: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a table for people on standard error and, if asked for, one object for programs on standard output.

    The object also says of what commit and on what machine the figures are.
    """
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else str(value))
    Console(stderr=True).print(table)
    if as_json:
        sys.stdout.write(json.dumps(machine() | dict(figures)) + "\n")
