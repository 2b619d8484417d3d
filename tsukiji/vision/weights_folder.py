"""`python -m tsukiji.vision.weights_folder`: what `tsukiji weights` does, where PyTorch and the workers' settings are.

Prints a JSON object (`tsukiji.types.BackboneWeights`) on each line of standard output. Torch is imported only by what
needs it: a listing takes no seconds.
"""

import argparse
import sys
from pathlib import Path

from tsukiji import settings
from tsukiji.errors import TsukijiError
from tsukiji.types import BackboneWeights
from tsukiji.vision.backbones import BACKBONES, Backbone, backbone_of, find_weights


def main() -> int:
    """Return the exit status; what went wrong stands on standard error."""
    parser = argparse.ArgumentParser(prog="tsukiji weights")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ls")
    commands.add_parser("fetch").add_argument("backbone")
    adding = commands.add_parser("add")
    adding.add_argument("file", type=Path)
    adding.add_argument("--backbone")
    arguments = parser.parse_args()
    try:
        folder = settings.load().weights_dir
        for name in change(arguments, folder):
            sys.stdout.write(look(backbone_of(name), folder).model_dump_json() + "\n")
    except (TsukijiError, OSError) as error:
        lines = [error.detail, error.hint] if isinstance(error, TsukijiError) else [str(error)]
        sys.stderr.write("".join(f"{line}\n" for line in lines if line))
        return 1
    return 0


def change(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Do what is asked for, and return the names of the backbones to tell about."""
    if arguments.command == "ls":
        return list(BACKBONES)
    if arguments.backbone is not None:
        backbone_of(arguments.backbone)  # before the seconds that torch takes
    from tsukiji.vision import weights  # noqa: PLC0415

    if arguments.command == "fetch":
        weights.fetch(arguments.backbone, folder)
        return [arguments.backbone]
    return [weights.add(arguments.file, folder, arguments.backbone)[0]]


def look(backbone: Backbone, folder: Path) -> BackboneWeights:
    found = find_weights(backbone, folder)
    return BackboneWeights(
        backbone=backbone.name,
        library=backbone.library,
        place=found and found.place,
        path=found and str(found.path),
        bytes=found and found.path.stat().st_size,
    )


if __name__ == "__main__":
    sys.exit(main())
