package virtapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/virtplane/virtplane/test/integration/harness"
)

func TestFirstConfiguration(t *testing.T) {
	c := virt(t, protobuf).KubevirtV1().KubeVirts(harness.Namespace)
	eventually(t, "the first KubeVirt object", func(ctx context.Context) error {
		_, err := c.Get(ctx, "kubevirt", metav1.GetOptions{})
		return err
	})
	eventually(t, "the ConfigMap to say so", func(ctx context.Context) error {
		cm, err := kube(t).CoreV1().ConfigMaps(harness.Namespace).Get(ctx, "kubevirt-config-initial", metav1.GetOptions{})
		if err == nil && cm.Annotations["virtplane.io/created-in-store"] == "" {
			err = fmt.Errorf("annotations %v", cm.Annotations)
		}
		return err
	})
}

func TestAPIServicesAreKept(t *testing.T) {
	c := must(aggregator.NewForConfig(env.Admin))(t).ApiregistrationV1().APIServices()
	const name = "v1alpha3.subresources.kubevirt.io"
	before := must(c.Get(t.Context(), name, metav1.GetOptions{}))(t)
	if len(before.Spec.CABundle) == 0 || before.Spec.InsecureSkipTLSVerify || before.Annotations["virtplane.io/ready-at"] == "" {
		t.Errorf("%+v", before)
	}
	if err := c.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the APIService to come back", func(ctx context.Context) error {
		_, err := c.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	available(t)
}

func TestHealthMetricsAndProfiling(t *testing.T) {
	code, body, err := env.api.Get("/readyz?verbose")
	if err != nil || code != http.StatusOK {
		t.Errorf("%d %s %v", code, body, err)
	}
	for _, check := range []string{"store", "certificates", "groups", "informer-sync"} {
		if !strings.Contains(body, "[+]"+check+" ok") {
			t.Errorf("readyz lacks %s:\n%s", check, body)
		}
	}
	if code, body, err := env.api.Get("/metrics"); err != nil || code != http.StatusForbidden {
		t.Errorf("metrics for anybody: %d %.100s %v", code, body, err)
	}
	direct := env.api.Direct(env.Admin)
	client := must(rest.HTTPClientFor(direct))(t)
	ask := func(path string) (int, string) {
		resp := must(client.Do(must(http.NewRequestWithContext(t.Context(), http.MethodGet, direct.Host+path, nil))(t)))(t)
		defer resp.Body.Close()
		return resp.StatusCode, string(must(io.ReadAll(resp.Body))(t))
	}
	_, metrics := ask("/metrics")
	for _, m := range []string{"virtplane_store_proved 1", "apiserver_request_duration_seconds_bucket", "apiserver_flowcontrol_"} {
		if !strings.Contains(metrics, m) {
			t.Errorf("metrics lack %s", m)
		}
	}
	if code, _ := ask("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiling answers %d", code)
	}
	if code, _ := ask("/livez"); code != http.StatusOK {
		t.Errorf("livez answers %d", code)
	}
}

func TestRefusesForeignCRDs(t *testing.T) {
	ctx := t.Context()
	services := must(aggregator.NewForConfig(env.Admin))(t).ApiregistrationV1().APIServices()
	// As if another installation were there: its definition is, and our APIService is not.
	env.api.Stop()
	if code := env.api.ExitCode(); code != 0 {
		t.Errorf("virt-api ended with %d:\n%s", code, env.api.Tail(20))
	}
	if err := services.Delete(ctx, "v1.kubevirt.io", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	must(env.KubectlRun(ctx, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: virtualmachines.kubevirt.io},
		spec: {group: kubevirt.io, scope: Namespaced, names: {kind: VirtualMachine, plural: virtualmachines}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}`,
		"apply", "-f", "-"))(t)
	if err := env.api.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "virt-api to refuse", func(context.Context) error {
		code, _, err := env.api.Get("/readyz")
		if err == nil && code == http.StatusOK {
			t.Fatal("virt-api is ready over another installation")
		}
		if err == nil && !strings.Contains(env.api.Tail(200), "kubectl delete crd virtualmachines.kubevirt.io") {
			err = fmt.Errorf("it does not say why")
		}
		return err
	})
	must(env.KubectlRun(ctx, "", "delete", "crd", "virtualmachines.kubevirt.io"))(t)
	eventually(t, "the definition's own APIService to end", func(ctx context.Context) error {
		s, err := services.Get(ctx, "v1.kubevirt.io", metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && s.Spec.Service != nil {
			return nil
		}
		return fmt.Errorf("error %w", err)
	})
	start := time.Now()
	available(t)
	t.Logf("taken over after %v", time.Since(start))
}
