"""Release packages: set versions, date changelogs, build, check, commit, tag.

`nox -s release` runs this module. It takes every package that changed since its last
tag, or one in a version of your choice: `-- roll-core 1.1.0`. With `-- --tag
roll-core-v1.1.0` it only builds what the tag names: this is what the workflow that
publishes does.

Packages are built and tagged in the order of their dependencies, in `dist`. When a
package fails its checks, nothing is committed and the files are as before.
"""

import argparse
import email
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from datetime import date
from email.message import Message
from graphlib import TopologicalSorter
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
PACKAGES = {
    path.parent.name: path.parent
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
VERSION = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
UNRELEASED = "## Unreleased\n"
# A release in which nothing else is noted needs no new minor version.
CORRECTIONS = {"Fixed", "Security"}


class ReleaseError(Exception):
    """A package cannot be released; the message says what to do."""


def git(*args: str) -> str:
    """Run git in the repository, and give what it prints."""
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"git {args[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def project(name: str) -> dict:
    """Read the table [project] of a package."""
    return tomllib.loads((PACKAGES[name] / "pyproject.toml").read_text())["project"]


def in_order(names: Iterable[str]) -> list[str]:
    """Sort packages so that each comes after those that it needs, extras included."""
    needs = {}
    for name in PACKAGES:
        extras = project(name).get("optional-dependencies", {}).values()
        lists = [project(name).get("dependencies", []), *extras]
        found = {re.match(r"[\w.-]+", need)[0] for needs in lists for need in needs}
        needs[name] = sorted(found & PACKAGES.keys() - {name})
    wanted = set(names)
    return [name for name in TopologicalSorter(needs).static_order() if name in wanted]


def notes(name: str) -> str:
    """Give what stands under Unreleased in the changelog of a package."""
    changelog = (PACKAGES[name] / "CHANGELOG.md").read_text()
    return changelog.partition(UNRELEASED)[2].partition("\n## ")[0].strip()


def has_changed(name: str) -> bool:
    """Tell whether a package has other files than at its last tag, tests aside."""
    tags, folder = f"{name}-v*", f"packages/{name}"
    if not git("tag", "--merged", "HEAD", "--list", tags):
        return True
    last = git("describe", "--tags", "--abbrev=0", "--match", tags)
    return bool(git("diff", "--name-only", last, "--", folder, f":!{folder}/tests"))


def next_version(name: str) -> str:
    """Choose a version: the one that is declared, or, once it has a tag, the next.

    The next one is a patch when the changelog lists corrections alone, else a minor.
    After a release candidate comes the version that it is for.
    """
    version = project(name)["version"]
    if not git("tag", "--list", f"{name}-v{version}"):
        return version
    major, minor, patch = map(int, re.findall(r"\d+", version)[:3])
    if version != f"{major}.{minor}.{patch}":
        return f"{major}.{minor}.{patch}"
    if set(re.findall(r"^### (.+)$", notes(name), re.MULTILINE)) <= CORRECTIONS:
        return f"{major}.{minor}.{patch + 1}"
    return f"{major}.{minor + 1}.0"


def changed() -> dict[str, str]:
    """Map the packages that changed to their next versions."""
    found = {}
    for name in filter(has_changed, PACKAGES):
        if notes(name):
            found[name] = next_version(name)
        else:
            print(f"{name} changed, but has no notes under Unreleased: left out")
    return found


def write_version(name: str, version: str) -> None:
    """Set the version of a package, and date its changelog."""
    if not re.fullmatch(VERSION, version):
        raise ReleaseError(f"{version!r} is not a version like 1.1.0 or 1.1.0rc1")
    if git("tag", "--list", f"{name}-v{version}"):
        raise ReleaseError(f"{name} {version} has a tag: choose a later version")
    if not notes(name):
        raise ReleaseError(
            f"packages/{name}/CHANGELOG.md has no notes under Unreleased: write what "
            "users notice"
        )
    changelog = PACKAGES[name] / "CHANGELOG.md"
    before, heading, after = changelog.read_text().partition(UNRELEASED)
    released = f"\n## {version} - {date.today().isoformat()}\n"
    changelog.write_text(before + heading + released + after)
    settings = PACKAGES[name] / "pyproject.toml"
    line = re.compile(r'^version = ".*"$', re.MULTILINE)
    settings.write_text(line.sub(f'version = "{version}"', settings.read_text(), 1))


def build(name: str) -> None:
    """Build the sdist of a package, and its wheel from the sdist, as installers do."""
    with tempfile.TemporaryDirectory() as folder:
        hatchling(PACKAGES[name], "sdist")
        with tarfile.open(DIST / f"{stem(name)}.tar.gz") as sdist:
            sdist.extractall(folder, filter="data")
        hatchling(Path(folder, stem(name)), "wheel")


def hatchling(source: Path, target: str) -> None:
    """Build a wheel or an sdist into `dist`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", DIST]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode:
        raise ReleaseError(f"no {target} of {source.name}: {done.stdout}{done.stderr}")


def stem(name: str) -> str:
    """Give how the names of a package's distributions begin."""
    return f"{name.replace('-', '_')}-{project(name)['version']}"


def check(name: str) -> None:
    """Raise ReleaseError unless the built distributions of a package are complete."""
    with tarfile.open(DIST / f"{stem(name)}.tar.gz") as sdist:
        inside = {path.partition("/")[2] for path in sdist.getnames()}
    with ZipFile(DIST / f"{stem(name)}-py3-none-any.whl") as wheel:
        inside |= {*wheel.namelist()}
        metadata = wheel.read(f"{stem(name)}.dist-info/METADATA").decode()
    missing = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} - inside
    waste = [path for path in inside if "__pycache__" in path or "/." in path]
    fields = email.message_from_string(metadata)
    problems = [
        *(f"{path} is missing in the sdist" for path in sorted(missing)),
        *(f"{path} does not belong in a release" for path in sorted(waste)),
        *wrong_fields(name, fields),
    ]
    if problems:
        raise ReleaseError(f"{name}: {'; '.join(problems)}")


