"""What `kubectl apply -k` sends: valid by Kubernetes' own schemas, and the same programs as the compose file's."""

import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from api.routes.service import health
from devtools.settings_pages import variables
from tests.deploy import compose
from tests.deploy.compose import ROOT, Image
from tests.deploy.test_observability import named
from tsukiji.jobs import QUEUE_OF, Queue
from tsukiji.kernel.settings import GROUPS, JobSettings

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.32", "1.37")
DEPLOYMENTS = {"api", "worker-train", "worker-infer", "worker-intake", "dispatcher"}
SETTINGS = {name for kind in GROUPS.values() for name, _ in variables(kind)}
SERVICES = compose.fill_in(compose.read(), {"POSTGRES_PASSWORD": "chosen"})["services"]
UNITS = {"m": "Mi", "g": "Gi"}


def written():
    """Return the documents as they are in the files, without those that kustomize itself reads."""
    ours = [path for path in FOLDER.rglob("*.yaml") if path.name not in {"kustomization.yaml", "contained.yaml"}]
    return [(path, one) for path in ours for one in yaml.safe_load_all(path.read_text("utf-8"))]


def is_scaling(document):
    return document["kind"] == "ScaledObject"


@pytest.fixture(scope="module", params=["base", "gpu"])
def rendered(request):
    """What is applied, by kind and name."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl, which has kustomize, is not installed")
    command = ["kubectl", "kustomize", FOLDER / request.param]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def pods(documents):
    """Return the name and the pod of each program."""
    return {
        name: one["spec"]["template"]["spec"]
        for (kind, name), one in documents.items()
        if kind in {"Deployment", "Job"}
    }


def programs(documents):
    return {name: pod["containers"][0] for name, pod in pods(documents).items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_are_valid(version):
    for path, document in written():
        if not is_scaling(document):
            kubernetes_validate.validate(document, version, strict=True)
        assert document["metadata"]["name"], path


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_applied_is_valid(rendered, version):
    for document in rendered.values():
        if not is_scaling(document):
            kubernetes_validate.validate(document, version, strict=True)


def test_the_programs_are_those_of_compose(rendered):
    assert programs(rendered).keys() == SERVICES.keys() - {"postgres", "redis"} == DEPLOYMENTS | {"migrate"}
    for name, program in programs(rendered).items():
        assert program["command"] == SERVICES[name]["command"], name
        assert program["image"].split(":")[0] == SERVICES[name]["image"].split(":")[0], name


def test_every_variable_is_a_setting(rendered):
    (settings,) = (one["data"] for (kind, _), one in rendered.items() if kind == "ConfigMap")
    assert settings.keys() <= SETTINGS
    assert {"TSUKIJI_DATABASE_URL", "TSUKIJI_BROKER_URL", "TSUKIJI_STORAGE_URL"} <= settings.keys()
    for name, program in programs(rendered).items():
        ours = {variable["name"]: variable["value"] for variable in program.get("env", [])}
        assert ours.keys() <= {key for key in SERVICES[name]["environment"] if key.startswith("TSUKIJI_")}, name
        assert program["envFrom"][1] == {"secretRef": {"name": "tsukiji"}}


def test_no_secret_is_in_a_file():
    text = "".join(path.read_text("utf-8") for path in FOLDER.rglob("*") if path.is_file())
    assert not re.search(r"(?im)^\s*[\w-]*(?:password|secret_access_key|token)[\w-]*\s*[:=]\s*(?!false)\S", text)
    assert not re.search(r"://[^\s@/]*:[^\s@/]+@", text)


def test_programs_may_do_little(rendered):
    for name, pod in pods(rendered).items():
        user = pod["securityContext"]
        assert user["runAsNonRoot"] is True, name
        assert f"{user['runAsUser']}:{user['runAsGroup']}" in Image("deploy/api.Dockerfile").every("USER"), name
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_programs_can_write_where_their_images_say(rendered):
    for name, pod in pods(rendered).items():
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        kinds = {volume["name"] for volume in pod["volumes"]}
        image = Image(f"deploy/{'api' if name in {'api', 'migrate'} else 'worker'}.Dockerfile").environment
        assert {"/tmp", image["TMPDIR"], image["TSUKIJI_DATA_DIR"]} <= mounts.keys(), name  # noqa: S108 - in the pod
        assert set(mounts.values()) == kinds, name
    assert "/dev/shm" in {mount["mountPath"] for mount in programs(rendered)["worker-train"]["volumeMounts"]}  # noqa: S108 - in the pod


def test_memory_has_the_bounds_of_compose(rendered):
    for name, program in programs(rendered).items():
        number, unit = re.fullmatch(r"(\d+)(\w)", SERVICES[name]["mem_limit"]).groups()
        assert program["resources"]["limits"]["memory"] == f"{number}{UNITS[unit]}", name
        assert program["resources"]["requests"].keys() == {"cpu", "memory"}, name


def test_stopping_takes_no_work_by_force(rendered):
    for name in DEPLOYMENTS:
        assert pods(rendered)[name]["terminationGracePeriodSeconds"] > 2 * JobSettings().stop_seconds


def test_probes_ask_what_answers(rendered):
    routes = {route.path for route in health.routes}
    for name, program in programs(rendered).items():
        probes = {kind: probe for kind, probe in program.items() if kind.endswith("Probe")}
        for probe in probes.values():
            assert probe.get("httpGet", {"path": "/livez"})["path"] in routes
        if name == "api":
            assert probes.keys() == {"startupProbe", "livenessProbe", "readinessProbe"}
        elif name != "migrate":
            check = SERVICES[name]["healthcheck"]["test"][1:]
            assert {kind: probe["exec"]["command"] for kind, probe in probes.items()} == {"readinessProbe": check}


def test_services_and_budgets_select_their_pods(rendered):
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for (kind, name), one in rendered.items()
        if kind == "Deployment"
    }
    for (kind, name), one in rendered.items():
        if kind == "Deployment":
            assert one["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
        if kind == "PodDisruptionBudget":
            assert one["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
            assert one["spec"]["maxUnavailable"] == 1  # a node can always be drained
        if kind == "Service":
            assert one["spec"]["selector"].items() <= labels["api"].items()
    assert {name for kind, name in rendered if kind == "PodDisruptionBudget"} == DEPLOYMENTS


def test_workers_are_scaled_by_metrics_that_exist(families):
    scaled = [document for _, document in written() if is_scaling(document)]
    assert {one["spec"]["scaleTargetRef"]["name"] for one in scaled} == {f"worker-{queue}" for queue in Queue}
    for one in scaled:
        (trigger,) = one["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        queue = one["metadata"]["name"].removeprefix("worker-")
        assert named(query) <= families.keys()
        assert f'tsukiji_queue_depth{{queue="{queue}"}}' in query
        kinds = re.search(r'kind=~"([\w|]+)"', query)
        assert {QUEUE_OF[kind] for kind in (kinds[1].split("|") if kinds else [])} <= {queue}
        assert 1 <= one["spec"]["minReplicaCount"] < one["spec"]["maxReplicaCount"]
        assert float(trigger["metadata"]["threshold"]) > 0


def test_the_overlay_gives_a_gpu_to_both_workers_that_compute(rendered):
    scaled = {name for kind, name in rendered if kind == "ScaledObject"}
    given = {name for name, one in programs(rendered).items() if "nvidia.com/gpu" in one["resources"]["limits"]}
    assert (given, bool(scaled)) in [(set(), False), ({"worker-train", "worker-infer"}, True)]
    tags = {one["image"] for one in programs(rendered).values() if one["image"].startswith("tsukiji-worker")}
    assert tags == {f"tsukiji-worker:{'cuda' if given else 'cpu'}"}
    for name in given:
        assert "cuda" in {variable["value"] for variable in programs(rendered)[name]["env"]}
