#!/usr/bin/env bash
#
# Brings what Tidegate is built from: Debian packages, and the libraries that are pinned and
# built here because no Debian release ships them as we need them (docs/dependencies.md says why).
#
# Promises: installs only packages that are missing and calls apt not at all when none is; starts no
# service; takes a download only with the checksum written below; a prefix is there whole or not at
# all, and its name changes with everything that determines its content.
# Refuses: systems that are not Debian, and downloads from anywhere but the archive that this
# machine's own apt is configured for.

set -euo pipefail
export LC_ALL=C.UTF-8 # sorting and messages that do not depend on the machine

readonly LWS_VERSION=4.3.5
readonly LWS_POOL=pool/main/libw/libwebsockets/libwebsockets_4.3.5.orig.tar.gz
readonly LWS_SHA256=87f99ad32803ed325fceac5327aae1f5c1b417d54ee61ad36cffc8df5f5ab276
readonly HIREDIS_VERSION=1.2.0
readonly HIREDIS_POOL=pool/main/h/hiredis/hiredis_1.2.0.orig.tar.gz
readonly HIREDIS_SHA256=82ad632d31ee05da13b537c124f819eb88e18851d9cb0c30ae0552084811588c
readonly HIREDIS_MIN=1.0
readonly LIBJWT_VERSION=3.3.3
readonly LIBJWT_POOL=pool/main/libj/libjwt3/libjwt3_3.3.3.orig.tar.gz
readonly LIBJWT_SHA256=a562e5548a8e10ac6fcba64a5e6d326c15712211cb54d25242c15e8b3250b4f2

readonly BUILD_PACKAGES=(gcc libc6-dev pkgconf meson ninja-build cmake patch libssl-dev zlib1g-dev
	libevent-dev libcurl4-openssl-dev liburing-dev libyaml-dev libjsmn-dev libjansson-dev esbuild)
readonly TEST_PACKAGES=(libcmocka-dev curl clang llvm libclang-rt-dev clang-format python3-pytest
	python3-cryptography python3-jwt python3-websockets python3-redis python3-yaml python3-jsonschema python3-fastapi python3-uvicorn redis-server openssl iproute2
	nftables prometheus
	haproxy nginx libnginx-mod-stream systemd shellcheck python3-pyflakes mypy nodejs node-typescript
	node-react node-react-dom)
readonly DEMO_PACKAGES=(redis-server curl python3-redis)
readonly SERVICES=(redis-server prometheus haproxy nginx) # of those packages: not to be started

# -fno-semantic-interposition and the like are of no use to a static library; what is here is what
# the rest of Tidegate is hardened with. _FORTIFY_SOURCE is 2 because lws is older than level 3.
readonly C_FLAGS='-O2 -g0 -fno-strict-aliasing -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2'
# Under a sanitizer: lines in its reports, and neither hardening nor inlining that hides from it.
readonly SANITIZED_C_FLAGS='-O1 -g1 -fno-strict-aliasing -fno-omit-frame-pointer -U_FORTIFY_SOURCE'
readonly CMAKE_COMMON=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib
	-DCMAKE_POSITION_INDEPENDENT_CODE=ON)

