"""The chart lints and renders with a real Helm v4, into resources that a hardened cluster takes."""

import tomllib
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from heldout_server.config import load_config, load_window_config

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
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(scope="module")
def pod(resources):
    return resources["StatefulSet", "lab"]["spec"]["template"]["spec"]


def test_helm_is_version_4():
    assert helm_python.helm_sdk_version().startswith("v4.")


def test_the_chart_lints_strictly():
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


def test_every_resource_fits_the_schemas_of_the_cluster(resources):
    assert set(resources) == {
        ("ConfigMap", "lab-config"),
        ("ConfigMap", "lab-window-config"),
        ("StatefulSet", "lab"),
        ("Service", "lab"),
        ("NetworkPolicy", "lab"),
    }
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
    policy = resources["NetworkPolicy", "lab"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["vault", "window"]
    assert all(rule["from"] for rule in policy["ingress"])


def test_checkpoints_are_mounted_read_only_and_keys_stay_in_memory(pod):
    mounts = {mount["name"]: mount for mount in container(pod, "vault")["volumeMounts"]}
    assert mounts["checkpoints"]["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for half in ("vault", "window"):
        assert volumes[f"{half}-run"]["emptyDir"]["medium"] == "Memory"
        assert not {f"{half}-keys", "pki", "policy"} & volumes_of(container(pod, half))


def container(pod, name):
    return next(one for one in pod["initContainers"] + pod["containers"] if one["name"] == name)


def volumes_of(one):
    return {mount["name"] for mount in one["volumeMounts"]}


def test_the_halves_share_the_volume_of_the_window_and_no_other(pod):
    vault, window = (volumes_of(container(pod, half)) for half in ("vault", "window"))
    assert vault & window == {"window"}
    assert "vault" in vault
    assert not pod.get("shareProcessNamespace", False)
    assert [container(pod, half)["ports"][0]["name"] for half in ("vault", "window")] == ["vault", "window"]
    assert "--half vault" in " ".join(container(pod, "vault")["command"])
    assert "--half window" in container(pod, "window")["args"][0]


def test_no_key_of_the_vault_reaches_the_container_of_the_window(pod):
    vault, window = (volumes_of(container(pod, f"{half}-secrets")) for half in ("vault", "window"))
    assert {"vault-keys", "vault-run"} <= vault
    assert {"window-keys", "window-run"} <= window
    assert not {"vault-keys", "vault-run"} & (window | volumes_of(container(pod, "window")))
    secrets = {one["name"]: one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
    assert secrets["vault-keys"] != secrets["window-keys"]


@pytest.mark.parametrize(
    ("document", "load", "port"), [("config.toml", load_config, 7443), ("window.toml", load_window_config, 7445)]
)
def test_the_config_of_each_half_is_one_that_it_reads(resources, tmp_path, document, load, port):
    maps = {"config.toml": "lab-config", "window.toml": "lab-window-config"}
    text = resources["ConfigMap", maps[document]]["data"][document]
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
    path = tmp_path / document
    path.write_text(text)
    assert load(path).listen.address == f"0.0.0.0:{port}"


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
