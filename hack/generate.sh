#!/usr/bin/env bash
# Writes everything that is generated: protobuf code and numbers, deepcopy and defaulting functions, OpenAPI definitions, the
# client set, listers, informers and apply configurations. Running it on a clean checkout changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
module=github.com/virtplane/virtplane
apis=(kubevirt/v1)                    # groups with kinds of their own
parts=(cdi/v1beta1)                   # groups whose types are parts of others
boilerplate=hack/boilerplate.go.txt
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

step() { printf '• %s\n' "$*" >&2; }

step "building generators"
go build -o "$bin/" k8s.io/code-generator/cmd/{deepcopy-gen,defaulter-gen,client-gen,lister-gen,informer-gen,applyconfiguration-gen,go-to-protobuf,go-to-protobuf/protoc-gen-gogo} \
	k8s.io/kube-openapi/cmd/openapi-gen golang.org/x/tools/cmd/goimports
export PATH=$bin:$PATH

all=()
for a in "${parts[@]}" "${apis[@]}"; do all+=("$module/pkg/apis/$a"); done
kinds=()
for a in "${apis[@]}"; do kinds+=("$module/pkg/apis/$a"); done
comma() { local IFS=,; echo "$*"; }

step "protobuf"
tree=$bin/src
mkdir -p "$tree/$(dirname $module)" "$tree/k8s.io" "$tree/github.com/gogo"
ln -s "$root" "$tree/$module"
go mod download k8s.io/api k8s.io/apimachinery # an empty module cache has no folder to name
for m in api apimachinery; do ln -s "$(go list -m -f '{{.Dir}}' k8s.io/$m)" "$tree/k8s.io/$m"; done
ln -s "$(go mod download -json github.com/gogo/protobuf@v1.3.2 | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')" "$tree/github.com/gogo/protobuf"
known=$(for m in api apimachinery; do (cd -P "$tree/k8s.io/$m" && find . -name generated.proto -printf "-k8s.io/$m/%P\n" | sed 's,/generated.proto$,,'); done | sort | paste -sd,)
printf 'go 1.26.0\nuse %s\n' "$root" >"$bin/go.work" # lets go list find the module from the tree
(cd "$tree" && GOWORK=$bin/go.work go-to-protobuf --go-header-file "$root/$boilerplate" --output-dir=. --proto-import=. --proto-import=github.com/gogo/protobuf/protobuf \
	--packages "$(comma "${all[@]}")" --apimachinery-packages "$known" >"$bin/protobuf.log" 2>&1) || { cat "$bin/protobuf.log" >&2; exit 1; }

step "deepcopy, defaults"
deepcopy-gen --go-header-file $boilerplate --output-file zz_generated.deepcopy.go "${all[@]}"
defaulter-gen --go-header-file $boilerplate --output-file zz_generated.defaults.go "${kinds[@]}"

step "openapi"
mkdir -p pkg/generated/openapi
openapi-gen --go-header-file $boilerplate --output-dir pkg/generated/openapi --output-pkg $module/pkg/generated/openapi --output-file zz_generated.openapi.go \
	--output-model-name-file zz_generated.model_name.go --report-filename pkg/generated/openapi/violations.report \
	"${all[@]}" k8s.io/api/core/v1 k8s.io/api/autoscaling/v1 k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/api/resource k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version k8s.io/apimachinery/pkg/util/intstr

step "clients"
rm -rf pkg/generated/clientset pkg/generated/listers pkg/generated/informers pkg/generated/applyconfiguration
applyconfiguration-gen --go-header-file $boilerplate --output-dir pkg/generated/applyconfiguration --output-pkg $module/pkg/generated/applyconfiguration "${all[@]}"
client-gen --go-header-file $boilerplate --output-dir pkg/generated/clientset --output-pkg $module/pkg/generated/clientset --clientset-name versioned \
	--apply-configuration-package $module/pkg/generated/applyconfiguration --input-base $module/pkg/apis --input "$(comma "${apis[@]}")" --prefers-protobuf
lister-gen --go-header-file $boilerplate --output-dir pkg/generated/listers --output-pkg $module/pkg/generated/listers "${kinds[@]}"
informer-gen --go-header-file $boilerplate --output-dir pkg/generated/informers --output-pkg $module/pkg/generated/informers \
	--versioned-clientset-package $module/pkg/generated/clientset/versioned --listers-package $module/pkg/generated/listers "${kinds[@]}"
step "done"