# What is not compiled cannot be attacked and takes no room in a connection. docs/dependencies.md
# has a line for each of these.
readonly LWS_FLAGS=(
	-DLWS_WITH_STATIC=ON -DLWS_WITH_SHARED=OFF -DLWS_STATIC_PIC=ON
	-DLWS_WITHOUT_TESTAPPS=ON -DLWS_WITH_MINIMAL_EXAMPLES=OFF
	-DLWS_WITH_SSL=ON -DLWS_WITH_ZLIB=OFF -DLWS_WITHOUT_EXTENSIONS=ON
	-DLWS_IPV6=ON -DLWS_UNIX_SOCK=ON -DLWS_WITH_CUSTOM_HEADERS=OFF
	-DLWS_WITHOUT_CLIENT=ON -DLWS_CLIENT_HTTP_PROXYING=OFF -DLWS_SSL_CLIENT_USE_OS_CA_CERTS=OFF
	-DLWS_WITH_TLS_SESSIONS=OFF -DLWS_WITH_CONMON=OFF -DLWS_WITH_CACHE_NSCOOKIEJAR=OFF
	-DLWS_WITH_HTTP2=OFF -DLWS_ROLE_RAW_FILE=OFF -DLWS_WITH_UDP=OFF -DLWS_WITH_NETLINK=OFF
	-DLWS_WITH_HTTP_UNCOMMON_HEADERS=OFF -DLWS_WITH_HTTP_BASIC_AUTH=OFF -DLWS_WITH_FILE_OPS=OFF
	-DLWS_WITH_DIR=OFF -DLWS_WITH_LEJP=OFF -DLWS_WITH_LEJP_CONF=OFF -DLWS_WITH_CBOR=OFF
	-DLWS_WITH_CBOR_FLOAT=OFF -DLWS_WITH_LWSAC=OFF -DLWS_WITH_SECURE_STREAMS=OFF
	-DLWS_WITH_SYS_STATE=OFF -DLWS_WITH_SYS_SMD=OFF -DLWS_WITH_UPNG=OFF -DLWS_WITH_JPEG=OFF
	-DLWS_WITH_DLO=OFF -DLWS_WITH_EVLIB_PLUGINS=OFF
	-DLWS_LOGS_TIMESTAMP=OFF -DLWS_LOG_TAG_LIFECYCLE=OFF
	-DLWS_REPRODUCIBLE=ON -DDISABLE_WERROR=ON
)
readonly HIREDIS_FLAGS=(-DBUILD_SHARED_LIBS=OFF -DDISABLE_TESTS=ON -DENABLE_SSL=OFF)
readonly LIBJWT_FLAGS=(-DWITH_GNUTLS=OFF -DWITH_MBEDTLS=OFF -DWITH_LIBCURL=OFF -DWITH_KCAPI_MD=OFF -DWITH_TESTS=OFF
	-DWITH_JSON_C=OFF -DEXCLUDE_DEPRECATED=ON)
readonly LIBJWT_C_FLAGS=-w # its build makes an error of each warning, and compilers find new ones

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

usage() {
	cat <<TEXT
Usage: deploy/deps.sh [--test] [--demo] [--sanitize KIND]
       deploy/deps.sh --pkg-config-path [--sanitize KIND]

Installs the Debian packages that Tidegate is built with (as root, the missing ones only) and builds
its pinned libraries into a cached private prefix. The second run is over at once.

  --test              also what tests/run.sh needs
  --demo              also what deploy/local.sh needs
  --sanitize KIND     the libraries under a sanitizer, in a prefix of their own: address (gcc, with
                      undefined) or thread (clang); deploy/build.sh -Db_sanitize=… asks for them
  --pkg-config-path   print where the prefix keeps its .pc files, for
                      meson setup -Dpkg_config_path=...; installs and builds nothing
  --help              this page

Environment:
  TIDEGATE_CACHE          where downloads and the prefix are kept
                          (default: \${XDG_CACHE_HOME:-\$HOME/.cache}/tidegate)
  TIDEGATE_DEPS_SOURCES   a folder with libwebsockets_$LWS_VERSION.orig.tar.gz,
                          hiredis_$HIREDIS_VERSION.orig.tar.gz and libjwt3_$LIBJWT_VERSION.orig.tar.gz, to build
                          without network
TEXT
}

# --- speaking ---------------------------------------------------------------------------------

# Everything said goes to stderr: stdout is the answer of --pkg-config-path alone.
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
	bold='' red='' plain=''
fi

say() {
	printf '%sdeps:%s %s\n' "$bold" "$plain" "$*" >&2
}

die() {
	printf '%sdeps: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

# Runs a tool that is only worth reading when it fails.
quietly() {
	local what=$1
	shift
	if ! "$@" >"$log" 2>&1 </dev/null 9>&-; then
		tail -n 25 "$log" | sed 's/^/  | /' >&2
		die "$what failed; the whole output is in $log"
	fi
}

# --- packages ---------------------------------------------------------------------------------

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
	local package
	for package in "$@"; do
		installed "$package" || printf '%s\n' "$package"
	done | sort -u
}

candidate() {
	apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '^(none)$' || true
}

distribution_hiredis() {
	local version
	version=$(dpkg-query -W -f='${Version}' libhiredis-dev 2>/dev/null) &&
		installed libhiredis-dev && dpkg --compare-versions "$version" ge "$HIREDIS_MIN"
}

# Packages start their services when they are installed. A Redis that nobody asked for would take
# the port of one that somebody did, and of Prometheus only promtool is wanted. So the packages' own
# question "may I?" is answered with no for these, and handed on to whoever answered it before for
# everything else.
policy=/usr/sbin/policy-rc.d

