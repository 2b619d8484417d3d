"""Settings: one `TSUKIJI_<GROUP>_<NAME>` environment variable each, typed, frozen, read when a program starts.

`docs/reference/settings.md` lists them, checked by a test. Only `load()` reads the environment.
"""

import re
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tsukiji.errors import Invalid
from tsukiji.scopes import Role

UPLOAD_PARTS: Final = 10_000
LOOPBACK: Final = r"(localhost|127\.0\.0\.1|\[::1\])"


def check_hosts(hosts: list[str]) -> list[str]:
    """Raise ValueError unless each is a host, `*.` and a host, or `*`."""
    if wrong := [host for host in hosts if not re.fullmatch(r"\*|(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", host)]:
        raise ValueError(f"{wrong[0]!r} is not a host name; `*.` in front of one matches its subdomains")
    return hosts


class Group(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


class DataSettings(Group, env_prefix="TSUKIJI_DATA_"):
    dir: Path = Field(Path("tsukiji-data"), description="Folder of the embedded database, queue and blobs.")


class DatabaseSettings(Group, env_prefix="TSUKIJI_DATABASE_"):
    url: str | None = Field(None, description="SQLAlchemy URL; SQLite in the data folder by default.")
    pool_size: int = Field(10, ge=1, description="Connection pool size of one process (PostgreSQL).")


class BrokerSettings(Group, env_prefix="TSUKIJI_BROKER_"):
    url: str | None = Field(None, description="`redis://` or `amqp://` URL; files in the data folder by default.")
    poll_seconds: float = Field(0.03, gt=0, description="How often an idle worker polls for messages (embedded).")


class StorageSettings(Group, env_prefix="TSUKIJI_STORAGE_"):
    url: str | None = Field(None, description="`file:///path` or `s3://bucket/prefix`; the data folder by default.")
    endpoint_url: str | None = Field(None, description="S3-compatible server other than AWS.")
    cache_dir: Path | None = Field(None, description="Where workers keep local copies; in the data folder by default.")
    budget_gb: float = Field(
        0, ge=0, description="Webhooks are told when the store holds more than this; nothing is refused. 0: no budget."
    )


def check_places(urls: list[str]) -> list[str]:
    """Raise ValueError unless all are absolute folders or prefixes."""
    if wrong := [url for url in urls if not re.match(r"file:///[^/]|s3://[^/]", url) or ".." in url.split("/")]:
        raise ValueError(f"{wrong[0]!r} is neither file:///folder nor s3://bucket/prefix")
    return urls


class SourceSettings(Group, env_prefix="TSUKIJI_SOURCES_"):
    allowed: list[str] = Field(
        [],
        description="Where jobs may read pictures: S3 prefixes, and folders of the `intake` workers' machines, with "
        'Parquet output also of the `infer` workers\' and the API\'s: `["file:///photos","s3://bucket/prefix"]`.',
    )

    hosts: list[str] = Field(
        [],
        description='Web hosts that pictures may be fetched from: `["images.example.com","*.example.org"]`; `["*"]`: '
        "any public host.",
    )
    url_seconds: float = Field(20, gt=0, description="Timeout for fetching one picture.")
    url_connections: int = Field(8, ge=1, le=64, description="Pictures that a worker fetches at once.")

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: list[str]) -> list[str]:
        return check_hosts(hosts)

    @field_validator("allowed")
    @classmethod
    def _are_places(cls, urls: list[str]) -> list[str]:
        return check_places(urls)


class OutputSettings(Group, env_prefix="TSUKIJI_OUTPUTS_"):
    allowed: list[str] = Field(
        [],
        description="Where batches may write Parquet parts: S3 prefixes, and folders that all workers and the API "
        'share: `["s3://bucket/results"]`.',
    )

    @field_validator("allowed")
    @classmethod
    def _are_places(cls, urls: list[str]) -> list[str]:
        return check_places(urls)


