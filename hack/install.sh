#!/usr/bin/env bash
# Installs this checkout into the local cluster and waits until it serves: images into the nodes, the command line into
# .cluster/bin, the manifests into Kubernetes. Running it again installs what has changed since. Whether guests run on KVM is
# settled by the first installation into a cluster: later, change the configuration (kubectl -n kubevirt edit kubevirt).
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=${VIRTPLANE_CLUSTER:-.cluster}
overlay=${1:-}
namespace=kubevirt

kubectl version --request-timeout=20s >/dev/null || { echo 'install: the local cluster does not answer; start it: make cluster-up' >&2; exit 1; }

# The cluster itself remembers which archives it has: their names change with their content.
archives=$(go run ./test/image/cmd/images build)
loaded=$(kubectl -n kube-system get configmap virtplane-local-images -o jsonpath='{.data.archives}' 2>/dev/null || true)
stale=
if [ "$archives" != "$loaded" ]; then
	go run ./test/image/cmd/images load
	stale=$(kubectl -n "$namespace" get deployment,statefulset,daemonset -o name 2>/dev/null || true)
	kubectl -n kube-system create configmap virtplane-local-images --from-literal=archives="$archives" --dry-run=client -o yaml |
		kubectl apply -f - >/dev/null
fi
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(hack/ldflags.sh)" -o "$cluster/bin/virtctl" ./cmd/virtctl
ln -sf virtctl "$cluster/bin/kubectl-virt"

[ -n "$overlay" ] || overlay=$(go run -trimpath ./hack/overlay)
kubectl apply -k "$overlay"
# Images keep their names, so what runs an older one has to start anew.
[ -z "$stale" ] || xargs kubectl -n "$namespace" rollout restart <<<"$stale"
for object in $(kubectl -n "$namespace" get statefulset,deployment,daemonset -o name); do
	kubectl -n "$namespace" rollout status --timeout=5m "$object"
done
kubectl wait --for=condition=Available --timeout=2m apiservice --all
