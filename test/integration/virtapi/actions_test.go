package virtapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

// TestVersionAndHealth asks, as anybody may, what clients ask before all else.
func TestVersionAndHealth(t *testing.T) {
	anybody := must(env.User("nobody-special"))(t)
	for _, c := range []*rest.Config{anybody, env.api.Direct(anybody)} {
		client := must(rest.UnversionedRESTClientFor(forPaths(c)))(t)
		var group metav1.APIGroup
		decode(string(must(client.Get().AbsPath("/apis/subresources.kubevirt.io").DoRaw(t.Context()))(t)), &group)
		if group.PreferredVersion.GroupVersion != "subresources.kubevirt.io/v1" {
			t.Errorf("preferred version %v", group.PreferredVersion)
		}
		for _, v := range []string{"v1", "v1alpha3"} {
			var info version.Info
			raw := must(client.Get().AbsPath("/apis/subresources.kubevirt.io", v, "version").DoRaw(t.Context()))(t)
			if err := json.Unmarshal(raw, &info); err != nil || info.Major != "1" || !strings.HasPrefix(info.GitVersion, "v1.") || info.GoVersion == "" {
				t.Errorf("%s: version %s, error %v", v, raw, err)
			}
			if got := string(must(client.Get().AbsPath("/apis/subresources.kubevirt.io", v, "healthz").DoRaw(t.Context()))(t)); !strings.HasPrefix(got, `{"apiserver":{"connectivity":"ok"},"config-resource-version":"`) {
				t.Errorf("%s: healthz %s", v, got)
			}
		}
	}
}

// forPaths makes a configuration for requests of any path.
func forPaths(c *rest.Config) *rest.Config {
	c = rest.CopyConfig(c)
	c.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return c
}

// act calls an action of a machine in the group of stock clients.
func act(t *testing.T, c *rest.Config, ns, name, action, body string) error {
	t.Helper()
	return must(rest.UnversionedRESTClientFor(forPaths(c)))(t).Put().
		AbsPath("/apis/subresources.kubevirt.io/v1/namespaces", ns, "virtualmachines", name, action).Body([]byte(body)).Do(t.Context()).Error()
}

// TestActions starts and stops a machine through kube-apiserver, with the paths of stock clients and by kubectl alone.
func TestActions(t *testing.T) {
	ns := newNamespace(t)
	c := virt(t, protobuf).KubevirtV1().VirtualMachines(ns)
	must(c.Create(t.Context(), machine("a"), metav1.CreateOptions{}))(t)
	strategy := func() virtv1.VirtualMachineRunStrategy {
		return must(c.Get(t.Context(), "a", metav1.GetOptions{}))(t).Spec.RunStrategy
	}
	if err := act(t, env.Admin, ns, "a", "start", `{"dryRun":["All"]}`); err != nil || strategy() != virtv1.RunStrategyHalted {
		t.Errorf("dry run of start: %v, strategy %s", err, strategy())
	}
	if err := act(t, env.Admin, ns, "a", "start", ""); err != nil || strategy() != virtv1.RunStrategyAlways {
		t.Errorf("start: %v, strategy %s", err, strategy())
	}
	must(virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns).Create(t.Context(), instance("a"), metav1.CreateOptions{}))(t)
	wantError(t, act(t, env.Admin, ns, "a", "start", "{}"), apierrors.IsConflict, "VM is already running")
	if err := act(t, env.Admin, ns, "a", "restart", "gracePeriodSeconds: 0"); err != nil {
		t.Errorf("restart with a body in YAML: %v", err)
	}
	if err := act(t, env.Admin, ns, "a", "stop", `{}`); err != nil || strategy() != virtv1.RunStrategyHalted {
		t.Errorf("stop: %v, strategy %s", err, strategy())
	}
	const path = "/apis/kubevirt.io/v1/namespaces/%s/virtualmachines/b/%s"
	must(c.Create(t.Context(), machine("b"), metav1.CreateOptions{}))(t)
	out := must(env.KubectlRun(t.Context(), "{}", "create", "--raw", fmt.Sprintf(path, ns, "start"), "-f", "-"))(t)
	if !strings.Contains(out, "b is to start") {
		t.Errorf("kubectl create --raw answers %s", out)
	}
	if got := must(c.Get(t.Context(), "b", metav1.GetOptions{}))(t).Spec.RunStrategy; got != virtv1.RunStrategyAlways {
		t.Errorf("after kubectl create --raw the strategy is %s", got)
	}
}