class ApiSettings(Group, env_prefix="TSUKIJI_API_"):
    host: str = Field("127.0.0.1", description="Address to listen on; API keys are always required.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 chooses a free one.")
    allowed_hosts: list[str] = Field(
        ["localhost", "127.0.0.1", "[::1]"],
        description='Host names the service answers to; `["*"]`: any.',
    )
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate, with its chain.")
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    proxies: list[str] = Field(
        [],
        description='Addresses and networks of proxies that speak TLS: `["10.0.0.5"]`; `["*"]`: any. Their '
        "`X-Forwarded-For` and `-Proto` are believed, as are those of this machine. Without proxies or TLS, the "
        "service listens on this machine only.",
    )
    cors_origins: list[str] = Field(
        [],
        description="Origins of pages elsewhere that may call the API with a key.",
    )
    requests_per_minute: int = Field(0, ge=0, description="Requests of one key; 0: any number.")
    connections: int = Field(
        2000, ge=1, description="Maximum concurrent connections; fewer if the limit of open files is too low."
    )
    streams: int = Field(200, ge=0, description="Maximum concurrent clients that follow jobs (`/events`).")
    head_seconds: float = Field(10, gt=0, description="Timeout for receiving a request's headers.")
    body_seconds: float = Field(30, gt=0, description="Longest pause while receiving a request's body.")
    max_wait_seconds: float = Field(60, ge=0, description="Maximum N of `Prefer: wait=N`.")
    thumbnails_mb: int = Field(1024, ge=0, description="Disk for kept thumbnails, in the cache folder; 0: none.")
    session_hours: float = Field(12, gt=0, description="How long the page stays signed in.")
    sign_in_link_minutes: float = Field(15, gt=0, description="How long a link that signs in to the page works.")


class OidcSettings(Group, env_prefix="TSUKIJI_OIDC_"):
    issuer: str | None = Field(
        None,
        description="OpenID provider by which people sign in, as it spells itself.",
    )
    name: str = Field("", description="What people call it; by default its host.")
    client_id: str = Field(
        "", validate_default=True, description="As registered there, with the redirect `/sign-in/provider/callback`."
    )
    client_secret: SecretStr = Field(SecretStr(""), description="Empty for a public client.")
    scopes: str = Field("openid email profile", description="What is asked for.")
    role_claim: str = Field(
        "", description="Claim that gives roles, like `groups` or `realm_access.roles`; else invitations alone do."
    )
    roles: dict[str, Role] = Field(
        {}, description='What its values mean: `{"ml-team":"editor"}`; by default they are roles.'
    )
    trust_email: bool = Field(False, description="Whether addresses count as verified where the provider does not say.")
    leeway_seconds: float = Field(60, ge=0, le=600, description="How much the provider's clock may differ.")

    @field_validator("issuer")
    @classmethod
    def _is_address(cls, issuer: str | None) -> str | None:
        if issuer and not re.fullmatch(rf"(https://[^/?#@]+|http://{LOOPBACK}(:\d+)?)(/[^?#]*)?", issuer):
            raise ValueError("must be an https address without query; http is for providers on this machine")
        return issuer and issuer.removesuffix("/.well-known/openid-configuration")

    @field_validator("client_id")
    @classmethod
    def _is_given(cls, client_id: str, known: ValidationInfo) -> str:
        if known.data.get("issuer") and not client_id:
            raise ValueError("needed with an issuer")
        return client_id

    @property
    def shown_name(self) -> str:
        """What people know the provider by."""
        return self.name or urlsplit(self.issuer or "").hostname or ""