def wrong_fields(name: str, fields: Message) -> Iterable[str]:
    """Say what is wrong with the metadata of a wheel, as its package page shows it."""
    if (fields["Name"], fields["Version"]) != (name, project(name)["version"]):
        yield f"the wheel is of {fields['Name']} {fields['Version']}"
    if not str(fields.get_payload()).startswith(f"# {name}\n"):
        yield "its page does not begin with the README"
    if re.search(r"\]\((?!https://|#)", str(fields.get_payload())):
        yield "README.md has a relative link, which leads nowhere on a package page"
    if not fields.get_all("Project-URL"):
        yield "pyproject.toml has no [project.urls]"


def release(versions: dict[str, str]) -> list[str]:
    """Release packages in versions.

    Returns:
        Their tags, in the order of their dependencies.

    Raises:
        ReleaseError: When one of them cannot be released; none is then.
    """
    if git("status", "--porcelain"):
        raise ReleaseError("commit your changes first: `git status` lists them")
    names = in_order(versions)
    try:
        for name in names:
            write_version(name, versions[name])
        build_and_check(names)
    except BaseException:
        git("restore", "packages")
        raise
    tags = []
    for name in names:
        tags.append(f"{name}-v{versions[name]}")
        message = f"Release {name} {versions[name]}"
        git("commit", "--quiet", "--message", message, "--", f"packages/{name}")
        git("tag", "--annotate", tags[-1], "--message", message)
        print(f"tagged {tags[-1]}")
    return tags


def build_and_check(names: list[str]) -> None:
    """Build packages into an empty `dist`, and check them."""
    shutil.rmtree(DIST, ignore_errors=True)
    for name in names:
        build(name)
        check(name)
        print(f"built {stem(name)}")


def build_tag(tag: str) -> None:
    """Build the package that a tag names, in the version that it names."""
    name, _, version = tag.rpartition("-v")
    if name not in PACKAGES or version != project(name)["version"]:
        raise ReleaseError(f"{tag} does not name a package and its version")
    build_and_check([name])


def main() -> None:
    """Do what the arguments say, and print what to do next."""
    parser = argparse.ArgumentParser(
        prog="nox -s release --", description="Release packages."
    )
    parser.add_argument("package", nargs="?", choices=[*PACKAGES])
    parser.add_argument("version", nargs="?", help="such as 1.1.0 or 1.1.0rc1")
    parser.add_argument("--tag", help="only build what this tag names")
    options = parser.parse_args()
    if bool(options.package) != bool(options.version):
        parser.error("give a package and its version, or neither")
    try:
        if options.tag:
            return build_tag(options.tag)
        single = {options.package: options.version} if options.package else None
        tags = release(single or changed())
    except ReleaseError as error:
        sys.exit(str(error))
    if not tags:
        print("no package has changed since its last tag")
        return None
    # GitHub starts no workflow for tags when more than three are pushed together.
    print("publish with:\n")
    print("  git push origin HEAD", *tags, sep=" &&\n  git push origin ")


if __name__ == "__main__":
    main()
