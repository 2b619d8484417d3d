"""`python -m devtools.settings_pages`: writes docs/reference/settings.md and .env.example from the settings."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from tsukiji.kernel.settings import GROUPS, Group

ROOT = Path(__file__).parents[1]

TABLE_HEAD = """\
# Settings

One environment variable each, read when a program starts. An empty variable counts as unset; a list is written as JSON;
a malformed value ends the program with a message that names the variable. This page is generated from
`tsukiji/kernel/settings.py` by `make docs`.

The programs of the service (`python -m api`, `worker`, `db`; `tsukiji up`) read all of these. In containers put them in
`.env` beside `docker-compose.yml`; `.env.example` lists them ready for use.
"""
TABLE_END = """
## Beside the settings

| Variable | Read by | Meaning |
|---|---|---|
| `TSUKIJI_URL` | client, command line | Address of the service; `http://127.0.0.1:8000` by default. |
| `TSUKIJI_API_KEY` | client, command line | The key to send, `tsk_...`. |
| `TSUKIJI_PROGRESS` | client | `off`: waits and uploads show no line of progress. |
| `TSUKIJI_WORKER_NAME` | worker | What it calls itself in leases and lists; role, host and process by default. |
| `TSUKIJI_TEST_POSTGRES_URL` | tests | A PostgreSQL server where databases may be made and dropped. |
| `TSUKIJI_TEST_REDIS_URL` | tests | A Redis database that may be emptied. |
| `TSUKIJI_TEST_RABBITMQ_URL` | tests | A RabbitMQ virtual host whose queues may be deleted. |
"""
ENV_HEAD = """\
# Settings for docker-compose.yml: copy to .env, and set what is not commented out. `make docs` writes this file.

# The database's password; it is asked for and has no default. Make one: openssl rand -hex 24
POSTGRES_PASSWORD=

# Where this machine publishes the service.
#PUBLISH_HOST=127.0.0.1
#PUBLISH_PORT=8000

# A folder with ImageNet weights (resnet34.safetensors or .pth), where workers cannot download them.
#WEIGHTS_FOLDER=./weights

# Memory limits; 0 is none. Trainings and workers stay below theirs by themselves (docs/how-to/operations.md). Shared
# memory is for the processes that decode pictures for a training, and part of TRAIN_MEMORY.
#POSTGRES_MEMORY=2g
#REDIS_MEMORY=512m
#MIGRATE_MEMORY=1g
#API_MEMORY=3g
#TRAIN_MEMORY=12g
#TRAIN_SHARED_MEMORY=2g
#INFER_MEMORY=6g
#INTAKE_MEMORY=6g
#DISPATCHER_MEMORY=512m

# The images that others make. `make pin-images` writes them here by digest, so that they stay the same bytes.
#POSTGRES_IMAGE=postgres:17
#REDIS_IMAGE=redis:7
#PYTHON_IMAGE=python:3.12-slim

# Address of a mirror with builds of PyTorch, where its own index is out of reach when the images are built.
#TORCH_INDEX=

# docker-compose.gpu.yml: which GPU trains, and which classifies.
#TRAIN_GPU=0
#INFER_GPU=0

# Credentials for TSUKIJI_STORAGE_URL=s3://...
#AWS_ACCESS_KEY_ID=
#AWS_SECRET_ACCESS_KEY=
#AWS_SESSION_TOKEN=
#AWS_DEFAULT_REGION=

# A proxy to the outside, for the store and for pretrained weights.
#HTTPS_PROXY=
#NO_PROXY=

# --- Tsukiji's own settings, with their defaults ---
# docker-compose.yml fills in the addresses of its own database, broker and blobs, unless they are set here. It sets
# TSUKIJI_API_HOST and TSUKIJI_API_PORT itself, and its images set the folders; leave those alone.
"""


def variables(kind: type[Group]) -> Iterator[tuple[str, FieldInfo]]:
    prefix = kind.model_config["env_prefix"]
    for name, field in kind.model_fields.items():
        yield f"{prefix}{name.upper()}", field


def render_table() -> str:
    return "\n".join([TABLE_HEAD, "\n".join(map(render_group, GROUPS.values())), TABLE_END.lstrip("\n")])


def render_group(kind: type[Group]) -> str:
    rows = [f"| `{name}` | {shown(name, field)} | {field.description} |" for name, field in variables(kind)]
    return "\n".join(
        [f"## {kind.model_config['env_prefix']}…", "", "| Variable | Default | Meaning |", "|---|---|---|", *rows, ""]
    )


def render_env() -> str:
    return ENV_HEAD + "".join(f"\n{render_env_group(kind)}" for kind in GROUPS.values())


def render_env_group(kind: type[Group]) -> str:
    return "".join(f"# {field.description}\n#{name}={written(field)}\n" for name, field in variables(kind))


def shown(name: str, field: FieldInfo) -> str:
    """Return the default as the table shows it: bytes also in MiB or GiB."""
    text = written(field)
    if not text:
        return ""
    return f"`{text}`" + (f" ({in_units(field.default)})" if name.endswith("_BYTES") else "")


def in_units(size: int) -> str:
    return f"{size // 2**30} GiB" if size >= 2**30 else f"{size // 2**20} MiB"


def written(field: FieldInfo) -> str:
    """Return the default as it stands in an environment variable."""
    match field.default:
        case None:
            return ""
        case bool() | list() as value:
            return json.dumps(value, separators=(",", ":"))
        case value:
            return str(value)


PAGES = {ROOT / "docs" / "reference" / "settings.md": render_table, ROOT / ".env.example": render_env}

if __name__ == "__main__":
    for path, render in PAGES.items():
        path.write_text(render(), "utf-8")
