"""The Debian package, made on Debian 13 by docker/Dockerfile's stage for it, and installed there."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import ROOT
from container import IMAGE_FILES

CONFIG = "etc/tidegate/tidegate.yaml"
UNIT = "usr/lib/systemd/system/tidegate.service"


@pytest.fixture(scope="module")
def package():
    (path,) = pathlib.Path(os.environ["TIDEGATE_PACKAGE_FILES"]).glob("*.deb")
    return path


@pytest.fixture
def debian(tmp_path):
    """debian(words…) runs a command on a Debian 13 that has the libraries, but no Tidegate."""
    root = tmp_path / "debian"
    # As devices what are devices: who reads them as files fills the disk with /dev/full.
    subprocess.run(["cp", "-a", IMAGE_FILES, root], check=True)
    (root / "usr/bin/tidegate").unlink()
    shutil.rmtree(root / "etc/tidegate", ignore_errors=True)  # a mount point of other tests' containers

    def run(*words, ok=True):
        result = subprocess.run(["chroot", root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                 "DEBIAN_FRONTEND=noninteractive", *words], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=False)
        assert not ok or result.returncode == 0, result.stdout + result.stderr
        return result

    run.root = root
    return run


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


def test_is_named_after_the_version_and_depends_on_what_the_image_has(package):
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    # Made without a git clone at hand it is the release alone; with one, the commit follows.
    assert re.fullmatch(re.escape(version) + r"(\+\d+\.g[0-9a-f]+)?", field(package, "Version"))
    assert package.name == f"tidegate_{field(package, 'Version')}_{field(package, 'Architecture')}.deb"
    depends = {name.split(" ")[0] for name in field(package, "Depends").split(", ")}
    dockerfile = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    in_the_image = set(re.search(r"--no-install-recommends \\\n\s*(.*) >/dev/null", dockerfile)[1].split())
    assert depends == in_the_image | {"libc6"}


def test_says_who_made_it(package):
    assert re.fullmatch(r"[^<>]+ <[^@<> ]+@[^@<> ]+>", field(package, "Maintainer"))


def test_has_these_files_and_all_are_roots(package):
    listing = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    files = {}
    for line in listing.splitlines():
        mode, owner, _, _, _, path = line.split()
        assert owner == "root/root"
        if not mode.startswith("d"):
            files[path.removeprefix("./")] = mode
    assert files.pop("usr/bin/tidegate") == "-rwxr-xr-x"
    assert set(files.values()) == {"-rw-r--r--"}
    documents = {f"usr/share/doc/tidegate/{name}" for name in ("changelog.gz", "CHANGELOG.md", "copyright")}
    assert files.keys() == documents | {UNIT, CONFIG, "usr/share/man/man1/tidegate.1.gz",
                                        "usr/share/bash-completion/completions/tidegate"}


def test_installs_and_runs(debian, package):
    shutil.copy(package, debian.root / "tmp")
    debian("dpkg", "-i", f"/tmp/{package.name}")
    assert debian("dpkg-query", "-W", "-f", "${Status}", "tidegate").stdout == "install ok installed"
    assert debian("tidegate", "version").stdout == f"tidegate {field(package, 'Version')}\n"
    assert "/etc/tidegate/tidegate.yaml" in debian("tidegate", "check", "--config", f"/{CONFIG}").stdout
    unit = (debian.root / UNIT).read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/tidegate serve\n" in unit and f"TIDEGATE_CONFIG=/{CONFIG}" in unit


def test_leaves_the_operators_file_alone(debian, package):
    shutil.copy(package, debian.root / "tmp")
    debian("dpkg", "-i", f"/tmp/{package.name}")
    mine = debian.root / CONFIG
    mine.write_text("workers: 1\n", encoding="utf-8")
    debian("dpkg", "-i", f"/tmp/{package.name}")
    assert mine.read_text(encoding="utf-8") == "workers: 1\n"
    debian("dpkg", "-r", "tidegate")
    assert mine.exists() and not (debian.root / "usr/bin/tidegate").exists()
    debian("dpkg", "-P", "tidegate")
    assert not mine.exists() and not (debian.root / UNIT).exists()
