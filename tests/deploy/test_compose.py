"""What a user of the compose files relies on, read from the files themselves; `test_stack` runs their commands."""

import os
import re
import subprocess
from importlib.util import find_spec

import pytest
import yaml

from devtools.settings_pages import variables
from tests.deploy import compose
from tests.deploy.compose import ROOT, Image
from tsukiji.kernel.settings import GROUPS, JobSettings

FILES = {"cpu": ("docker-compose.yml",), "gpu": ("docker-compose.yml", "docker-compose.gpu.yml")}
SERVERS = {"postgres", "redis"}
WORKERS = {"worker-train", "worker-infer", "worker-intake", "dispatcher"}
PROGRAMS = WORKERS | {"api", "migrate"}
SETTINGS = {name for kind in GROUPS.values() for name, _ in variables(kind)}


@pytest.fixture(params=FILES)
def services(request):
    """The services as Compose sees them, of a user who has set the password and nothing else."""
    return compose.fill_in(compose.read(*FILES[request.param]), {"POSTGRES_PASSWORD": "chosen"})["services"]


def module_of(command):
    assert command[:2] == ["python", "-m"]
    name = command[2]
    return f"{name}.__main__" if find_spec(name).submodule_search_locations else name


def seconds(duration):
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def test_the_services_are_all_there(services):
    assert services.keys() == SERVERS | PROGRAMS


def test_every_command_and_every_check_of_ours_is_a_module_that_exists(services):
    for name in PROGRAMS:
        assert find_spec(module_of(services[name]["command"])), name
    for name in WORKERS:
        check = services[name]["healthcheck"]["test"]
        assert find_spec(module_of(check[1:]))
        assert check[-1] == services[name]["command"][-1]


def test_every_service_that_stays_has_a_health_check(services):
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}


def test_programs_start_after_the_migrations_and_those_after_the_database(services):
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["migrate"]["restart"] == "no"
    for name in PROGRAMS - {"migrate"}:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services[name]["restart"] == "unless-stopped"


def test_nothing_starts_without_a_password_of_the_users_own():
    with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
        compose.fill_in(compose.read(), {})


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.gpu.yml"])
def test_no_secret_is_written_down(file):
    secret = re.compile(r"(?im)^\s*\w*(?:password|secret|token|api_key)\w*\s*[:=][^\S\n]*(?!\$\{\w+:\?)\S+")
    text = (ROOT / file).read_text("utf-8")
    assert not secret.search(text)
    assert not re.search(r"://[^\s@/]*:[^\s@/]+@", text)


def test_only_the_front_is_published_and_only_to_this_machine(services):
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "api": ["127.0.0.1:8000:8000"]
    }
    assert services["api"]["environment"]["TSUKIJI_API_PORT"] == "8000"


def test_database_and_broker_are_reached_from_inside_only(services):
    assert compose.read()["networks"]["inside"] == {"internal": True}
    for name in SERVERS:
        assert services[name]["networks"] == ["inside"]