policy_put() {
	if [ -e "$policy" ] && [ ! -e "$policy.before-tidegate" ]; then
		mv "$policy" "$policy.before-tidegate"
	fi
	cat >"$policy" <<-TEXT
		#!/bin/sh
		# Put here by Tidegate's deploy/deps.sh for the time of one apt-get call.
		for word in "\$@"; do
			case \$word in redis* | prometheus* | haproxy* | nginx*) exit 101 ;; esac
		done
		[ -x $policy.before-tidegate ] && exec $policy.before-tidegate "\$@"
		exit 0
	TEXT
	chmod 755 "$policy"
	policy_is_ours=1
}

policy_restore() {
	[ -n "${policy_is_ours:-}" ] || return 0
	if [ -e "$policy.before-tidegate" ]; then
		mv -f "$policy.before-tidegate" "$policy"
	else
		rm -f "$policy"
	fi
	policy_is_ours=
}

apt_install() {
	env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
		-o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"
}

# Lists that are absent or older than what the archive holds are the common reason of a failure, so
# they are fetched only then: an update takes longer than all the rest on some machines.
apt_update() {
	say "packages: fetching apt's lists"
	apt-get -qq -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 </dev/null ||
		say "packages: apt-get update reported errors (see $log); going on with what it has"
}

packages_known() {
	local package
	for package in "$@"; do
		[ -n "$(candidate "$package")" ] || return 1
	done
}

install_packages() {
	local service
	packages_known "$@" || apt_update
	say "packages: installing $*"
	policy_put
	if ! apt_install "$@" >"$log" 2>&1 </dev/null 9>&-; then
		apt_update
		quietly "installing packages" apt_install "$@"
	fi
	policy_restore
	for service in "${SERVICES[@]}"; do
		case " $* " in
		*" $service "*)
			# Nor at the next start of the machine. Neither tool is there on every system.
			deb-systemd-helper disable "$service.service" >/dev/null 2>&1 || true
			update-rc.d "$service" disable >/dev/null 2>&1 || true
			;;
		esac
	done
}

ensure_packages() {
	local -a missing
	mapfile -t missing <<<"$(missing_of "$@")"
	[ -n "${missing[0]}" ] || missing=()
	# Only where nothing is cached yet is the distribution's hiredis worth a look at apt.
	if ! distribution_hiredis && ! prefix_ready 2>/dev/null; then
		[ -n "$(candidate libhiredis-dev)" ] || [ "$(id -u)" != 0 ] || apt_update
		if dpkg --compare-versions "$(candidate libhiredis-dev)" ge "$HIREDIS_MIN"; then
			missing+=(libhiredis-dev)
		fi
	fi
	[ "${#missing[@]}" -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] ||
		die "packages are missing and only root may install them. Type:
  sudo apt-get install --no-install-recommends ${missing[*]}
and then the same command again."
	install_packages "${missing[@]}"
}

# --- sources ----------------------------------------------------------------------------------

checksum_is() {
	[ -f "$1" ] && [ "$(sha256sum <"$1")" = "$2  -" ]
}

# A mirror list, as cloud images have them: one URI a line, options behind a tab.
mirror_list() {
	local list=$1 file
	case $list in
	mirror+file:*)
		file=${list#mirror+file:}
		;;
	*)
		file=$work/mirrors
		/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "${list#mirror+}" "$file" \
			>>"$log" 2>&1 || return 0
		;;
	esac
	sed -n 's/^[[:space:]]*\([a-z+]*:[^[:space:]#]*\).*/\1/p' "$file" 2>/dev/null || true
}

# The archives that this machine's apt reads, the security archive last: the pool we need is the
# main one's.
archives() {
	local uri
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed 's/^Debian|/0|/; s/^[^0|][^|]*|/1|/' | sort -u | cut -d'|' -f2- | awk '!seen[$0]++' |
		while read -r uri; do
			case ${uri%/} in
			mirror*) mirror_list "${uri%/}" ;;
			cdrom:*) ;;
			*) printf '%s\n' "$uri" ;;
			esac
		done
}

