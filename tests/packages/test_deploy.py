"""What `deploy/` offers: a container, compose, systemd, Kubernetes; each checked by what can check it."""

import ipaddress
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

import keyturn
from e2e.vendors import install
from keyturn.config import declared_settings, load_settings, setting_names
from packages.conftest import ROOT

DEPLOY = ROOT / "deploy"
MOST_EXPOSED = 2.0
"""What `systemd-analyze security` may say, from 0 (closed) to 10; a service that says nothing gets 9.6."""


def manifests():
    """Read what Kubernetes is given."""
    return {
        each["kind"]: each
        for each in yaml.safe_load_all((DEPLOY / "kubernetes" / "keyturn.yaml").read_text())
    }


def pod():
    """The pods of the deployment, as it describes them."""
    return manifests()["Deployment"]["spec"]["template"]["spec"]


def compose():
    """Read what compose is given, anchors resolved."""
    return yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())


def unit():
    """The lines of the unit, as pairs."""
    lines = (DEPLOY / "systemd" / "keyturn.service").read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


def variables():
    """Every environment variable that is a setting."""
    names = setting_names(declared_settings())
    return {"KEYTURN_CONFIG", *("KEYTURN_" + name.replace(".", "__").upper() for name in names)}


def test_every_variable_is_a_setting():
    """No file in `deploy/` sets a variable that Keyturn does not know and would not start with."""
    used = {
        name
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"\bKEYTURN_[A-Z_]+\b", path.read_text())
    }
    assert "KEYTURN_DATABASE_URL_FILE" in used
    assert used <= variables()


def test_the_image_runs_as_nobody_special():
    """The container's process is not root, its dependencies are locked by hash, and stopping it drains."""
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert last.index("USER ") < last.index("ENTRYPOINT ")
    assert "--require-hashes" in text
    assert "STOPSIGNAL SIGTERM" in last
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    assert ignored[1] == "*"


def test_compose_gives_no_more_than_needed():
    """Keyturn's containers cannot write, gain rights or show secrets in their environment."""
    described = compose()
    for name in ("init", "keyturn"):
        service = described["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"KEYTURN_DATABASE_URL", "KEYTURN_MASTER_KEY"} & set(service["environment"]) == set()
        assert set(service["secrets"]) <= set(described["secrets"])
        assert (DEPLOY / "compose" / service["build"]["context"]).resolve() == ROOT
    assert described["services"]["keyturn"]["depends_on"]["init"] == {
        "condition": "service_completed_successfully"
    }
    assert "ports" not in described["services"]["postgres"]


def test_the_pods_are_restricted():
    """The pods satisfy the restricted standard that their namespace enforces, and write to scratch only."""
    here = pod()
    assert here["securityContext"]["runAsNonRoot"] is True
    assert here["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert here["automountServiceAccountToken"] is False
    for container in (*here["initContainers"], *here["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == f"keyturn:{keyturn.__version__}"
    labels = manifests()["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_manifests_agree_with_one_another():
    """Selectors find the pods, ports and volumes exist under the names that are used, and a stop has time."""
    here, all_kinds = pod(), manifests()
    labels = all_kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = all_kinds[kind]["spec"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        assert set(selector.get("matchLabels", selector).items()) <= set(labels.items())
    (container,) = here["containers"]
    ports = {each["name"] for each in container["ports"]}
    assert all_kinds["Service"]["spec"]["ports"][0]["targetPort"] in ports
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"]["port"] in ports
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in here["volumes"]}
    settings = load_settings(flags={}, environ={})
    assert here["terminationGracePeriodSeconds"] > settings.shutdown_seconds + 8 + 5
    stop = float(dict(unit())["TimeoutStopSec"])
    assert stop > settings.shutdown_seconds + 8


def test_the_pods_configuration_is_good(tmp_path):
    """The configuration in the ConfigMap is one that a server starts with, under the Ingress' host."""
    text = manifests()["ConfigMap"]["data"]["keyturn.toml"]
    for name in ("database_url", "master_key"):
        (tmp_path / name).write_text("sqlite:///x" if name == "database_url" else "x" * 43 + "=")
    path = tmp_path / "keyturn.toml"
    path.write_text(text.replace("/run/secrets/keyturn", str(tmp_path)))
    settings = load_settings(flags={}, environ={"KEYTURN_CONFIG": str(path)}, serving=True)
    assert settings.data.as_posix() in {each["mountPath"] for each in pod()["containers"][0]["volumeMounts"]}
    assert not ipaddress.ip_address(settings.host).is_loopback
    assert (
        tomllib.loads(text)["public_url"] == f"https://{manifests()['Ingress']['spec']['rules'][0]['host']}"
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_reads_the_unit(tmp_path):
    """Systemd finds nothing wrong with the unit, and calls the service hardly exposed."""
    text = (DEPLOY / "systemd" / "keyturn.service").read_text()
    place = tmp_path / "keyturn.service"
    place.write_text(text.replace("/opt/keyturn/bin/keyturn", shutil.which("true") or ""))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", place], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    weighed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", place],
        capture_output=True,
        text=True,
        check=True,
    )
    (level,) = re.findall(r"exposure level for keyturn.service: ([0-9.]+)", weighed.stdout)
    assert float(level) <= MOST_EXPOSED


@pytest.mark.packages
def test_kubernetes_knows_every_member():
    """Each manifest is valid to the member, by the schemas of the newest Kubernetes and of 1.29."""
    python = install(ROOT / "build" / "packages", ROOT / "requirements" / "deploy.txt")
    assert not isinstance(python, str), python
    program, file = python.with_name("kubernetes-validate"), DEPLOY / "kubernetes" / "keyturn.yaml"
    for version in ((), ("--kubernetes-version", "1.29.0")):
        done = subprocess.run(
            [program, "--strict", *version, file], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert said.count(" passed for resource ") == len(manifests()), said