def test_the_broker_forgets_nothing(services):
    command = " ".join(services["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in command
    assert "redis:/data" in services["redis"]["volumes"]


def test_blobs_are_shared_and_outlive_their_containers(services):
    volumes = compose.read()["volumes"]
    for name in PROGRAMS - {"migrate"}:
        assert {"data:/data", "cache:/cache"} <= set(services[name]["volumes"])
        assert services[name]["environment"]["TSUKIJI_STORAGE_URL"].startswith("file:///data/")
    named = [volume for service in services.values() for volume in service["volumes"] if not volume.startswith(".")]
    assert {volume.split(":")[0] for volume in named} == volumes.keys()


def test_stopping_takes_no_work_by_force(services):
    for name in PROGRAMS:
        assert seconds(services[name]["stop_grace_period"]) > 2 * JobSettings().stop_seconds


def test_containers_may_do_little(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
    for name in PROGRAMS:
        assert Image(services[name]["build"]["dockerfile"]).every("USER") == ["10001:10001"], name
    for name in SERVERS:
        assert services[name]["user"] == name


def test_trainings_have_room_to_share_decoded_pictures(services):
    assert services["worker-train"]["shm_size"] == "2g"


READS = {
    "migrate": {"database", "log"},
    "api": {
        "database",
        "log",
        "broker",
        "storage",
        "jobs",
        "metrics",
        "limits",
        "retention",
        "sources",
        "outputs",
        "webhooks",
        "api",
        "oidc",
    },
    "worker-train": {"database", "log", "broker", "storage", "jobs", "metrics", "limits", "training", "weights"},
    "worker-infer": {"database", "log", "broker", "storage", "jobs", "metrics", "limits", "outputs", "inference"},
    "worker-intake": {
        *("database", "log", "broker", "storage", "jobs", "metrics", "limits"),
        *("sources", "outputs", "training", "weights", "analysis"),
    },
    "dispatcher": {"database", "log", "broker", "storage", "jobs", "metrics", "retention", "outputs", "webhooks"},
}
SET_BY_IMAGES = {"TSUKIJI_DATA_DIR", "TSUKIJI_STORAGE_CACHE_DIR", "TSUKIJI_WEIGHTS_DIR"}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_gets_its_own_settings_and_no_others(name):
    """All of them: a missing one could be set in .env without any effect."""
    service = compose.read()["services"][name]
    assert "env_file" not in service
    wanted = {variable for group in READS[name] for variable, _ in variables(GROUPS[group])} - SET_BY_IMAGES
    assert {variable for variable in service["environment"] if variable.startswith("TSUKIJI_")} == wanted


def test_every_setting_reaches_a_program():
    assert set().union(*READS.values()) == GROUPS.keys() - {"data"}


def test_secrets_go_to_those_who_use_them(services):
    for name, service in services.items():
        told = service.get("environment", {})
        assert ("POSTGRES_PASSWORD" in told) == (name == "postgres"), name
        assert ("PGPASSWORD" in told) == (name in PROGRAMS), name
        assert ("AWS_SECRET_ACCESS_KEY" in told) == (name in PROGRAMS - {"migrate"}), name


def test_memory_has_bounds(services):
    for name, service in services.items():
        assert re.fullmatch(r"[1-9]\d*[mg]", service["mem_limit"]), name


def test_images_of_others_can_be_pinned():
    text = yaml.safe_dump(compose.read(), width=10**6)
    assert set(re.findall(r"\$\{(\w+_IMAGE):-", text)) == {"POSTGRES_IMAGE", "REDIS_IMAGE", "PYTHON_IMAGE"}
    pinned = compose.fill_in(compose.read(), {"POSTGRES_PASSWORD": "x", "REDIS_IMAGE": "redis:7@sha256:ab"})
    assert pinned["services"]["redis"]["image"] == "redis:7@sha256:ab"


DOCKER = """#!/bin/sh
test "$*" = "buildx imagetools inspect $4 --format {{.Manifest.Digest}}" || exit 9
case $4 in
    redis:7) echo '%s' ;;
    *) echo sha256:%s ;;
esac
"""


def pin(folder, redis):
    (folder / "docker").write_text(DOCKER % (redis, "a" * 64))
    (folder / "docker").chmod(0o755)
    command = [ROOT / "deploy" / "pin-images", folder / ".env"]
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(command, env=path, capture_output=True, text=True, check=False)


def test_pinning_writes_digests_and_leaves_the_rest(tmp_path):
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=chosen\nREDIS_IMAGE=redis:7@sha256:old\n")
    for _ in range(2):
        done = pin(tmp_path, f"sha256:{'b' * 64}")
        assert done.returncode == 0, done.stderr
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines == [
        "POSTGRES_PASSWORD=chosen",
        f"POSTGRES_IMAGE=postgres:17@sha256:{'a' * 64}",
        f"REDIS_IMAGE=redis:7@sha256:{'b' * 64}",
        f"PYTHON_IMAGE=python:3.12-slim@sha256:{'a' * 64}",
        f"PROMETHEUS_IMAGE=prom/prometheus:v3.5.0@sha256:{'a' * 64}",
        f"GRAFANA_IMAGE=grafana/grafana:12.1.0@sha256:{'a' * 64}",
    ]
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_what_is_no_digest_is_not_written(tmp_path):
    (tmp_path / ".env").write_text("REDIS_IMAGE=redis:7\n")
    done = pin(tmp_path, "<no value>")
    assert done.returncode != 0
    assert "redis:7 has no digest" in done.stderr
    assert "<no value>" not in (tmp_path / ".env").read_text()


def test_every_variable_is_one_that_somebody_reads(services):
    for service in services.values():
        assert {name for name in service.get("environment", {}) if name.startswith("TSUKIJI_")} <= SETTINGS
    for name in ("api", "worker"):
        ours = {key for key in Image(f"deploy/{name}.Dockerfile").environment if key.startswith("TSUKIJI_")}
        assert ours <= SETTINGS


def test_every_variable_that_is_filled_in_is_in_the_example():
    offered = set(re.findall(r"(?m)^#?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8")))
    assert compose.names_in([compose.read(name) for name in FILES["gpu"]]) <= offered


def test_the_overlay_gives_a_gpu_to_both_workers_that_compute():
    services = compose.fill_in(compose.read("docker-compose.gpu.yml"), {})["services"]
    for name, setting in (("worker-train", "TSUKIJI_TRAINING_DEVICE"), ("worker-infer", "TSUKIJI_INFERENCE_DEVICE")):
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
        assert services[name]["environment"] == {setting: "cuda", "TSUKIJI_JOBS_SHARED_DEVICE": "gpu-0"}
    assert {services[name]["build"]["args"]["TORCH"] for name in WORKERS} == {"cuda"}


def test_all_overlays_fit_together():
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    files = re.search(r"COMPOSE_FILE=(\S+)", text)[1].split(":")
    assert set(files) == {path.name for path in ROOT.glob("docker-compose*.yml")}
    services = compose.fill_in(compose.read(*files), {"POSTGRES_PASSWORD": "chosen"})["services"]
    assert services.keys() == SERVERS | PROGRAMS | {"prometheus", "grafana"}
    assert services["api"]["environment"]["TSUKIJI_METRICS_PUBLIC"] == "true"
    shared = {services[name]["environment"]["TSUKIJI_JOBS_SHARED_DEVICE"] for name in ("worker-train", "worker-infer")}
    assert len(shared) == 1, "they take turns"
    apart = compose.fill_in(compose.read(*files), {"POSTGRES_PASSWORD": "chosen", "INFER_GPU": "1"})["services"]
    assert apart["worker-infer"]["environment"]["TSUKIJI_JOBS_SHARED_DEVICE"] == "gpu-1"


def test_the_two_kinds_of_images_are_told_apart_by_name():
    def images(*names):
        found = compose.read(*names)["services"]
        return {found[name]["image"]: found[name]["build"]["args"]["TORCH"] for name in WORKERS}

    assert images(*FILES["cpu"]) == {"tsukiji-worker:cpu": "cpu"}
    assert images(*FILES["gpu"]) == {"tsukiji-worker:cuda": "cuda"}


def test_filling_in_follows_compose():
    text = {"a": ["${X}", "${X:-d}", "${EMPTY:-d}", "$${X}", '${NONE:-["a","b"]}'], "n": 1}
    filled = compose.fill_in(text, {"X": "x", "EMPTY": ""})
    assert filled == {"a": ["x", "x", "d", "${X}", '["a","b"]'], "n": 1}
    assert yaml.safe_load(filled["a"][4]) == ["a", "b"]