class LimitSettings(Group, env_prefix="TSUKIJI_LIMIT_"):
    head_bytes: int = Field(32 * 2**10, ge=1024, description="Bytes of a request's address and headers together.")
    head_fields: int = Field(100, ge=10, description="Headers of one request.")
    image_bytes: int = Field(20 * 2**20, ge=1, description="Bytes of one picture.")
    image_pixels: int = Field(50_000_000, ge=1, description="Width times height of one picture.")
    image_side: int = Field(16_384, ge=1, description="Longest side of a picture, pixels.")
    image_min_side: int = Field(4, ge=1, description="Shortest side of a picture, pixels.")
    decoding_mb: int = Field(
        1024,
        ge=1,
        description="Memory for the pictures that one process decodes at once; others wait, and a picture that needs "
        "more is decoded alone.",
    )
    request_files: int = Field(100, ge=1, description="Files in one multipart request.")
    request_bytes: int = Field(256 * 2**20, ge=1, description="Bytes of one multipart request.")
    json_bytes: int = Field(2**20, ge=1, description="Bytes of one JSON request.")
    predict_images: int = Field(16, ge=1, description="Images in one predict request.")
    predict_bytes: int = Field(64 * 2**20, ge=1, description="Bytes of one predict request.")
    archive_bytes: int = Field(10 * 2**30, ge=1, description="Bytes of one archive.")
    archive_entries: int = Field(200_000, ge=1, description="Files in one archive.")
    archive_expanded_bytes: int = Field(50 * 2**30, ge=1, description="Bytes an archive may unpack to.")
    archive_ratio: float = Field(100, gt=1, description="Maximum compression ratio of an archive entry.")
    upload_part_bytes: int = Field(
        16 * 2**20, ge=1, description="Bytes of one part of an upload; S3 requires at least 5 MiB."
    )
    uploads: int = Field(20, ge=1, description="Unfinished uploads of one key.")
    all_uploads: int = Field(100, ge=1, description="Unfinished uploads of all keys.")
    manifest_bytes: int = Field(200 * 2**20, ge=1, description="Bytes of one manifest.")
    table_bytes: int = Field(64 * 2**20, ge=1, description="Bytes of a table of labels, or of all in one archive.")
    batch_items: int = Field(100_000, ge=1, description="Images in one batch.")
    parquet_items: int = Field(
        2_000_000_000, ge=1, le=2_000_000_000, description="Images in one batch with Parquet output."
    )
    webhooks: int = Field(50, ge=0, description="Webhooks.")
    dataset_classes: int = Field(500, ge=2, description="Labels in one data set.")
    class_min_images: int = Field(5, ge=2, description="Labelled images each class needs before a training.")
    queued_trainings: int = Field(20, ge=1, description="Unfinished trainings of one key.")
    queued_batches: int = Field(100, ge=1, description="Unfinished batches of one key; as many predictions.")
    queued_imports: int = Field(
        50, ge=1, description="Unfinished imports of one key; as many exports, analyses, suggestions."
    )
    all_queued_trainings: int = Field(100, ge=1, description="Unfinished trainings of all keys.")
    all_queued_batches: int = Field(1000, ge=1, description="Unfinished batches of all keys; as many predictions.")
    all_queued_imports: int = Field(
        200,
        ge=1,
        description="Unfinished imports of all keys; as many exports, analyses, suggestions.",
    )

    def part_bytes(self, size: int) -> int:
        """Return the bytes of each part of an upload of `size` bytes: S3 joins at most 10,000."""
        return max(self.upload_part_bytes, -(-size // UPLOAD_PARTS))

    @property
    def largest_part_bytes(self) -> int:
        return self.part_bytes(self.archive_bytes)


class JobSettings(Group, env_prefix="TSUKIJI_JOBS_"):
    lease_seconds: float = Field(
        30, gt=0, description="A worker that does not renew its lease for this long loses its work."
    )
    beat_seconds: float = Field(10, gt=0, description="How often a worker renews its lease.")
    tick_seconds: float = Field(2, gt=0, description="How often the dispatcher looks for lost and waiting work.")
    max_attempts: int = Field(3, ge=1, description="Attempts of one job or chunk before it fails with worker_lost.")
    chunk_seconds: float = Field(8, gt=0, description="Target duration of one chunk of a batch.")
    chunk_images: int = Field(10_000, ge=1, description="Maximum images in one chunk.")
    stop_seconds: float = Field(8, gt=0, description="Time for running work to stop when its worker is stopped.")
    stall_seconds: float = Field(
        600, gt=0, description="Work that makes no progress for this long is taken from its worker."
    )
    training_hours: float = Field(24, gt=0, description="Deadline of a training or import, from its first start.")
    batch_hours: float = Field(24, gt=0, description="Default deadline of a batch, from its submission.")
    worker_memory_mb: int = Field(
        0, ge=0, description="A worker above this memory is replaced; 0: half of the container's or machine's."
    )
    training_memory_mb: int = Field(
        0, ge=0, description="A training above this memory fails; 0: 90% of the container's or machine's."
    )
    blob_grace_hours: float = Field(24, ge=0, description="Unreferenced bytes are deleted after this time.")
    upload_hours: float = Field(24, gt=0, description="An upload is deleted this long after its last part.")
    shared_device: str = Field(
        "",
        max_length=120,
        description="`train` and `infer` workers of the same name take turns on their GPU; `tsukiji up` names it.",
    )


class RetentionSettings(Group, env_prefix="TSUKIJI_RETENTION_"):
    batch_days: float = Field(
        0, ge=0, description="How long results and pictures of a batch are kept after its end; 0: for ever."
    )
    prediction_days: float = Field(7, ge=0, description="The same for predictions and for the images of evaluations.")
    import_days: float = Field(
        90,
        ge=0,
        description="The same for verdicts of an import.",
    )
    audit_days: float = Field(400, ge=0, description="How long entries of the audit log are kept; 0: for ever.")
    webhook_days: float = Field(
        30, gt=0, description="How long deliveries of webhooks are kept after they succeeded or were given up."
    )


class WebhookSettings(Group, env_prefix="TSUKIJI_WEBHOOKS_"):
    hosts: list[str] = Field(
        ["*"],
        description="Hosts that webhooks may be sent to. One written out may be private, at any port; "
        "`*.example.org` and `*` mean public addresses and the default port.",
    )
    seconds: float = Field(15, gt=0, description="Timeout of one attempt, up to the answer's status.")
    retry_seconds: list[float] = Field(
        [5, 60, 300, 1800, 3600, 7200, 14400, 21600, 36000],
        description="Pauses after failed attempts; after the last the delivery is given up.",
    )
    disable_hours: float = Field(
        72, gt=0, description="A webhook is disabled when a delivery is given up and none succeeded for this long."
    )

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: list[str]) -> list[str]:
        return check_hosts(hosts)


class InferenceSettings(Group, env_prefix="TSUKIJI_INFERENCE_"):
    device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")
    engine: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="What computes embeddings; `auto`: the fastest, measured once. OpenVINO is for CPUs."
    )
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        "auto",
        description="Precision of features; `auto`: what a model was evaluated in, or the fastest with equal results.",
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="Memory layout of pictures."
    )
    fold: bool = Field(True, description="Fuse batch normalisation into the convolutions.")
    compile: bool = Field(False, description="Compile networks: faster, after a minute; needs a C++ compiler.")
    batch_size: int = Field(0, ge=0, description="Images in one forward pass; 0: chosen for the device.")
    streams: int = Field(0, ge=0, description="Concurrent forward passes; 0: one per core, 8 on a GPU.")
    threads: int = Field(0, ge=0, description="CPU threads per forward pass; 0: one, on a GPU PyTorch's default.")
    models_mb: int = Field(
        2048, ge=1, description="Memory for models that a worker keeps loaded; at least one is kept."
    )
    features_mb: int = Field(
        2048, ge=0, description="Disk for the feature cache of batches and trainings; 0: batches use none."
    )
    similar_mb: int = Field(
        1024,
        ge=1,
        description="Memory for the features in which a worker searches similar pictures, 1 kB each; those of one "
        "data set are always kept.",
    )
    lane_host: str = Field(
        "127.0.0.1",
        description="Address of a worker's predict RPC; `auto`: its network address; empty: off.",
    )


