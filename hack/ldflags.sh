#!/usr/bin/env bash
# Prints the linker flags of a release build: no symbol tables, and the version that every program reports. VERSION
# overrides what git says; it must be a semantic version, as Kubernetes' libraries parse it.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
version=${VERSION:-$(git describe --tags --match 'v[0-9]*' 2>/dev/null || echo "v0.0.0-$(git rev-list --count HEAD 2>/dev/null || echo 0)-g${commit:0:12}")}
tree=clean
git diff --quiet HEAD 2>/dev/null || tree=dirty
at=k8s.io/component-base/version
echo "-s -w -X $at.gitVersion=$version -X $at.gitCommit=$commit -X $at.gitTreeState=$tree"
