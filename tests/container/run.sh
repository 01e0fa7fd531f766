#!/usr/bin/env bash
#
# Builds docker/Dockerfile for real, and starts what comes out as a container engine would.
#
# There is no engine here, so: debootstrap makes a Debian 13 that stands in for debian:trixie-slim, buildah builds the
# image in a chroot, and runc runs it with the user, command, health check and stop signal that the image says, on a
# read-only root. tests/container/test_*.py say what has to be true of it.
#
# Promises: nothing is left running, mounted, or in the storage of another engine; what it keeps to be quick the second
# time is in the cache folder of deploy/deps.sh, under container/.
# Needs: root, the packages below, and a Debian archive to install Debian 13 from.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly PYTHON=/usr/bin/python3
readonly PACKAGES=(buildah debootstrap runc binutils) # besides those of deploy/deps.sh --test; none starts a service
readonly RELEASE=trixie
readonly BASE=localhost/tidegate-base
readonly IMAGE=localhost/tidegate
readonly PACKAGE=localhost/tidegate-package
readonly DEPS=localhost/tidegate-deps
# What debian:trixie-slim leaves out.
readonly LEFT_OUT=(usr/share/doc usr/share/man usr/share/info usr/share/groff usr/share/lintian usr/share/locale
	var/lib/apt/lists var/cache/apt/archives)

usage() {
	cat <<TEXT
Usage: tests/container/run.sh [--fresh] [pytest options]

Builds the image and the Debian package, and tests them: about four minutes the first time, two the next.

  --fresh   forget the base and all layers
  --help    this page
TEXT
}

say() {
	printf '==> %d:%02d %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

die() {
	printf 'container: %s\n' "$*" >&2
	exit 1
}

# Runs what is only worth reading when it fails.
quietly() {
	local what=$1
	shift
	if ! "$@" >"$scratch/log" 2>&1 </dev/null; then
		tail -n 40 "$scratch/log" | sed 's/^/  | /' >&2
		die "$what failed"
	fi
}

install_packages() {
	local missing
	deploy/deps.sh --test
	missing=$(for package in "${PACKAGES[@]}"; do
		dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
	done)
	[ -n "$missing" ] || return 0
	say "installing $missing"
	# shellcheck disable=SC2086 # words
	quietly "installing packages" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=300 --no-install-recommends install $missing
}

# --- the base ---------------------------------------------------------------------------------

# Archives that this machine's apt reads: those of Debian itself, or of its security updates.
archives() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1|//p" | sort -u
}

make_base() {
	local root=$scratch/base archive security
	archive=$(archives Debian | head -n 1)
	security=$(archives Debian-Security | head -n 1)
	[ -n "$archive" ] || die "apt-get indextargets names no Debian archive; run apt-get update"
	say "debootstrap $RELEASE"
	quietly debootstrap debootstrap --variant=minbase "$RELEASE" "$root" "$archive"
	printf 'deb %s %s main\n' "$archive" "$RELEASE" >"$root/etc/apt/sources.list"
	[ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$RELEASE" >>"$root/etc/apt/sources.list"
	for path in "${LEFT_OUT[@]}"; do
		[ ! -d "$root/$path" ] || find "$root/$path" -mindepth 1 -delete
	done
	printf 'path-exclude /%s/*\n' "${LEFT_OUT[@]:0:6}" >"$root/etc/dpkg/dpkg.cfg.d/docker"
	# As in that image: what was installed is not kept as a package too.
	cat >"$root/etc/apt/apt.conf.d/docker-clean" <<-'TEXT'
		DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
	TEXT
	tar -C "$root" -cf "$kept/base.tar.part" .
	mv "$kept/base.tar.part" "$kept/base.tar"
	rm -rf "$root"
}

# --- the image --------------------------------------------------------------------------------

# Layers as differences. (The other driver, vfs, keeps a copy of everything for each.)
buildah_here() {
	buildah --root "$kept/storage" --runroot "$scratch/run" --storage-driver overlay "$@"
}

bud() {
	# Of the two formats only Docker's knows health checks.
	buildah_here bud --isolation chroot --format docker --layers --pull-never --build-arg BASE="$BASE" -f docker/Dockerfile "$@" .
}

import_base() {
	local container
	! buildah_here inspect --type image "$BASE" >/dev/null 2>&1 || return 0
	say "the base as an image"
	container=$(buildah_here from scratch)
	quietly "adding the base" buildah_here add "$container" "$kept/base.tar" /
	quietly "committing the base" buildah_here commit --rm "$container" "$BASE"
}

build_images() {
	say "docker/Dockerfile: what it is built with"
	quietly "installing what it is built with" bud --target deps -t "$DEPS"
	say "docker/Dockerfile: the image and the package"
	quietly "building the image" bud --build-arg REVISION="$(git rev-parse HEAD)" -t "$IMAGE"
	quietly "building the package" bud --target package -t "$PACKAGE"
}

# The base and what is built with are kept, some 600 MB; whatever belongs to these sources alone is not.
prune() {
	local before after=
	buildah_here rmi "$IMAGE" "$PACKAGE" >/dev/null 2>&1 || true
	while
		before=$after
		buildah_here rmi --prune >/dev/null 2>&1 || true
		after=$(buildah_here images --all --quiet | sort -u | wc -l)
		[ "$after" != "$before" ]
	do :; done
}

# Folders with the files of each image, and the settings of the one that matters.
export_images() {
	local container
	say "unpacking"
	for image in "$BASE" "$IMAGE" "$PACKAGE"; do
		container=$(buildah_here from --pull-never "$image")
		mkdir "$scratch/${image##*/}"
		cp -a "$(buildah_here mount "$container")/." "$scratch/${image##*/}/"
		quietly "removing the container" buildah_here rm "$container"
	done
	buildah_here inspect --type image "$IMAGE" >"$scratch/image.json"
}

cleanup() {
	# Mounts of a build that was cut short would be followed into.
	grep -o " $kept/storage/[^ ]*" /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
	rm -rf --one-file-system "$scratch"
}

main() {
	local fresh=
	case ${1:-} in
	--help | -h)
		usage
		return
		;;
	--fresh)
		fresh=1
		shift
		;;
	esac
	[ "$(id -u)" = 0 ] || die "only root can mount and change roots"
	kept=${TIDEGATE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tidegate}/container
	mkdir -p "$kept"
	exec 9>"$kept/lock"
	flock 9
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-container.XXXXXX")
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	install_packages
	[ -z "$fresh" ] || rm -rf "$kept"/base.tar "$kept/storage"
	[ -f "$kept/base.tar" ] || make_base
	import_base
	build_images
	export_images
	prune
	say "tests"
	# A network of its own: the image's ports are free there, whatever this machine runs.
	TIDEGATE_IMAGE_FILES=$scratch/tidegate TIDEGATE_BASE_FILES=$scratch/tidegate-base TIDEGATE_IMAGE=$scratch/image.json \
		TIDEGATE_PACKAGE_FILES=$scratch/tidegate-package unshare --net "$PYTHON" -B -m pytest -q -p no:cacheprovider --tb=short --basetemp="$scratch/pytest" \
		tests/container "$@" 9>&-
}

main "$@"