class TrainingSettings(Group, env_prefix="TSUKIJI_TRAINING_"):
    device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")
    workers: int = Field(2, ge=0, description="Processes that decode pictures for a training.")
    features_mb: int = Field(2048, ge=0, description="Disk for the feature cache of trainings; 0: none.")
    threads: int = Field(0, ge=0, description="CPU threads of a training; 0: all cores but one, all for embeddings.")


class WeightsSettings(Group, env_prefix="TSUKIJI_WEIGHTS_"):
    dir: Path | None = Field(
        None, description="Folder of backbone weights, searched first; `weights` in the data folder by default."
    )
    download: bool = Field(True, description="Whether workers may download missing ImageNet weights.")


class AnalysisSettings(Group, env_prefix="TSUKIJI_ANALYSIS_"):
    after_import: bool = Field(False, description="Whether each import of new images starts an analysis.")


class MetricsSettings(Group, env_prefix="TSUKIJI_METRICS_"):
    public: bool = Field(False, description="Whether `GET /metrics` needs no API key.")
    port: int = Field(
        0, ge=0, le=65535, description="Port where workers serve metrics, on machines without the API; 0: none."
    )
    host: str = Field("127.0.0.1", description="Address of that port.")


class LogSettings(Group, env_prefix="TSUKIJI_LOG_"):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum log level.")
    format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: console on a terminal, else JSON.")