// TestActionsAreAdmitted wants a policy about updates of machines to hold for actions too, and a guest to keep its grace
// period when the action is refused.
func TestActionsAreAdmitted(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	c := virt(t, protobuf).KubevirtV1()
	vm := machine("a")
	vm.Spec.RunStrategy = virtv1.RunStrategyAlways
	must(c.VirtualMachines(ns).Create(ctx, vm, metav1.CreateOptions{}))(t)
	vmi := instance("a")
	vmi.Spec.TerminationGracePeriodSeconds = ptr.To(int64(77))
	must(c.VirtualMachineInstances(ns).Create(ctx, vmi, metav1.CreateOptions{}))(t)

	policies := kube(t).AdmissionregistrationV1()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-stop"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"kubevirt.io"}, APIVersions: []string{"v1"}, Resources: []string{"virtualmachines"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: `object.spec.runStrategy != "Halted" || request.dryRun`, Message: "machines stay up"}},
		},
	}
	must(policies.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}))(t)
	t.Cleanup(func() {
		_ = policies.ValidatingAdmissionPolicies().Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
	})
	must(policies.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}}},
		},
	}, metav1.CreateOptions{}))(t)
	t.Cleanup(func() {
		_ = policies.ValidatingAdmissionPolicyBindings().Delete(context.Background(), policy.Name, metav1.DeleteOptions{})
	})
	eventually(t, "the policy to be in force", func(ctx context.Context) error {
		_, err := c.VirtualMachines(ns).Patch(ctx, "a", "application/merge-patch+json", []byte(`{"spec":{"runStrategy":"Halted"}}`), metav1.PatchOptions{})
		if err == nil {
			_, err = c.VirtualMachines(ns).Patch(ctx, "a", "application/merge-patch+json", []byte(`{"spec":{"runStrategy":"Always"}}`), metav1.PatchOptions{})
			return errors.Join(errors.New("a stop was let through"), err)
		}
		return nil
	})
	err := act(t, env.Admin, ns, "a", "stop", `{"gracePeriod": 0}`)
	wantError(t, err, func(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) }, "machines stay up")
	if got := must(c.VirtualMachines(ns).Get(ctx, "a", metav1.GetOptions{}))(t).Spec.RunStrategy; got != virtv1.RunStrategyAlways {
		t.Errorf("the strategy is %s", got)
	}
	if got := must(c.VirtualMachineInstances(ns).Get(ctx, "a", metav1.GetOptions{}))(t).Spec.TerminationGracePeriodSeconds; got == nil || *got != 77 {
		t.Errorf("the guest's grace period is %v", ptr.Deref(got, -1))
	}
	if err := act(t, env.Admin, ns, "a", "stop", `{"dryRun":["All"]}`); err != nil {
		t.Errorf("the policy does not see that it is a dry run: %v", err)
	}
}

// TestActionsOutliveRules stops a machine whose instance the cluster's configuration would refuse today.
func TestActionsOutliveRules(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	admin := must(versioned.NewForConfig(env.Admin))(t).KubevirtV1()
	vm := machine("a")
	vm.Spec.RunStrategy = virtv1.RunStrategyAlways
	must(admin.VirtualMachines(ns).Create(ctx, vm, metav1.CreateOptions{}))(t)
	gates := func(gates string) {
		t.Helper()
		ctx := context.WithoutCancel(ctx)
		patch := `{"spec":{"configuration":{"developerConfiguration":{"featureGates":` + gates + `}}}}`
		must(admin.KubeVirts("kubevirt").Patch(ctx, "kubevirt", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}))(t)
	}
	gates(`["HostDisk"]`)
	t.Cleanup(func() { gates(`null`) })
	hostDisk := func(name string) *virtv1.VirtualMachineInstance {
		vmi := instance(name)
		decode(`{"domain": {"memory": {"guest": "64Mi"}, "devices": {"disks": [{"name": "d", "disk": {}}]}}, "volumes": [{"name": "d", "hostDisk": {"path": "/d.img", "type": "Disk"}}]}`, &vmi.Spec)
		return vmi
	}
	eventually(t, "the gate to open", func(ctx context.Context) error {
		_, err := admin.VirtualMachineInstances(ns).Create(ctx, hostDisk("a"), metav1.CreateOptions{})
		return err
	})
	gates(`null`)
	eventually(t, "the gate to close", func(ctx context.Context) error {
		if _, err := admin.VirtualMachineInstances(ns).Create(ctx, hostDisk("b"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err == nil {
			return errors.New("an instance with a hostDisk was let through")
		}
		return nil
	})
	if err := act(t, env.Admin, ns, "a", "stop", `{"gracePeriod": 0}`); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := must(admin.VirtualMachineInstances(ns).Get(ctx, "a", metav1.GetOptions{}))(t).Spec.TerminationGracePeriodSeconds; got == nil || *got != 0 {
		t.Errorf("the guest's grace period is %v", ptr.Deref(got, -1))
	}
}

// TestExpand asks what a machine is with its instance type filled in.
func TestExpand(t *testing.T) {
	ns := newNamespace(t)
	client := must(rest.UnversionedRESTClientFor(forPaths(env.Admin)))(t)
	body := `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"a"},"spec":{"template":{"spec":{"domain":{}}}}}`
	result := client.Put().AbsPath("/apis/subresources.kubevirt.io/v1/namespaces", ns, "expand-vm-spec").Body([]byte(body)).Do(t.Context())
	var code int
	raw, err := result.StatusCode(&code).Raw()
	var vm virtv1.VirtualMachine
	if err == nil {
		err = json.Unmarshal(raw, &vm)
	}
	if err != nil || code != http.StatusOK || vm.Kind != "VirtualMachine" || vm.Namespace != ns {
		t.Errorf("%d %s, error %v", code, raw, err)
	}
}
