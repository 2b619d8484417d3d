"""`python -m devtools.image_sizes`: how large the Python packages of both container images are.

Computed from the wheels: uv resolves what each Dockerfile installs and says how large each wheel is; nothing is
downloaded or built. A layer is about as large as its wheels, for registries compress it as wheels are compressed.
"""Return the packages of an installation, as in pylock.toml (PEP 751)."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "pylock.toml"
        subprocess.run(
            [
                *("uv", "pip", "compile", "--quiet", "--format", "pylock.toml", "--output-file", lock),
                *("--python-version", ".".join(map(str, PYTHON)), "--python-platform", "x86_64-manylinux_2_28"),
                *("--constraint", ROOT / "constraints.txt", *(f"--extra={extra}" for extra in extras)),
                ROOT / "pyproject.toml",
            ],
            check=True,
            stdout=sys.stderr,
        )
        return list(tomllib.loads(lock.read_text("utf-8"))["packages"])


def sizes_of(packages: list[dict[str, Any]]) -> dict[str, int]:
    """Return the bytes of the wheel that would be installed of each package."""
    tags = [*cpython_tags(PYTHON, platforms=PLATFORMS), *compatible_tags(PYTHON, platforms=PLATFORMS)]
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    return {package["name"]: size_of(package, ranks) for package in packages}


def size_of(package: dict[str, Any], ranks: dict[Tag, int]) -> int:
    fitting = []
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or unquote(urlsplit(wheel["url"]).path.rpartition("/")[2])
        try:
            found = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        except InvalidWheelFilename:
            continue
        if found:
            fitting.append((min(found), wheel["size"]))
    if fitting:
        return int(min(fitting)[1])
    return int(package["sdist"]["size"])


def pick(sizes: dict[str, int], names: set[str]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name in names}


def total(sizes: dict[str, int]) -> str:
    return f"{sum(sizes.values()) / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
