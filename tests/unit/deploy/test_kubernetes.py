"""deploy/kubernetes without a cluster: validation against the schemas, and consistency of its parts."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import kubernetes_validate
import pytest
import yaml
from honcho.environ import parse_procfile

from api.cli.system import deployment_secrets
from cto_worker.config import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ["1.30", "1.34"]  # the oldest one with all used features, and the oldest maintained one
CUSTOM = ("gateway.networking.k8s.io/", "gateway.envoyproxy.io/", "monitoring.coreos.com/")
PROCFILE = parse_procfile((ROOT / "Procfile").read_text()).processes
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
NAME_LABEL = "app.kubernetes.io/name"


def kustomization(folder):
    return yaml.safe_load((folder / "kustomization.yaml").read_text())


def documents(folder):
    """Yield every document that kustomize includes from this folder, unchanged."""
    for resource in kustomization(folder).get("resources", ()):
        path = (folder / resource).resolve()
        if path.is_dir():
            yield from documents(path)
        else:
            yield from yaml.safe_load_all(path.read_text())


@cache
def secret_names():
    """Return the variables that `cto secrets` writes."""
    with TemporaryDirectory() as directory:
        folder = Path(directory) / "secrets"
        deployment_secrets.make(folder, ROOT / "deploy" / "valkey" / "users.acl")
        return [line.partition("=")[0] for line in (folder / "env").read_text().splitlines()]


def generated(folder, kind):
    """Return the config maps or secrets that kustomize generates, as name → keys."""
    found = {}
    for resource in kustomization(folder).get("resources", ()):
        if (folder / resource).is_dir():
            found |= generated((folder / resource).resolve(), kind)
    for generator in kustomization(folder).get(kind, ()):
        keys = [Path(file).name for file in generator.get("files", ())]
        for file in generator.get("envs", ()):
            assert Path(file).name == deployment_secrets.ENV
            keys += secret_names()
        found[generator["name"]] = keys
    return found


DOCUMENTS = list(documents(FOLDER / "production"))
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]
    for document in DOCUMENTS
    if document["kind"] in {"Deployment", "StatefulSet"}
}
CONTAINERS = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}
OURS = set(PROCFILE)
(BACKUP,) = (document for document in DOCUMENTS if document["kind"] == "CronJob")
PARK = yaml.safe_load((FOLDER / "park.yaml").read_text())
JOBS = {"backup": BACKUP["spec"]["jobTemplate"]["spec"], "park": PARK["spec"]}
PASSWORDS = ("STORE_", "ARCHIVE_")  # the other variables are settings


def named(kind):
    return {
        document["metadata"]["name"]: document["spec"] for document in DOCUMENTS if document["kind"] == kind
    }


def environment(name):
    return {variable["name"]: variable for variable in CONTAINERS[name].get("env", ())}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_documents_are_valid(document, version):
    if not document["apiVersion"].startswith(CUSTOM):  # the package has no schemas of the others
        kubernetes_validate.validate(document, version, strict=True)


def test_the_park_job_has_the_settings_of_a_worker():
    assert PARK["metadata"]["generateName"]
    for version in VERSIONS:
        kubernetes_validate.validate({**PARK, "metadata": {"name": "park"}}, version, strict=True)
    pod, (container,) = PARK["spec"]["template"], PARK["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["cto", "park", "--yes"]
    assert container["env"] == CONTAINERS["worker"]["env"]
    for confined in ("securityContext", "volumeMounts"):
        assert container[confined] == CONTAINERS["worker"][confined]
    assert pod["metadata"]["labels"] == {NAME_LABEL: "park"}, (
        "the workers' disruption budget must not count it"
    )
    assert JOBS["park"]["ttlSecondsAfterFinished"]
    assert pod["spec"]["securityContext"] == PODS["worker"]["spec"]["securityContext"]
    (image,) = kustomization(FOLDER / "production")["images"]
    assert container["image"] == f"{image['newName']}:{image['newTag']}"
    # Without this option the name has a suffix that only kustomize knows.
    for generator in kustomization(FOLDER / "production")["secretGenerator"]:
        if generator["name"] in {"cto", "cto-prometheus"}:
            assert generator["options"] == {"disableNameSuffixHash": True}


def test_a_worker_starts_after_the_migration_of_the_archive_also_if_it_fails():
    (migrate,) = PODS["worker"]["spec"]["initContainers"]
    shell, option, command = migrate["args"]
    assert (shell, option) == ("sh", "-c")
    assert command.startswith(COMPOSE["migrate"]["command"])
    for status in (0, 1):
        attempt = command.replace("cto migrate", f"exit_{status}")
        functions = f"exit_{status}() {{ return {status}; }}; "
        assert (
            subprocess.run([shell, option, functions + attempt], capture_output=True, check=False).returncode
            == 0
        )
    assert [variable["name"] for variable in migrate["env"]] == ["ARCHIVE_PASSWORD", "CTO_ARCHIVE_URL"]
    worker = CONTAINERS["worker"]
    assert all(variable in worker["env"] for variable in migrate["env"])
    for same in ("image", "securityContext", "volumeMounts"):
        assert migrate[same] == worker[same]
    assert set(migrate["resources"]) == {"requests", "limits"}


def test_a_backup_is_made_every_hour_as_with_docker_compose():
    spec, pod = BACKUP["spec"], JOBS["backup"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == shlex.split(COMPOSE["backup"]["command"])
    url = re.sub(r"\$\((\w+)\)", r"${\1}", container["env"][1]["value"])
    assert url == re.sub(r":\?[^}]*", "", COMPOSE["backup"]["environment"]["CTO_REDIS_URL"])
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["key"] in secret_names()
    assert (spec["schedule"].split()[1:], spec["concurrencyPolicy"]) == (["*"] * 4, "Forbid")
    assert JOBS["backup"]["ttlSecondsAfterFinished"]
    for confined in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        assert pod[confined] == PODS["worker"]["spec"][confined]
    assert container["securityContext"] == CONTAINERS["worker"]["securityContext"]


def test_the_prometheus_operator_finds_gateways_and_their_token():
    monitor = yaml.safe_load((FOLDER / "monitoring.yaml").read_text())["spec"]
    (service,) = (
        document
        for document in DOCUMENTS
        if document["kind"] == "Service" and document["metadata"]["name"] == "gateway-metrics"
    )
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (labelled,) = kustomization(FOLDER / "base")["labels"]
    assert labelled["pairs"][monitor["jobLabel"]] == "cto", "the alerts select gateways by this job"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    token = endpoint["authorization"]["credentials"]
    assert token["key"] in generated(FOLDER / "production", "secretGenerator")[token["name"]]


def test_every_file_is_listed():
    listed = {
        (folder / resource).resolve()
        for folder in (FOLDER / "base", FOLDER / "production")
        for resource in kustomization(folder)["resources"]
    }
    files = {*FOLDER.glob("base/*.yaml"), *FOLDER.glob("production/*.yaml")}
    assert {path for path in files if path.name != "kustomization.yaml"} <= listed


def test_the_commands_are_those_of_procfile_and_docker_compose():
    servers = {name: COMPOSE[name]["command"] for name in ("store", "archive")}
    assert set(CONTAINERS) == {*PROCFILE, *servers}
    for name, line in (*PROCFILE.items(), *servers.items()):
        assert CONTAINERS[name]["args"] == shlex.split(line), name
        assert "command" not in CONTAINERS[name], name
    for name in servers:
        assert CONTAINERS[name]["image"] == COMPOSE[name]["image"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_exist_and_equal_those_of_docker_compose(name):
    known = {ENV_PREFIX + field.name.upper() for field in fields(Settings)}
    given = environment(name)
    assert {variable for variable in given if not variable.startswith(PASSWORDS)} <= known
    composed = COMPOSE["gateway-1" if name == "gateway" else name]["environment"]
    for variable, value in composed.items():
        if "value" in given[variable]:
            value_here = re.sub(r"\$\((\w+)\)", r"${\1}", given[variable]["value"])
            assert value_here == re.sub(r":\?[^}]*", "", value), variable
        else:
            assert value.startswith("${" + variable + ":?"), variable
    for variable in set(given) - set(composed):
        assert variable.startswith(PASSWORDS) or given[variable]["value"] == str(
            getattr(Settings(), variable.removeprefix(ENV_PREFIX).lower())
        ), f"{variable} is set only here, and not to its default"


@pytest.mark.parametrize("name", sorted(OURS))
def test_variables_are_defined_before_they_are_used(name):
    defined = set()
    for variable in CONTAINERS[name]["env"]:
        assert set(re.findall(r"\$\((\w+)\)", variable.get("value", ""))) <= defined
        defined.add(variable["name"])


def test_referenced_secrets_and_configuration_exist():
    secrets = generated(FOLDER / "production", "secretGenerator")
    maps = generated(FOLDER / "production", "configMapGenerator")
    given = environment("archive")
    assert given["POSTGRES_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] in secrets["cto"]
    for variable in ("POSTGRES_USER", "POSTGRES_DB"):
        assert given[variable]["value"] == COMPOSE["archive"]["environment"][variable]
    for name in OURS:
        for variable in environment(name).values():
            if "valueFrom" in variable:
                wanted = variable["valueFrom"]["secretKeyRef"]
                assert wanted["key"] in secrets[wanted["name"]]
                assert wanted["key"] == variable["name"]
    for pod in PODS.values():
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for mount in pod["spec"]["containers"][0]["volumeMounts"]:
            volume = volumes.get(mount["name"], {})
            if "configMap" in volume:
                assert mount["subPath"] in maps[volume["configMap"]["name"]]
            if "secret" in volume:
                assert mount["subPath"] in secrets[volume["secret"]["secretName"]]


def test_every_pod_has_a_security_context_and_limits():
    for name, pod in PODS.items():
        spec, container = pod["spec"], CONTAINERS[name]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name  # or it gets variables for every Service
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert set(container["resources"]) == {"requests", "limits"}, name
        assert "startupProbe" in container or "readinessProbe" in container, name
    for name in OURS:
        uid = PODS[name]["spec"]["securityContext"]["runAsUser"]
        assert f"USER {uid}" in (ROOT / "Dockerfile").read_text(), name


def test_probes_use_the_right_paths_and_pods_have_time_to_stop():
    gateway = CONTAINERS["gateway"]
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/healthz"
    pre_stop_s = gateway["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS["gateway"]["spec"]["terminationGracePeriodSeconds"] >= pre_stop_s + 15
    assert PODS["worker"]["spec"]["terminationGracePeriodSeconds"] >= 20
    for name in ("worker", "store", "archive"):
        assert "livenessProbe" not in CONTAINERS[name], "a restart would make a short interruption longer"
    assert (
        CONTAINERS["worker"]["startupProbe"]["exec"]["command"]
        == COMPOSE["worker"]["healthcheck"]["test"][1:]
    )


def test_selectors_find_their_pods():
    for name, pod in PODS.items():
        assert pod["metadata"]["labels"] == {NAME_LABEL: name}
    for name, job in JOBS.items():
        assert job["template"]["metadata"]["labels"] == {NAME_LABEL: name}
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        for name, spec in named(kind).items():
            assert spec["selector"]["matchLabels"] == {NAME_LABEL: name}
    for spec in named("Service").values():
        name = spec["selector"][NAME_LABEL]
        ports = {port["name"]: port["containerPort"] for port in CONTAINERS[name]["ports"]}
        assert {port["name"]: port["port"] for port in spec["ports"]} == ports
    routes, listeners = named("HTTPRoute"), named("Gateway")["entry"]["listeners"]
    (backend,) = routes["gateway"]["rules"][0]["backendRefs"]
    assert backend["port"] in [port["port"] for port in named("Service")[backend["name"]]["ports"]]
    for name, listener in (("gateway", "https"), ("to-https", "http")):
        assert routes[name]["parentRefs"] == [{"name": "entry", "sectionName": listener}]
        (hostname,) = routes[name]["hostnames"]
        assert {listener["hostname"] for listener in listeners} == {hostname}
    assert {listener["name"]: listener["protocol"] for listener in listeners} == {
        "https": "HTTPS",
        "http": "HTTP",
    }
    assert routes["to-https"]["rules"][0]["filters"][0]["requestRedirect"]["scheme"] == "https"


def test_clients_stay_with_their_gateway():
    assert named("Service")["gateway"]["sessionAffinity"] == "ClientIP"
    policy, route = named("BackendTrafficPolicy")["gateway"], named("HTTPRoute")["gateway"]
    assert policy["targetRefs"][0] == {
        "group": "gateway.networking.k8s.io",
        "kind": "HTTPRoute",
        "name": "gateway",
    }
    assert policy["loadBalancer"] == {"type": "ConsistentHash", "consistentHash": {"type": "SourceIP"}}
    assert route["rules"][0]["timeouts"] == {"request": "0s"}, "a time limit would end streams"


def test_only_the_ingress_and_prometheus_reach_gateways():
    (rule,) = named("NetworkPolicy")["gateway"]["ingress"]
    proxies, monitoring = rule["from"]
    owner = "gateway.envoyproxy.io/owning-gateway-"
    assert proxies["podSelector"]["matchLabels"] == {
        f"{owner}namespace": kustomization(FOLDER / "production")["namespace"],
        f"{owner}name": next(iter(named("Gateway"))),
    }
    assert monitoring.keys() == {"namespaceSelector"}


def test_pods_can_reach_the_dns_of_common_clusters():
    (rule,) = named("NetworkPolicy")["names"]["egress"]
    namespaces, node_local = rule["to"]
    (wanted,) = namespaces["namespaceSelector"]["matchExpressions"]
    assert wanted["values"] == ["kube-system", "openshift-dns"]
    assert node_local["ipBlock"]["cidr"] == "169.254.20.10/32"
    assert {port["port"] for port in rule["ports"]} == {53, 5353}


def selected(selector):
    """Return the pods that a selector matches."""
    labels, wanted = selector.get("matchLabels", {}), selector.get("matchExpressions", ())
    return {
        name
        for name in {*PODS, *JOBS}
        if all(name == value for value in labels.values())
        and all(name in expression["values"] for expression in wanted)
    }


def test_network_policies_allow_only_the_necessary_traffic():
    policies = named("NetworkPolicy")
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    clients = {"store": {*OURS, "backup", "park"}, "archive": {"worker", "gateway"}}
    for name, expected in clients.items():
        (rule,) = policies[name]["ingress"]
        assert selected(policies[name]["podSelector"]) == {name}
        assert selected(rule["from"][0]["podSelector"]) == expected
        assert selected(policies[f"clients-of-the-{name}"]["podSelector"]) == expected
        (rule,) = policies[f"clients-of-the-{name}"]["egress"]
        assert selected(rule["to"][0]["podSelector"]) == {name}
    reached = {
        name for spec in policies.values() if "ingress" in spec for name in selected(spec["podSelector"])
    }
    assert reached == {"store", "archive", "gateway"}


def test_autoscalers_use_metrics_of_the_adapter_and_the_gateways():
    deployments = named("Deployment")
    rules = yaml.safe_load((FOLDER / "adapter.yaml").read_text())["rules"]["external"]
    provided = {rule["name"]["as"] for rule in rules}
    used = set()
    for name, spec in named("HorizontalPodAutoscaler").items():
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert "replicas" not in deployments[name], "each `kubectl apply` would reset it"
        assert spec["minReplicas"] >= 2
        used |= {metric["external"]["metric"]["name"] for metric in spec["metrics"] if "external" in metric}
    assert used == provided == {"cto_oldest_waiting_seconds", "cto_worker_busy"}
    source = (ROOT / "api" / "rest" / "metrics_endpoint.py").read_text()
    for rule in rules:
        for metric in re.findall(r"cto_\w+", rule["metricsQuery"]):
            assert f'"{metric}"' in source
