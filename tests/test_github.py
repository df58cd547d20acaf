"""What GitHub and contributors read: it is valid, and what it names exists."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
FILES = {str(path.relative_to(GITHUB)): path for path in sorted(GITHUB.rglob("*.yml"))}
WORKFLOWS = [name for name in FILES if name.startswith("workflows/")]
FORMS = ["ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/feature.yml"]
GUIDES = [
    "CONTRIBUTING.md",
    "docs/contributing/releases.md",
    ".github/PULL_REQUEST_TEMPLATE.md",
]
each_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def load(name):
    # Not as YAML 1.1 has it, in which the key `on` is true.
    return yaml.load(FILES[name].read_text(), yaml.BaseLoader)


def steps(name):
    return [step for job in load(name)["jobs"].values() for step in job["steps"]]


def sessions():
    """Name the sessions of nox: the functions that it is told of."""
    source = (ROOT / "noxfile.py").read_text()
    return re.findall(r"^@nox\.session.*\n(?:@.+\n)*def (\w+)", source, re.MULTILINE)


def sessions_named(text):
    """Name the sessions that commands of nox call, without their parameters."""
    called = re.findall(r'nox -s ((?:"[^"]+"|[\w.-]+)(?: [a-z]+\b)*)', text)
    names = " ".join(called).replace('"', "").split()
    return {re.sub(r"(-\d\.\d+|\(.*)$", "", name) for name in names} - {"--"}


def test_there_are_all_files():
    assert sorted(FILES) == [
        "ISSUE_TEMPLATE/bug.yml",
        "ISSUE_TEMPLATE/config.yml",
        "ISSUE_TEMPLATE/feature.yml",
        "dependabot.yml",
        "workflows/publish.yml",
        "workflows/tests.yml",
    ]


@each_workflow
def test_a_workflow_has_bounds_and_no_more_rights_than_it_needs(name):
    workflow = load(name)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in workflow["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert int(job["timeout-minutes"]) <= 60


@each_workflow
def test_a_step_runs_a_command_or_an_action_of_a_commit(name):
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert len(used) + sum("run" in step for step in steps(name)) == len(steps(name))
    # A tag can be moved to other code. Dependabot updates the version behind it, too.
    commit = r"uses: ([\w/-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$"
    assert used == re.findall(commit, FILES[name].read_text(), re.MULTILINE)


@each_workflow
def test_the_commands_of_a_workflow_exist(name):
    commands = [step["run"] for step in steps(name) if "run" in step]
    text = "\n".join(commands)
    for script in re.findall(r"\.ci/\w+", text):
        assert os.access(ROOT / script, os.X_OK)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\S+)$", text, re.MULTILINE):
        assert f"\n{target}:" in makefile
    assert sessions_named(text) <= {*sessions()}
    known = ("sudo env", "make ", ".venv/bin/nox -s ", "until python -m pip ")
    assert [line for line in commands if not line.startswith(known)] == []
    for line in commands:
        assert ".." not in line
        assert "${{" not in line, "give it as a variable: it may have a shell's signs"


def test_the_tests_of_a_pull_request_are_those_of_ci_on_each_python():
    workflow = load("workflows/tests.yml")
    assert {"pull_request", "push"} == workflow["on"].keys()
    (python,) = (s["with"] for s in steps("workflows/tests.yml") if "python" in str(s))
    declared = re.search(r"^PYTHONS = (.+)$", (ROOT / "noxfile.py").read_text(), re.M)
    assert python["python-version"].split() == re.findall(r"\d\.\d+", declared[1])
    assert any(
        ".ci/run" in step.get("run", "") for step in steps("workflows/tests.yml")
    )


def test_a_tag_of_each_package_publishes_it_and_no_other_tag_does():
    patterns = load("workflows/publish.yml")["on"]["push"]["tags"]
    tags = [f"{p.parent.name}-v1.0.0" for p in ROOT.glob("packages/*/pyproject.toml")]
    assert len(tags) > 20
    for tag in tags:
        assert any(fnmatch(tag, pattern) for pattern in patterns)
    for tag in ("v1.0.0", "roll-1.0.0", "troll-v1.0.0"):
        assert not any(fnmatch(tag, pattern) for pattern in patterns)


def test_only_a_job_without_code_of_ours_may_ask_for_a_token():
    jobs = {job: name for name in WORKFLOWS for job in load(name)["jobs"]}
    asking = {
        job
        for job, name in jobs.items()
        if "id-token" in load(name)["jobs"][job].get("permissions", {})
    }
    assert asking == {"publish"}
    publish = load("workflows/publish.yml")["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    page = (ROOT / "docs" / "contributing" / "releases.md").read_text()
    assert f"| environment | `{publish['environment']}` |" in page


@pytest.mark.parametrize("name", FORMS)
def test_an_issue_form_asks_for_fields_with_labels(name):
    form = load(name)
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len({*ids}) == len(ids) >= 3
    for field in form["body"]:
        assert field["type"] == "textarea"
        assert field["attributes"]["label"]
    assert any(
        field.get("validations") == {"required": "true"} for field in form["body"]
    )


def test_the_application_in_the_bug_form_is_python():
    first = load("ISSUE_TEMPLATE/bug.yml")["body"][0]
    compile(first["attributes"]["value"], "bug.yml", "exec")


def test_issues_lead_to_private_reports_of_vulnerabilities():
    links = load("ISSUE_TEMPLATE/config.yml")["contact_links"]
    url = links[0]["url"]
    assert url.endswith("/security/advisories/new")
    policy = (ROOT / "SECURITY.md").read_text()
    assert f"]({url})" in policy
    assert re.search(r"\w@\w", policy) is None, "a person's address ends one day"


def test_dependabot_looks_at_actions_and_at_every_package():
    updates = {
        update["package-ecosystem"]: update
        for update in load("dependabot.yml")["updates"]
    }
    assert updates.keys() == {"github-actions", "pip"}
    assert updates["pip"]["directories"] == ["/", "/packages/*"]


def test_every_file_has_an_owner():
    lines = (GITHUB / "CODEOWNERS").read_text().splitlines()
    rules = [line.split() for line in lines if not line.startswith("#")]
    assert rules[0][0] == "*"
    assert all(owner.startswith("@") for _, *owners in rules for owner in owners)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_names_sessions_that_exist(guide):
    named = sessions_named((ROOT / guide).read_text())
    assert named
    assert named <= {*sessions()}


def test_the_map_of_contributors_names_places_that_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    section = page.partition("## Find your way\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+`) \|", section, re.MULTILINE)
    places = re.findall(r"`([^`]+)`", " ".join(rows))
    assert len(places) > 8
    assert [p for p in places if "…" not in p and not (ROOT / p).exists()] == []
