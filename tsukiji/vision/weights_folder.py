"""`python -m tsukiji.vision.weights_folder`: the work of `tsukiji weights`, run with PyTorch and the workers' settings.

Prints a JSON object (`tsukiji.types.BackboneWeights`) per line. Torch is imported only when needed, so that a listing
is fast.
"""

import argparse
import sys
from pathlib import Path

from tsukiji.errors import TsukijiError
from tsukiji.kernel import settings
from tsukiji.types import BackboneWeights
from tsukiji.vision.backbones import BACKBONES, Backbone, Pretrained, backbone_of, find_weights


def main() -> int:
    """Return the exit status; errors are on standard error."""
    parser = argparse.ArgumentParser(prog="tsukiji weights")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ls")
    fetching = commands.add_parser("fetch")
    fetching.add_argument("backbone")
    adding = commands.add_parser("add")
    adding.add_argument("file", type=Path)
    adding.add_argument("--backbone")
    for command in (fetching, adding):
        command.add_argument("--weights")
    arguments = parser.parse_args()
    try:
        configured = settings.load()
        folder = configured.weights_dir
        if arguments.command != "ls" and configured.weights.dir is None:  # create it as `tsukiji up` would
            configured.data.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for backbone, weights in change(arguments, folder):
            sys.stdout.write(look(backbone, weights, folder).model_dump_json() + "\n")
    except (TsukijiError, OSError) as error:
        lines = [error.detail, error.hint] if isinstance(error, TsukijiError) else [str(error)]
        sys.stderr.write("".join(f"{line}\n" for line in lines if line))
        return 1
    return 0


def change(arguments: argparse.Namespace, folder: Path) -> list[tuple[Backbone, Pretrained]]:
    """Run the command, and return the affected weights."""
    if arguments.command == "ls":
        return [(backbone, weights) for backbone in BACKBONES.values() for weights in backbone.weights]
    if arguments.backbone is not None:
        backbone_of(arguments.backbone).pretrained(arguments.weights)  # fail before the seconds that torch takes
    from tsukiji.vision import weights  # noqa: PLC0415 - torch takes seconds, and `ls` does not need it

    name = arguments.backbone
    if arguments.command == "fetch":
        weights.fetch(name, folder, arguments.weights)
    else:
        name, _ = weights.add(arguments.file, folder, name, arguments.weights)
    backbone = backbone_of(name)
    return [(backbone, backbone.pretrained(arguments.weights))]


def look(backbone: Backbone, weights: Pretrained, folder: Path) -> BackboneWeights:
    found = find_weights(backbone, folder, weights)
    return BackboneWeights(
        backbone=backbone.name,
        weights=weights.name,
        library=weights.library,
        place=found and found.place,
        path=found and str(found.path),
        bytes=found and found.path.stat().st_size,
    )


if __name__ == "__main__":
    sys.exit(main())
