#!/usr/bin/env bash
# Installs what a fresh Debian 12 lacks to build Virtplane, run its local cluster and its tests. Says and does nothing when all
# is there; needs root and the package sources otherwise.
set -euo pipefail

packages=(
	# building: Go's race detector and runc need a C compiler, go-to-protobuf needs protoc
	build-essential git make pkg-config protobuf-compiler libprotobuf-dev libseccomp-dev
	# nodes of the local cluster
	runc nftables iproute2 iptables conntrack socat kmod procps util-linux mount ebtables ethtool
	# disks and file systems
	qemu-utils xfsprogs e2fsprogs dosfstools mtools genisoimage xz-utils zstd
	# guests and the base of the images that carry QEMU
	mmdebstrap busybox-static cpio lz4 flex bison bc debian-archive-keyring qemu-system-x86 ovmf seabios ipxe-qemu swtpm swtpm-tools
	# tests: clients of guests
	curl ca-certificates openssh-client
)

missing=()
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | awk '$2 == "installed" {print $1}' || true)
for p in "${packages[@]}"; do
	grep -qxF "$p" <<<"$installed" || missing+=("$p")
done

# Building the guests downloads packages by name, so package lists must be there too.
lists=yes
apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || lists=

if [ ${#missing[@]} -gt 0 ] || [ -z "$lists" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "deps: missing packages or package lists: ${missing[*]:-lists}; run this as root" >&2
		exit 1
	fi
	echo "deps: installing ${missing[*]:-package lists}"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	{ apt-get update -q && if [ ${#missing[@]} -gt 0 ]; then apt-get install -q -y --no-install-recommends "${missing[@]}"; fi; } >"$log" 2>&1 </dev/null ||
		{ tail -n 30 "$log" >&2; echo "deps: apt-get failed, see above" >&2; exit 1; }
fi

if ! command -v go >/dev/null; then
	echo "deps: Go is missing: install the version that go.mod names" >&2
	exit 1
fi
