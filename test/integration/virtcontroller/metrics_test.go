package virtcontroller

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/test/integration/harness"
)

// TestMetricsNeedARight reads virt-controller's metrics as nobody, as an account that may get /metrics, as those of Prometheus
// may, and as one that may not.
func TestMetricsNeedARight(t *testing.T) {
	ctx := t.Context()
	account := func(name string) *rest.Config {
		t.Helper()
		if _, err := env.kube.CoreV1().ServiceAccounts(harness.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		config, _, err := env.ServiceAccount(ctx, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	scraper, tenant := account("scraper"), account("tenant")
	if _, err := env.kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := env.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "scraper"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "scraper", Namespace: harness.Namespace}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: waitFor} //nolint:gosec // its certificate is of its own making
	await(t, "virt-controller serves metrics", func() bool {
		conn, err := net.Dial("tcp", metricsAddress)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	get := func(path, token string) (int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+metricsAddress+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	ask := func(token string) (int, string) { return get("/metrics", token) }
	if code, body := get("/healthz", ""); code != http.StatusOK || !strings.Contains(body, `"config-resource-version":"`) {
		t.Errorf("health: %d %.100s", code, body)
	}
	if code, body := ask(""); code != http.StatusUnauthorized {
		t.Errorf("nobody: %d %.100s", code, body)
	}
	if code, body := ask(tenant.BearerToken); code != http.StatusForbidden {
		t.Errorf("who may not: %d %.100s", code, body)
	}
	if code, body := ask(scraper.BearerToken); code != http.StatusOK || !strings.Contains(body, "rest_client_requests_total") {
		t.Errorf("who may: %d %.100s", code, body)
	}
}
