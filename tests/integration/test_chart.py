"""The chart lints and renders with a real Helm v4, into resources that a hardened cluster takes."""

import tomllib
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from heldout_server.config import load_config

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "heldout"
KUBERNETES = "1.33"


@pytest.fixture(scope="module")
def resources():
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render({}, name="lab", namespace="heldout")
    documents = [
        document
        for name, text in rendered.items()
        if not name.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def pod(resources):
    return resources["StatefulSet"]["spec"]["template"]["spec"]


def test_helm_is_version_4():
    assert helm_python.helm_sdk_version().startswith("v4.")


def test_the_chart_lints_strictly():
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


def test_every_resource_fits_the_schemas_of_the_cluster(resources):
    assert set(resources) == {"ConfigMap", "StatefulSet", "Service", "NetworkPolicy"}
    for resource in resources.values():
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_containers_have_no_root_no_capabilities_and_a_read_only_root(pod):
    for container in pod["initContainers"] + pod["containers"]:
        context = container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] >= 1000
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


def test_nothing_goes_out_and_only_named_clients_come_in(resources):
    policy = resources["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["grpc"]
    assert all(rule["from"] for rule in policy["ingress"])


def test_checkpoints_are_mounted_read_only_and_keys_stay_in_memory(pod):
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["checkpoints"]["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["run"]["emptyDir"]["medium"] == "Memory"
    assert "keys" not in mounts


def test_the_config_is_one_that_the_appliance_reads(resources, tmp_path):
    text = resources["ConfigMap"]["data"]["config.toml"]
    tomllib.loads(text)
    for mounted, local in (("/run/heldout", "run"), ("/var/lib/heldout", "data")):
        text = text.replace(mounted, str(tmp_path / local))
    for folder in ("data/vault", "data/window", "data/staging", "data/checkpoints", "run/sockets"):
        (tmp_path / folder).mkdir(parents=True)
    for kind, names in {
        "keys": ["root.key", "ring.json"],
        "pki": ["ca.pem", "server.pem", "server.key"],
        "policy": ["signer.pem"],
    }.items():
        (tmp_path / "run" / "secrets" / kind).mkdir(parents=True)
        for name in names:
            (tmp_path / "run" / "secrets" / kind / name).touch()
    path = tmp_path / "config.toml"
    path.write_text(text)
    config = load_config(path)
    assert config.listen.address == "0.0.0.0:7443"
    assert config.plan.techniques[0] == "plain"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"image": {"digest": "latest"}}, "digest"),
        ({"user": 0}, "user"),
        ({"networkPolicy": {"clients": []}}, "clients"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_values_are_refused_by_the_schema(values, what):
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmError) as caught:
        chart.render(values, name="lab", namespace="heldout")
    assert what in str(caught.value)
