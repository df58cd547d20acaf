"""The manifests of kubernetes.md and monitor.md fit together, and fit the image."""

import re
from pathlib import Path

import yaml

GUIDES = Path(__file__).parent.parent / "docs" / "how-to"


def manifests(page, first):
    """Load the block of a guide that has this line at its beginning."""
    text = (GUIDES / page).read_text()
    (block,) = re.findall(rf"^```yaml\n({first}\n.*?)^```$", text, re.M | re.S)
    return [*yaml.safe_load_all(block)]


def test_the_service_finds_the_pods_and_these_the_image():
    deployment, service = manifests("kubernetes.md", "# shop.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    dockerfile = (GUIDES / "container.md").read_text()
    (port,) = map(int, re.findall(r"^EXPOSE (\d+)$", dockerfile, re.M))
    (path,) = re.findall(r"ROLL_HEALTH=(\S+)", dockerfile)
    assert [each["containerPort"] for each in container["ports"]] == [port]
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": port}]
    assert container["readinessProbe"]["httpGet"] == {"path": path, "port": port}
    assert container["livenessProbe"]["tcpSocket"] == {"port": port}


def test_a_pod_has_the_time_to_drain_and_to_end():
    deployment, _ = manifests("kubernetes.md", "# shop.yaml")
    guide = deployment["spec"]["template"]["spec"]
    (monitored,) = manifests("monitor.md", "containers:")
    options = monitored["containers"][0]["command"]
    variables = {each["name"]: each["value"] for each in guide["containers"][0]["env"]}
    drains = variables["ROLL_DRAIN"], options[options.index("--drain") + 1]
    for pod, drain in zip((guide, monitored), map(int, drains), strict=True):
        probe = pod["containers"][0]["readinessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] < drain
        assert pod["terminationGracePeriodSeconds"] > drain + 30
