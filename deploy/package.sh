#!/usr/bin/env bash
#
# Makes a Debian package of the gateway, for the release of Debian that it runs on.
#
# Promises: what it depends on is read from the program (dpkg-shlibdeps), so it installs where that release's
# libraries are and nowhere else; the same clone makes the same bytes. The package has the program, its manual page and
# completion, the systemd unit, changelog and copyright, and /etc/tidegate/tidegate.yaml, which is the operator's once it is installed. Installing it starts nothing, and an upgrade
# restarts nothing: clients stay until `systemctl restart tidegate`.
# Needs: deploy/deps.sh before, and the package dpkg-dev.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
	cat <<TEXT
Usage: deploy/package.sh [FOLDER]

Builds in FOLDER (default: build-package) and writes FOLDER/tidegate_VERSION_ARCHITECTURE.deb.
TEXT
}

die() {
	printf 'package: %s\n' "$*" >&2
	exit 1
}

# What dpkg-shlibdeps makes of the program: "libc6 (>= 2.38), …".
dependencies() {
	mkdir -p "$work/debian"
	printf 'Source: tidegate\n\nPackage: tidegate\nArchitecture: any\n' >"$work/debian/control"
	(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/tidegate" 2>"$work/log") | sed -n 's/^shlibs:Depends=//p'
}

control() {
	cat <<TEXT
Package: tidegate
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root" | cut -f1)
Depends: $depends
Suggests: redis-server
Section: net
Priority: optional
Description: WebSocket gateway for backends that already speak Redis
 A backend publishes an event in Redis, and every browser that is connected to
 one of any number of gateways receives it. Gateways have no state: they run
 behind a load balancer without sticky sessions. Channels can have a history,
 so that clients that come back get what they missed.
TEXT
}

# Who made the package: DEBEMAIL and DEBFULLNAME, as with dch(1), or what git says.
find_maintainer() {
	local name email
	name=${DEBFULLNAME:-$(git config user.name 2>/dev/null || true)}
	email=${DEBEMAIL:-$(git config user.email 2>/dev/null || true)}
	printf '%s <%s>\n' "${name:-Tidegate packager}" "${email:-tidegate@$(hostname -f 2>/dev/null || echo localhost)}"
}

# debian/changelog has one entry, which points to the real one.
changelog() {
	cat <<TEXT
tidegate ($version) unstable; urgency=medium

  * See CHANGELOG.md, which is in this folder too.

 -- $maintainer  $(date -R -u --date="@$SOURCE_DATE_EPOCH")
TEXT
}

# Without systemd, in a chroot say, there is nothing to do.
postinst() {
	cat <<'TEXT'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload || true
	if [ -n "$2" ] && systemctl is-active --quiet tidegate.service; then
		echo "tidegate: the running gateway is still the old one; systemctl restart tidegate when it suits" >&2
	fi
fi
TEXT
}

prerm() {
	cat <<'TEXT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl disable --now tidegate.service || true
fi
TEXT
}

postrm() {
	cat <<'TEXT'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload || true
fi
TEXT
}

put() {
	install -D -m "$1" "$2" "$root/$3"
}

main() {
	local folder=build-package
	case ${1:-} in
	--help | -h)
		usage
		return
		;;
	-*)
		printf 'package: unknown option %s; deploy/package.sh --help\n' "$1" >&2
		return 2
		;;
	?*) folder=$1 ;;
	esac
	command -v dpkg-shlibdeps >/dev/null || die "dpkg-shlibdeps is missing: apt-get install dpkg-dev"
	deploy/build.sh --release "$folder"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	root=$work/root
	DESTDIR=$root meson install -C "$folder" --no-rebuild >"$work/log" 2>&1 || die "meson install failed: $(tail -n 3 "$work/log")"
	put 644 deploy/systemd/tidegate.service usr/lib/systemd/system/tidegate.service
	put 644 deploy/tidegate.yaml etc/tidegate/tidegate.yaml
	# Times that do not depend on when it is built.
	export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
	version=$("$root/usr/bin/tidegate" version | cut -d' ' -f2)
	maintainer=$(find_maintainer)
	changelog >"$work/changelog"
	gzip -9n "$work/changelog"
	put 644 "$work/changelog.gz" usr/share/doc/tidegate/changelog.gz
	put 644 CHANGELOG.md usr/share/doc/tidegate/CHANGELOG.md
	{ cat LICENSE && printf '\n\n' && cat deploy/third-party.txt; } >"$work/copyright"
	put 644 "$work/copyright" usr/share/doc/tidegate/copyright
	gzip -9n "$root/usr/share/man/man1/tidegate.1"
	architecture=$(dpkg --print-architecture)
	depends=$(dependencies)
	[ -n "$depends" ] || die "dpkg-shlibdeps found no dependency: $(tail -n 3 "$work/log")"
	mkdir "$root/DEBIAN"
	control >"$root/DEBIAN/control"
	echo /etc/tidegate/tidegate.yaml >"$root/DEBIAN/conffiles"
	for script in postinst prerm postrm; do
		"$script" >"$root/DEBIAN/$script"
	done
	chmod 755 "$root"/DEBIAN/p*
	find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group --build "$root" "$folder/tidegate_${version}_$architecture.deb" >/dev/null
	printf '%s\n' "$folder/tidegate_${version}_$architecture.deb"
}

main "$@"