class Settings(BaseModel):
    """All groups. Use `load()`; tests construct their own with explicit groups."""

    model_config = ConfigDict(frozen=True)

    data: DataSettings = Field(default_factory=DataSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    sources: SourceSettings = Field(default_factory=SourceSettings)
    outputs: OutputSettings = Field(default_factory=OutputSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    weights: WeightsSettings = Field(default_factory=WeightsSettings)
    analysis: AnalysisSettings = Field(default_factory=AnalysisSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL; psycopg 3 is the only PostgreSQL driver."""
        url = self.database.url or f"sqlite:///{self.data.dir.resolve() / 'tsukiji.db'}"
        scheme, _, rest = url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url

    @property
    def broker_url(self) -> str:
        return self.broker.url or f"files://{self.data.dir.resolve() / 'queue'}"

    @property
    def storage_url(self) -> str:
        return self.storage.url or f"file://{self.data.dir.resolve() / 'blobs'}"

    @property
    def cache_dir(self) -> Path:
        return self.storage.cache_dir or self.data.dir.resolve() / "cache"

    @property
    def weights_dir(self) -> Path:
        return (self.weights.dir or self.data.dir / "weights").resolve()


GROUPS: Final[dict[str, type[Group]]] = {
    name: cast("type[Group]", field.annotation) for name, field in Settings.model_fields.items()
}


def load() -> Settings:
    """Read the environment.

    Raises:
        Invalid: a variable is malformed; the message names it.
    """
    return Settings(**{name: _read(kind) for name, kind in GROUPS.items()})


def _read(kind: type[Group]) -> Any:
    prefix = kind.model_config["env_prefix"]
    try:
        return kind()
    except ValidationError as error:
        found = {str(problem["loc"][0]): problem["msg"] for problem in error.errors()}
    except SettingsError as error:  # malformed JSON; only the message says which variable
        found = {name: "must be JSON" for name in kind.model_fields if f'"{name}"' in str(error)}
    problems = "; ".join(f"{prefix}{name.upper()}: {problem}" for name, problem in found.items())
    raise Invalid(problems, hint="See docs/reference/settings.md for the values of each setting.")