# apt's own helper downloads: it is on every Debian, and it knows apt's proxies and certificates.
download() {
	local pool=$1 sum=$2 target=$3 uri
	local -a tried
	# A container image without lists: apt does not know its archives before it has fetched them.
	[ -n "$(archives)" ] || [ "$(id -u)" != 0 ] || apt_update
	mapfile -t tried <<<"$(archives)"
	[ -n "${tried[0]}" ] ||
		die "apt-get indextargets names no archive to download ${target##*/} from; run apt-get update, or set TIDEGATE_DEPS_SOURCES to a folder that holds the file"
	for uri in "${tried[@]}"; do
		if /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=3 download-file \
			"${uri%/}/$pool" "$target.part" >>"$log" 2>&1 </dev/null && checksum_is "$target.part" "$sum"; then
			mv "$target.part" "$target"
			return 0
		fi
		rm -f "$target.part"
	done
	tail -n 10 "$log" | sed 's/^/  | /' >&2
	die "${target##*/} with its checksum is at none of: ${tried[*]} (set TIDEGATE_DEPS_SOURCES to a folder that holds it)"
}

# Prints the path of a checked tarball.
source_of() {
	local pool=$1 sum=$2 name=${1##*/} given
	local target=$cache/sources/$name
	if [ -n "${TIDEGATE_DEPS_SOURCES:-}" ]; then
		given=$TIDEGATE_DEPS_SOURCES/$name
		[ -f "$given" ] || die "TIDEGATE_DEPS_SOURCES is set but there is no $given"
		checksum_is "$given" "$sum" || die "$given is not the file we pinned (SHA-256 $sum)"
		printf '%s\n' "$given"
		return
	fi
	if ! checksum_is "$target" "$sum"; then
		mkdir -p "$cache/sources"
		say "$name: downloading"
		: >"$log"
		download "$pool" "$sum" "$target"
	fi
	printf '%s\n' "$target"
}

# --- the prefix -------------------------------------------------------------------------------

# What the sanitizer asked for wants: its flags and its compiler, which is that of the gateway's own build.
sanitize_with() {
	case $1 in
	'') c_flags=$C_FLAGS ;;
	address) c_flags="$SANITIZED_C_FLAGS -fsanitize=address,undefined" CC=gcc ;;
	thread) c_flags="$SANITIZED_C_FLAGS -fsanitize=thread" CC=clang ;;
	*)
		printf 'deps: --sanitize wants address or thread\n' >&2
		exit 2
		;;
	esac
	sanitizer=$1
	[ -z "$sanitizer" ] || export CC
}

# The distribution's is under no sanitizer.
uses_distribution_hiredis() {
	[ -z "$sanitizer" ] && distribution_hiredis
}

# Everything that determines what is in the prefix, on one page.
recipe() {
	local hiredis=$HIREDIS_SHA256 patch
	uses_distribution_hiredis && hiredis=distribution
	printf '%s\n' "$LWS_SHA256" "$hiredis" "$LIBJWT_SHA256" "$c_flags" "${CMAKE_COMMON[*]}" "${LWS_FLAGS[*]}" \
		"${HIREDIS_FLAGS[*]}" "${LIBJWT_FLAGS[*]}" "$LIBJWT_C_FLAGS" \
		"$(uname -m)"
	"${CC:-cc}" --version 2>/dev/null | head -n 1 || true
	dpkg-query -W -f='${Package} ${Version}\n' libc6-dev libssl-dev zlib1g-dev libjansson-dev 2>/dev/null || true
	for patch in "$here"/patches/*/*.patch; do
		[ -f "$patch" ] && cat "$patch"
	done
	return 0
}

prefix_find() {
	prefix=$cache/deps-$(recipe | sha256sum | cut -c1-16)
}

prefix_ready() {
	prefix_find
	[ -d "$prefix/lib/pkgconfig" ]
}

unpack() {
	mkdir "$2"
	quietly "unpacking ${1##*/}" tar -xzf "$1" -C "$2" --strip-components=1
}

build_with_cmake() {
	local what=$1 source=$2
	shift 2
	quietly "configuring $what" cmake -S "$source" -B "$source.build" "${CMAKE_COMMON[@]}" \
		-DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_C_FLAGS="$c_flags" "$@"
	quietly "building $what" cmake --build "$source.build"
	quietly "installing $what" env DESTDIR="$work/root" cmake --install "$source.build"
}

