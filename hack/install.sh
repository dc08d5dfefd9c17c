#!/usr/bin/env bash
# Installs this checkout into the local cluster (or the one that KUBECONFIG names) and waits until it serves.
set -euo pipefail
cd "$(dirname "$0")/.."
overlay=${1:-manifests/overlays/local}
namespace=${NAMESPACE:-kubevirt}

kubectl apply -k "$overlay"
for kind in statefulset deployment daemonset; do
	for object in $(kubectl -n "$namespace" get "$kind" -o name); do
		kubectl -n "$namespace" rollout status --timeout=5m "$object"
	done
done
kubectl wait --for=condition=Available --timeout=2m apiservice/v1.kubevirt.io apiservice/v1.subresources.kubevirt.io
