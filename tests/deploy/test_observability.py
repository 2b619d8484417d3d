"""Dashboard, alerts and their Compose file: they ask for metrics that exist, and for all of them."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.deploy import compose
from tests.deploy.compose import ROOT

FOLDER = ROOT / "deploy" / "observability"
DASHBOARD = json.loads((FOLDER / "dashboards" / "tsukiji.json").read_text("utf-8"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def expressions():
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return queries + [rule["expr"] for rule in ALERTS]


def named(expression):
    return set(re.findall(r"\btsukiji_\w+", expression))


def test_every_metric_that_is_asked_for_exists(families):
    samples = {name + suffix for name, (kind, _) in families.items() for suffix in SUFFIXES[kind]}
    for expression in expressions():
        assert named(expression) <= samples, expression


def test_labels_that_are_asked_for_exist(families):
    for expression in expressions():
        bases = {name for name in families if any(found.startswith(name) for found in named(expression))}
        known = {label for name in bases for label in families[name][1]} | {"le", "job"}
        asked = set(re.findall(r"by \(([\w, ]+)\)", expression))
        asked = {label.strip() for labels in asked for label in labels.split(",")}
        asked |= set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|=)", expression))
        assert asked <= known, expression


def test_the_dashboard_shows_every_metric(families):
    shown = {found for panel in DASHBOARD["panels"] for target in panel["targets"] for found in named(target["expr"])}
    assert [name for name in families if not any(found.startswith(name) for found in shown)] == []


def test_panels_do_not_lie_upon_each_other():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_every_alert_says_what_is_wrong_and_what_to_do():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) > 8
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert {"summary", "action"} == rule["annotations"].keys()
        for path in re.findall(r"docs/[\w/.-]+\.md", rule["annotations"]["action"]):
            assert (ROOT / path).exists(), path


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool, of Prometheus, is not installed")
def test_prometheus_accepts_its_files():
    subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=FOLDER, check=True)


def test_containers_may_do_little_and_are_published_to_this_machine_only():
    files = ("docker-compose.yml", "docker-compose.observability.yml")
    services = compose.fill_in(compose.read(*files), {"POSTGRES_PASSWORD": "chosen"})["services"]
    for name in ("prometheus", "grafana"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert "healthcheck" in service
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), volume
    api = services["api"]["environment"]
    (scraped,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (target,) = scraped["static_configs"][0]["targets"]
    assert target == f"api:{api['TSUKIJI_API_PORT']}"
    assert "api" in json.loads(api["TSUKIJI_API_ALLOWED_HOSTS"])
    assert api["TSUKIJI_METRICS_PUBLIC"] == "true"
