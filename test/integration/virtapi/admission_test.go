package virtapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"

	"github.com/virtplane/virtplane/test/integration/harness"
)

func TestNamespaceLifecycle(t *testing.T) {
	ctx := t.Context()
	vms := func(ns string) interface {
		Create(context.Context, string) error
	} {
		return creator{t, ns}
	}
	wantError(t, vms("missing").Create(ctx, "a"), apierrors.IsNotFound, `namespaces "missing" not found`)

	ns := newNamespace(t)
	if err := vms(ns).Create(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := kube(t).CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a namespace that ends to refuse new machines", func(ctx context.Context) error {
		err := vms(ns).Create(ctx, "b")
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		return fmt.Errorf("error %w", err)
	})
	// The machine waits for its controller, and the namespace for the machine.
	c := virt(t, protobuf).KubevirtV1().VirtualMachines(ns)
	eventually(t, "the machine to be deleted with its namespace", func(ctx context.Context) error {
		vm, err := c.Get(ctx, "a", metav1.GetOptions{})
		if err == nil && vm.DeletionTimestamp == nil {
			err = fmt.Errorf("not deleted")
		}
		return err
	})
	must(c.Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}))(t)
	eventually(t, "the namespace to end", func(ctx context.Context) error {
		_, err := kube(t).CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("error %w", err)
	})
}

type creator struct {
	t  *testing.T
	ns string
}

func (c creator) Create(ctx context.Context, name string) error {
	_, err := virt(c.t, protobuf).KubevirtV1().VirtualMachines(c.ns).Create(ctx, machine(name), metav1.CreateOptions{})
	return err
}

func TestObjectCountQuota(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	const count = "count/virtualmachines.kubevirt.io"
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "q"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{count: resource.MustParse("1")}},
	}
	must(kube(t).CoreV1().ResourceQuotas(ns).Create(ctx, quota, metav1.CreateOptions{}))(t)
	used := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			q, err := kube(t).CoreV1().ResourceQuotas(ns).Get(ctx, "q", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if got := q.Status.Used[count]; got.String() != want {
				return fmt.Errorf("used %s, want %s", got.String(), want)
			}
			if _, ok := q.Status.Used[count]; !ok {
				return fmt.Errorf("not counted yet")
			}
			return nil
		}
	}
	eventually(t, "the quota to be counted", used("0"))
	// Quotas reach virt-api by a watch of its own.
	eventually(t, "the quota to hold", func(ctx context.Context) error {
		if err := (creator{t, ns}).Create(ctx, "a"); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		return used("1")(ctx)
	})
	wantError(t, creator{t, ns}.Create(ctx, "b"), apierrors.IsForbidden, "exceeded quota: q, requested: count/virtualmachines.kubevirt.io=1, used: count/virtualmachines.kubevirt.io=1, limited: count/virtualmachines.kubevirt.io=1")
}

func TestValidatingAdmissionPolicy(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	c := kube(t).AdmissionregistrationV1()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-big-machines"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"kubevirt.io"}, APIVersions: []string{"*"}, Resources: []string{"virtualmachines"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: `!object.metadata.name.startsWith("big")`, Message: "no big machines"}},
		},
	}
	must(c.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}))(t)
	t.Cleanup(func() {
		_ = c.ValidatingAdmissionPolicies().Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
	})
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-big-machines"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        policy.Name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources:    &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}}},
		},
	}
	must(c.ValidatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}))(t)
	t.Cleanup(func() {
		_ = c.ValidatingAdmissionPolicyBindings().Delete(context.Background(), binding.Name, metav1.DeleteOptions{})
	})
	n := 0
	eventually(t, "the policy to be in force", func(ctx context.Context) error {
		n++
		err := creator{t, ns}.Create(ctx, fmt.Sprintf("big-%d", n))
		if apierrors.IsInvalid(err) && strings.Contains(err.Error(), "no big machines") || apierrors.IsForbidden(err) && strings.Contains(err.Error(), "no big machines") {
			return nil
		}
		return fmt.Errorf("error %w", err)
	})
	if err := (creator{t, ns}).Create(ctx, "small"); err != nil {
		t.Error(err)
	}
}

// webhook serves admission reviews and returns how to reach it.
func webhook(t *testing.T, review func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) admissionregistrationv1.WebhookClientConfig {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey(harness.Address, []net.IP{net.ParseIP(harness.Address)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair := must(tls.X509KeyPair(cert, key))(t)
	l := must(tls.Listen("tcp", harness.Address+":0", &tls.Config{Certificates: []tls.Certificate{pair}}))(t)
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ar admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&ar); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ar.Response = review(ar.Request)
		ar.Response.UID = ar.Request.UID
		_ = json.NewEncoder(w).Encode(ar)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://" + l.Addr().String() + "/"), CABundle: cert}
}

func TestMutatingWebhook(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	client := webhook(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		patch := `[{"op": "add", "path": "/metadata/labels", "value": {"hooked": "` + r.Kind.Kind + `"}}]`
		return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(patch), PatchType: ptr.To(admissionv1.PatchTypeJSONPatch)}
	})
	hooks := kube(t).AdmissionregistrationV1().MutatingWebhookConfigurations()
	must(hooks.Create(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "test"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "test.example.com", ClientConfig: client, AdmissionReviewVersions: []string{"v1"},
			SideEffects:       ptr.To(admissionregistrationv1.SideEffectClassNone),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"kubevirt.io"}, APIVersions: []string{"v1"}, Resources: []string{"virtualmachines"}},
			}},
		}},
	}, metav1.CreateOptions{}))(t)
	t.Cleanup(func() { _ = hooks.Delete(context.Background(), "test", metav1.DeleteOptions{}) })
	n := 0
	eventually(t, "the webhook to be called", func(ctx context.Context) error {
		n++
		vm, err := virt(t, protobuf).KubevirtV1().VirtualMachines(ns).Create(ctx, machine(fmt.Sprintf("a-%d", n)), metav1.CreateOptions{})
		if err == nil && vm.Labels["hooked"] != "VirtualMachine" {
			err = fmt.Errorf("labels %v", vm.Labels)
		}
		return err
	})
}