# Of one library, in the order of their numbers.
apply_patches() {
	local patch
	for patch in "$here/patches/$1"/*.patch; do
		[ -f "$patch" ] || continue
		quietly "applying ${patch##*/}" patch -d "$2" -p1 --fuzz=0 --no-backup-if-mismatch -i "$patch"
	done
}

build_lws() {
	local tarball
	tarball=$(source_of "$LWS_POOL" "$LWS_SHA256")
	say "libwebsockets $LWS_VERSION: building${sanitizer:+ under the $sanitizer sanitizer} (about half a minute)"
	unpack "$tarball" "$work/lws"
	apply_patches libwebsockets "$work/lws"
	# With git's ceiling here, lws' build does not print the version of whatever clone is around.
	GIT_CEILING_DIRECTORIES=$work build_with_cmake libwebsockets "$work/lws" "${LWS_FLAGS[@]}"
}

build_hiredis() {
	local tarball
	tarball=$(source_of "$HIREDIS_POOL" "$HIREDIS_SHA256")
	say "hiredis $HIREDIS_VERSION: building${sanitizer:+ under the $sanitizer sanitizer}"
	unpack "$tarball" "$work/hiredis"
	build_with_cmake hiredis "$work/hiredis" "${HIREDIS_FLAGS[@]}"
}

# It always makes a shared library and tools too; next to the .so the linker would not take the .a. Its .pc file would
# have OpenSSL and jansson linked statically with it, where updates of the distribution do not reach them.
build_libjwt() {
	local tarball
	tarball=$(source_of "$LIBJWT_POOL" "$LIBJWT_SHA256")
	say "libjwt $LIBJWT_VERSION: building${sanitizer:+ under the $sanitizer sanitizer}"
	unpack "$tarball" "$work/libjwt"
	apply_patches libjwt "$work/libjwt"
	build_with_cmake libjwt "$work/libjwt" "${LIBJWT_FLAGS[@]}" -DCMAKE_C_FLAGS="$c_flags $LIBJWT_C_FLAGS"
	rm -rf "$work/root$prefix"/lib/libjwt.so* "$work/root$prefix"/bin "$work/root$prefix"/share/man
	sed -i '/^Requires:/d; /^Libs.private:/d' "$work/root$prefix/lib/pkgconfig/libjwt.pc"
}

# Installed beside, then renamed: a build that was cut short is never taken for a finished one.
build_prefix() {
	build_lws
	uses_distribution_hiredis || build_hiredis
	build_libjwt
	mv "$work/root$prefix" "$prefix"
}

# --- the command ------------------------------------------------------------------------------

cleanup() {
	policy_restore
	[ -z "${work:-}" ] || rm -rf "$work"
}

cache_find() {
	cache=${TIDEGATE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tidegate}
	case $cache in
	/*) ;;
	*) cache=$PWD/$cache ;;
	esac
}

print_pkg_config_path() {
	prefix_ready || die "the pinned libraries are not built yet for this checkout; run deploy/deps.sh"
	printf '%s\n' "$prefix/lib/pkgconfig"
}

prepare() {
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! flock -n 9; then
		say "waiting for another run to finish"
		flock 9
	fi
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	rm -rf "$cache"/build.* # of a run that was killed: we hold the lock
	work=$(mktemp -d "$cache/build.XXXXXX")
	log=$cache/deps.log
}

main() {
	local -a packages=("${BUILD_PACKAGES[@]}")
	local print='' sanitize=''
	while [ $# -gt 0 ]; do
		case $1 in
		--test) packages+=("${TEST_PACKAGES[@]}") ;;
		--demo) packages+=("${DEMO_PACKAGES[@]}") ;;
		--pkg-config-path) print=1 ;;
		--sanitize)
			sanitize=${2:-none}
			shift $(($# < 2 ? 0 : 1))
			;;
		--help | -h)
			usage
			return 0
			;;
		*)
			printf 'deps: unknown option %s; deploy/deps.sh --help lists them\n' "$1" >&2
			return 2
			;;
		esac
		shift
	done
	sanitize_with "$sanitize"
	command -v dpkg-query >/dev/null 2>&1 || die "this is not Debian: packages are not looked after here; docs/dependencies.md lists what to install"
	cache_find
	if [ -n "$print" ]; then
		print_pkg_config_path
		return
	fi
	prepare
	ensure_packages "${packages[@]}"
	if ! prefix_ready; then
		build_prefix
	fi
	say "ready: $prefix"
}

main "$@"
