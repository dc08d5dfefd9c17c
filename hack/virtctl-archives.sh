#!/usr/bin/env bash
# Builds virtctl for the systems that users work on, one archive each: bin/virtctl-VERSION-SYSTEM-ARCHITECTURE.tar.gz, a zip for
# Windows where zip is installed. Give SYSTEM/ARCHITECTURE pairs to build only those; OUT is another directory for them.
set -euo pipefail
cd "$(dirname "$0")/.."
flags=$(hack/ldflags.sh)
version=$(sed -n 's/.*gitVersion=\([^ ]*\).*/\1/p' <<<"$flags")
out=${OUT:-bin}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
for pair in "$@"; do
	os=${pair%/*} arch=${pair#*/}
	name=virtctl-$version-$os-$arch program=virtctl
	[ "$os" = windows ] && program=virtctl.exe
	GOOS=$os GOARCH=$arch CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$work/$program" ./cmd/virtctl
	if [ "$os" = windows ] && command -v zip >/dev/null; then
		(cd "$work" && zip -q "$name.zip" "$program") && mv "$work/$name.zip" "$out/"
	else
		tar -C "$work" --owner=0 --group=0 -czf "$out/$name.tar.gz" "$program"
	fi
	rm "$work/$program"
done
ls -l "$out"/virtctl-"$version"-*
