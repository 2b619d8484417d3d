"""The intake of pictures under atheris, a coverage-guided fuzzer (extra `fuzz`).

    python -m devtools.fuzz_images --minutes 30

Seeds are small pictures of each format, made here. A fault is any exception but `ImageError`, a crash, more than
`MEMORY_MB`, or more than `SECONDS` for one file; the file is kept in `--found`, and the exit status is 1.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageDraw

SECONDS = 5
MEMORY_MB = 1024
"""Limit of the whole process; its code alone takes 200."""
MOST_BYTES = 32_768
WORDS = ("IHDR", "IDAT", "acTL", "tRNS", "eXIf", "RIFF", "VP8X", "ALPH", "ftypavif", "GIF89a", "II*\\x00", "\\xff\\xda")
KINDS = [
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True, "optimize": True}),
    ("JPEG", "L", {"quality": 30}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "LA", {}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("PNG", "P", {"transparency": 0}),
    ("PNG", "RGB", {"save_all": True, "frames": True}),
    ("GIF", "P", {}),
    ("GIF", "P", {"save_all": True, "frames": True}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("BMP", "1", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "tiff_deflate"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "F", {}),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "L", {"save_all": True, "frames": True}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {"save_all": True, "frames": True}),
    ("AVIF", "RGB", {}),
    ("MPO", "RGB", {"save_all": True, "frames": True}),
]
"""Format, mode and options of each seed."""


def seeds() -> dict[str, bytes]:
    """Return small files of each kind that is taken, by name."""
    made = {}
    for number, (form, mode, options) in enumerate(KINDS):
        picture = Image.linear_gradient("L").resize((40, 24)).convert("RGB")
        ImageDraw.Draw(picture).ellipse((4, 4, 20, 20), fill=(200, 40, 90))
        shown = picture.convert(mode if mode != "I;16" else "L")
        if mode == "I;16":
            shown = Image.frombytes(mode, (20, 24), shown.tobytes())
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8  # orientation
        wanted = {name: value for name, value in options.items() if name != "frames"}
        if options.get("frames"):
            wanted["append_images"] = [shown.rotate(90), shown.rotate(180)]
        if form in {"JPEG", "PNG", "WEBP", "TIFF"}:
            wanted["exif"] = exif
        buffer = io.BytesIO()
        shown.save(buffer, form, **wanted)
        made[f"{number:02}-{form.lower()}-{mode.replace(';', '')}"] = buffer.getvalue()
    return made


def fuzz(arguments: list[str]) -> None:
    """Run atheris in this process, which it ends."""
    import atheris  # noqa: PLC0415 - an extra, and it must be there before what it watches

    with atheris.instrument_imports(include=["tsukiji.vision", "PIL"]):
        from tsukiji.errors import ImageError  # noqa: PLC0415 - instrumented while it is imported
        from tsukiji.vision.decoding.decode import DecodeLimits, probe  # noqa: PLC0415 - also instrumented

    limits = DecodeLimits(max_bytes=MOST_BYTES, max_pixels=4_000_000, max_side=8192, decoding_mb=256)

    def look(data: bytes) -> None:
        with suppress(ImageError):
            probe(data, limits)

    atheris.Setup([sys.argv[0], *arguments], look)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder of the files that failed")
    options = parser.parse_args()
    facts = run(60 * options.minutes, options.seed, options.found)
    print(json.dumps(facts))
    sys.exit(bool(facts["found"]))


def run(seconds: float, seed: int, found: Path) -> dict[str, object]:
    """Fuzz in a process of its own; return the number of files that were tried, and those that failed."""
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tsukiji-fuzz-") as place:
        corpus, words = Path(place, "corpus"), Path(place, "words")
        corpus.mkdir()
        for name, data in seeds().items():
            (corpus / name).write_bytes(data)
        words.write_text("".join(f'"{word}"\n' for word in WORDS), "utf-8")
        command = [
            # By way of a small process: a program inherits the peak memory of who starts it, which may be large.
            *("sh", "-c", '"$@"; exit $?', "sh"),
            *(
                sys.executable,
                "-c",
                "import sys; from devtools.fuzz_images import fuzz; fuzz(sys.argv[1:])",
                str(corpus),
            ),
            *(f"-max_total_time={max(1, round(seconds))}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEMORY_MB}"),
            *(f"-max_len={MOST_BYTES}", f"-dict={words}", f"-seed={seed}", f"-artifact_prefix={found}/"),
            *("-print_final_stats=1", "-verbosity=1"),
        ]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    tried = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    failed = sorted(path.name for path in found.iterdir() if path.name.partition("-")[0] in {"crash", "timeout", "oom"})
    if tried is None or (done.returncode and not failed):
        raise RuntimeError(f"the fuzzer ended with {done.returncode}: {done.stderr[-3000:]}")
    for line in done.stderr.splitlines()[-60:] if failed else []:
        print(line, file=sys.stderr)
    peak = re.search(r"peak_rss_mb:\s*(\d+)", done.stderr)
    return {
        "seconds": seconds,
        "seed": seed,
        "tried": int(tried[1]),
        "peak_memory_mb": int(peak[1]) if peak else None,
        "found": failed,
    }


if __name__ == "__main__":
    main()
