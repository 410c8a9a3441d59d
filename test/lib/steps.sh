# Shell functions shared by ./quickstart, ./test/run and the scripts below test/. To be sourced by bash.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KATA_CACHE=${KATA_CACHE:-$REPO/.cache}
JOBS=$(nproc)
export KATA_CACHE

# seconds_since START: what passed since START (an $EPOCHREALTIME), as "1.23".
seconds_since() {
	local us=$((${EPOCHREALTIME/./} - ${1/./}))
	printf '%d.%02d' $((us / 1000000)) $((us / 10000 % 100))
}

# step TEXT COMMAND [ARG...]: runs the command with its output in a file, prints the text and the time it
# took. If it fails, the end of its output is shown and the script ends.
step() {
	local text=$1 start=$EPOCHREALTIME log rc
	shift
	log=$(mktemp "${TMPDIR:-/tmp}/kata-step.XXXXXX")
	printf '%-46s ' "$text"
	if "$@" >"$log" 2>&1 </dev/null; then
		printf '%8s s\n' "$(seconds_since "$start")"
		rm -f "$log"
		return
	fi
	rc=$?
	printf 'failed after %s s; the end of its output:\n' "$(seconds_since "$start")"
	tail -n 60 "$log" | sed 's/^/  | /'
	rm -f "$log"
	exit "$rc"
}

# need_root: the runtime mounts, makes namespaces and starts virtual machines.
need_root() {
	[ "$(id -u)" -eq 0 ] && return
	echo "${0##*/}: must be run as root: it installs packages, mounts and starts virtual machines" >&2
	exit 1
}

# packages GROUP...: the packages of these groups of test/lib/packages.
packages() {
	local group
	for group; do
		awk -v group="$group" '$1 == group { print $2 }' "$REPO/test/lib/packages"
	done
}

# install_packages GROUP...: installs what is missing. No service is started: Debian's policy-rc.d says no
# while packages are unpacked, as containerd is wanted as a program only.
install_packages() {
	local wanted missing policy=/usr/sbin/policy-rc.d made= rc=0
	wanted=$(packages "$@" | sort -u)
	# shellcheck disable=SC2086 # names have no spaces
	missing=$(comm -23 <(echo "$wanted") \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
			sed -n 's/^installed //p' | sort -u))
	[ -n "$missing" ] || return 0
	echo "missing:" $missing
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		made=yes
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o Acquire::Retries=3 update &&
		# shellcheck disable=SC2086
		apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 \
			install --no-install-recommends $missing || rc=$?
	[ -z "$made" ] || rm -f "$policy"
	return "$rc"
}

# configure PRESET [OPTION...] and build PRESET [TARGET...]: CMake's presets, all cores, warnings as errors in CI.
configure() {
	local preset=$1 werror=OFF
	shift
	[ "${CI:-}" != true ] || werror=ON
	cmake -S "$REPO" --preset "$preset" -DKATA_WERROR=$werror "$@"
}

build() {
	local preset=$1
	shift
	cmake --build "$REPO/build/$preset" -j "$JOBS" ${1:+--target "$@"}
}

build_release() {
	configure release -DKATA_TESTS=OFF && build release
}

# cached NAME KEY COMMAND [ARG...]: prints the path of the file or directory that COMMAND ARG... PATH makes, from
# the cache if it was made before with the same KEY. Older versions of it are removed.
cached() {
	local name=$1 key=$2 path
	shift 2
	path=$KATA_CACHE/$name-$(printf '%s' "$key" | sha256sum | cut -c 1-16)
	mkdir -p "$KATA_CACHE"
	(
		flock 9 # two builds may share a cache
		[ -e "$path" ] && exit
		rm -rf "$KATA_CACHE/$name"-*
		"$@" "$path.new" >&2 && mv "$path.new" "$path"
	) 9>"$KATA_CACHE/$name.lock" || return
	echo "$path"
}

# busybox_image: the path of the image that quickstart and the tests run, made by test/lib/image.
IMAGE=localhost/busybox:latest
busybox_image() {
	cached image.tar "$(cat "$REPO/test/lib/image" /bin/busybox | sha256sum)" \
		"$REPO/test/lib/image" "$IMAGE"
}

# newer NAME SUITE PROGRAM PACKAGE...: the path of the packages that a later suite of Debian has, unpacked.
newer() {
	local name=$1
	shift
	cached "$name" "$(cat "$REPO/test/lib/newer-package")" "$REPO/test/lib/newer-package" "$@"
}

NEWER_SUITES='trixie forky'
newer_containerd() { # newer_containerd SUITE
	newer "containerd-$1" "$1" usr/bin/containerd containerd
}

newer_docker() { # newer_docker SUITE
	newer "docker-$1" "$1" usr/sbin/dockerd docker.io docker-cli
}

# newer_valgrind: that of Debian 12 knows no pidfd_open(2).
newer_valgrind() {
	newer valgrind trixie usr/bin/valgrind valgrind
}

# newer_virtiofsd: the one in Rust, with the libraries that it needs and their loader.
newer_virtiofsd() {
	newer virtiofsd trixie usr/lib64/ld-linux-x86-64.so.2 virtiofsd libc6 libcap-ng0 libgcc-s1 libseccomp2
}

# newer_erofs: the mkfs.erofs that containerd's snapshotter calls, which takes tar archives, likewise.
newer_erofs() {
	newer erofs trixie usr/lib64/ld-linux-x86-64.so.2 erofs-utils libc6 libdeflate0 liblz4-1 liblzma5 libpcre2-8-0 \
		libselinux1 libuuid1 libxxhash0 libzstd1 zlib1g
}

newer_containerds() {
	local suite
	for suite in $NEWER_SUITES; do
		newer_containerd "$suite" || return
	done
}

newer_dockers() {
	local suite
	for suite in $NEWER_SUITES; do
		newer_docker "$suite" || return
	done
}
