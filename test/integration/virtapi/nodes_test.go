package virtapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/test/integration/harness"
)

// agent is the service account of virt-handler with a token that is bound to a node, or to none if that is empty.
func agent(t *testing.T, node string) *rest.Config {
	t.Helper()
	ctx := t.Context()
	k := kube(t)
	if _, err := k.CoreV1().ServiceAccounts(harness.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "kubevirt-handler"}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	// More than the real role gives: what is refused here is refused by virt-api.
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-handler"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"kubevirt.io", "subresources.kubevirt.io"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	}}
	if _, err := k.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "test-handler"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "test-handler"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "kubevirt-handler", Namespace: harness.Namespace}},
	}
	if _, err := k.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	var pod *corev1.Pod
	if node != "" {
		if _, err := k.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		pod = &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "virt-handler-" + node, Namespace: harness.Namespace, Labels: map[string]string{"kubevirt.io": "virt-handler"}},
			Spec:       corev1.PodSpec{NodeName: node, ServiceAccountName: "kubevirt-handler", Containers: []corev1.Container{{Name: "virt-handler", Image: "x"}}},
		}
		made, err := k.CoreV1().Pods(harness.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			made, err = k.CoreV1().Pods(harness.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		pod = made
	}
	config, _, err := env.ServiceAccount(ctx, "kubevirt-handler", pod)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// onNode makes an instance that runs on a node, as virt-controller records it.
func onNode(t *testing.T, ns, name, node string) *virtv1.VirtualMachineInstance {
	t.Helper()
	ctx := t.Context()
	c := must(versioned.NewForConfig(impersonating("system:serviceaccount:kubevirt:kubevirt-controller")))(t).KubevirtV1().VirtualMachineInstances(ns)
	vmi := must(c.Create(ctx, instance(name), metav1.CreateOptions{}))(t)
	vmi.Status.Phase, vmi.Status.NodeName = virtv1.Scheduling, node
	return must(c.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}))(t)
}

// impersonating speaks for a user, with the administrator's rights.
func impersonating(user string) *rest.Config {
	c := rest.CopyConfig(env.Admin)
	c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	return c
}

func TestNodeAuthorizer(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	mine, other := onNode(t, ns, "mine", "node-a"), onNode(t, ns, "other", "node-b")
	bound, unbound := agent(t, "node-a"), agent(t, "")
	for _, way := range []struct {
		name string
		of   func(*rest.Config) *rest.Config
	}{
		{"through kube-apiserver", func(c *rest.Config) *rest.Config { return c }},
		{"directly", env.api.Direct},
	} {
		t.Run(way.name, func(t *testing.T) {
			node := must(versioned.NewForConfig(way.of(bound)))(t).KubevirtV1()
			vmis := node.VirtualMachineInstances(ns)

			list := must(node.VirtualMachineInstances("").List(ctx, metav1.ListOptions{FieldSelector: "status.nodeName=node-a"}))(t)
			if len(list.Items) != 1 || list.Items[0].Name != "mine" {
				t.Errorf("listed %v", list.Items)
			}
			w := must(node.VirtualMachineInstances("").Watch(ctx, metav1.ListOptions{FieldSelector: "status.nodeName=node-a", TimeoutSeconds: ptr.To(int64(5))}))(t)
			if e := <-w.ResultChan(); e.Object.(*virtv1.VirtualMachineInstance).Name != "mine" {
				t.Errorf("watched %v", e)
			}
			w.Stop()
			for name, refused := range map[string]func() error{
				"all instances": func() error { _, err := vmis.List(ctx, metav1.ListOptions{}); return err },
				"another node's": func() error {
					_, err := vmis.List(ctx, metav1.ListOptions{FieldSelector: "status.nodeName=node-b"})
					return err
				},
				"by name":        func() error { _, err := vmis.Get(ctx, "mine", metav1.GetOptions{}); return err },
				"machines":       func() error { _, err := node.VirtualMachines(ns).List(ctx, metav1.ListOptions{}); return err },
				"deleting":       func() error { return vmis.Delete(ctx, "mine", metav1.DeleteOptions{}) },
				"creating":       func() error { _, err := vmis.Create(ctx, instance("x"), metav1.CreateOptions{}); return err },
				"another status": func() error { _, err := vmis.UpdateStatus(ctx, other.DeepCopy(), metav1.UpdateOptions{}); return err },
				"spec":           func() error { _, err := vmis.Update(ctx, mine.DeepCopy(), metav1.UpdateOptions{}); return err },
			} {
				if err := refused(); !apierrors.IsForbidden(err) {
					t.Errorf("%s: error %v, want forbidden", name, err)
				}
			}
			current := must(virt(t, protobuf).KubevirtV1().VirtualMachineInstances(ns).Get(ctx, "mine", metav1.GetOptions{}))(t)
			current.Status.GuestOSInfo.Name = "by update " + way.name
			if _, err := vmis.UpdateStatus(ctx, current, metav1.UpdateOptions{}); err != nil {
				t.Errorf("the status of its own by update: %v", err)
			}
			patch := must(json.Marshal(map[string]any{"status": map[string]any{"guestOSInfo": map[string]any{"name": way.name}}}))(t)
			if _, err := vmis.Patch(ctx, "mine", "application/merge-patch+json", patch, metav1.PatchOptions{}, "status"); err != nil {
				t.Errorf("the status of its own by patch: %v", err)
			}
			if _, err := vmis.Patch(ctx, "other", "application/merge-patch+json", patch, metav1.PatchOptions{}, "status"); !apierrors.IsForbidden(err) {
				t.Errorf("another's status by patch: %v, want forbidden", err)
			}

			_, err := must(versioned.NewForConfig(way.of(unbound)))(t).KubevirtV1().VirtualMachineInstances("").List(ctx, metav1.ListOptions{FieldSelector: "status.nodeName=node-a"})
			wantError(t, err, apierrors.IsForbidden, "bound to no node")
		})
	}
}

func TestForgedHeaders(t *testing.T) {
	// A client that is not kube-apiserver cannot say who it is.
	c := env.api.Direct(&rest.Config{})
	client := must(rest.HTTPClientFor(c))(t)
	req := must(http.NewRequestWithContext(t.Context(), http.MethodGet, c.Host+"/apis/kubevirt.io/v1/virtualmachines", nil))(t)
	req.Header.Set("X-Remote-User", "admin")
	req.Header.Set("X-Remote-Group", "system:masters")
	resp := must(client.Do(req))(t)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s: %s", resp.Status, must(io.ReadAll(resp.Body))(t))
	}
}

func TestOrdinaryUsers(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	must(virt(t, protobuf).KubevirtV1().VirtualMachines(ns).Create(ctx, machine("a"), metav1.CreateOptions{}))(t)
	alice := must(env.User("alice"))(t)
	for _, way := range []*rest.Config{alice, env.api.Direct(alice)} {
		_, err := must(versioned.NewForConfig(way))(t).KubevirtV1().VirtualMachines(ns).Get(ctx, "a", metav1.GetOptions{})
		wantError(t, err, apierrors.IsForbidden, `cannot get resource "virtualmachines"`)
	}
	must(kube(t).RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "alice"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubevirt.io:view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice"}},
	}, metav1.CreateOptions{}))(t)
	for _, way := range []*rest.Config{alice, env.api.Direct(alice)} {
		c := must(versioned.NewForConfig(way))(t).KubevirtV1().VirtualMachines(ns)
		eventually(t, "the role to be in force", func(ctx context.Context) error {
			_, err := c.Get(ctx, "a", metav1.GetOptions{})
			return err
		})
		_, err := c.Create(ctx, machine("b"), metav1.CreateOptions{})
		wantError(t, err, apierrors.IsForbidden, `cannot create resource "virtualmachines"`)
	}
}

// certificate has the certificate of a node signed, as virt-handler does.
func certificate(t *testing.T, c *rest.Config) (*tls.Config, subresourcesv1.NodeCertificateStatus, error) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	csr := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))(t)
	body := must(json.Marshal(subresourcesv1.NodeCertificate{Spec: subresourcesv1.NodeCertificateSpec{
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}),
	}}))(t)
	client := must(rest.HTTPClientFor(c))(t)
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, c.Host+subresourcesv1.NodeCertificatePath, bytes.NewReader(body)))(t)
	req.Header.Set("Content-Type", "application/json")
	resp := must(client.Do(req))(t)
	defer resp.Body.Close()
	b := must(io.ReadAll(resp.Body))(t)
	if resp.StatusCode != http.StatusCreated {
		return nil, subresourcesv1.NodeCertificateStatus{}, fmt.Errorf("%s: %s", resp.Status, b)
	}
	var answer subresourcesv1.NodeCertificate
	if err := json.Unmarshal(b, &answer); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(answer.Status.Certificate)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(answer.Status.CABundle)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
	}, answer.Status, nil
}

func TestNodeCertificateAndConnection(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	config, status, err := certificate(t, agent(t, "node-a"))
	if err != nil {
		t.Fatal(err)
	}
	leaf := must(x509.ParseCertificate(config.Certificates[0].Certificate[0]))(t)
	if err := leaf.VerifyHostname("node:node-a"); err != nil {
		t.Error(err)
	}
	if !status.RenewAfter.Before(&status.NotAfter) || status.NotAfter.Time.Before(time.Now()) {
		t.Errorf("renew after %v, ends %v", status.RenewAfter, status.NotAfter)
	}
	if _, _, err := certificate(t, agent(t, "")); err == nil || !strings.Contains(err.Error(), "bound to no node") {
		t.Errorf("a token that is bound to no node: error %v", err)
	}
	if _, _, err := certificate(t, env.Admin); err == nil || !strings.Contains(err.Error(), "is not the agent of a node") {
		t.Errorf("somebody else: error %v", err)
	}

	// An agent serves with it, and virt-api finds it by its pod.
	asked := make(chan string, 10)
	l := must(tls.Listen("tcp", harness.Address+":8186", config))(t)
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.TLS.PeerCertificates[0].Subject.CommonName + " " + r.Method + " " + r.URL.Path
		w.WriteHeader(http.StatusOK)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })

	vmi := onNode(t, ns, "a", "node-a")
	handler := must(versioned.NewForConfig(agent(t, "node-a")))(t).KubevirtV1().VirtualMachineInstances(ns)
	vmi.Status.Phase = virtv1.Running
	must(handler.UpdateStatus(ctx, vmi, metav1.UpdateOptions{}))(t)
	pause := func() error {
		return virt(t, "application/json").KubevirtV1().RESTClient().Put().
			AbsPath("/apis/subresources.kubevirt.io/v1/namespaces/" + ns + "/virtualmachineinstances/a/pause").Do(ctx).Error()
	}
	wantError(t, pause(), apierrors.IsServiceUnavailable, "pod kubevirt/virt-handler-node-a is not ready")
	pod := must(kube(t).CoreV1().Pods(harness.Namespace).Get(ctx, "virt-handler-node-a", metav1.GetOptions{}))(t)
	pod.Status.PodIP, pod.Status.Phase = harness.Address, corev1.PodRunning
	pod.Status.PodIPs = []corev1.PodIP{{IP: harness.Address}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	must(kube(t).CoreV1().Pods(harness.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}))(t)
	eventually(t, "the agent to be asked", func(context.Context) error { return pause() })
	if got, want := <-asked, "virt-api PUT /v1/namespaces/"+ns+"/virtualmachineinstances/a/pause"; got != want {
		t.Errorf("the agent was asked %q, want %q", got, want)
	}
}

// TestRolesReachEverySubresource compares the roles for people with what is served: who may edit may do and open everything,
// who may view only what asks and changes nothing.
func TestRolesReachEverySubresource(t *testing.T) {
	ns := newNamespace(t)
	ctx := t.Context()
	for _, role := range []string{"admin", "edit", "view"} {
		must(kube(t).RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubevirt.io:" + role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "with-" + role}},
		}, metav1.CreateOptions{}))(t)
	}
	allowed := func(role, group, resource, subresource, verb string) bool {
		t.Helper()
		review := must(kube(t).AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "with-" + role,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Group: group, Resource: resource, Subresource: subresource, Verb: verb},
		}}, metav1.CreateOptions{}))(t)
		return review.Status.Allowed
	}
	eventually(t, "the roles to be in force", func(context.Context) error {
		for _, role := range []string{"admin", "edit", "view"} {
			if !allowed(role, "kubevirt.io", "virtualmachines", "", "get") {
				return fmt.Errorf("%s may not get machines", role)
			}
		}
		return nil
	})
	questions := []string{"virtualmachineinstances/guestosinfo", "virtualmachineinstances/userlist", "virtualmachineinstances/filesystemlist",
		"virtualmachineinstances/objectgraph", "virtualmachines/objectgraph", "virtualmachines/expand-spec"}
	seen := 0
	for _, group := range []string{"kubevirt.io", "subresources.kubevirt.io"} {
		_, body := get(t, "/apis/"+group+"/v1", "application/json")
		var list metav1.APIResourceList
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			resource, subresource, ok := strings.Cut(r.Name, "/")
			if !ok || subresource == "status" || resource == "kubevirts" || subresource == "scale" {
				continue
			}
			seen++
			for _, verb := range r.Verbs {
				// A socket past the network is for whoever runs the cluster, as in the reference, and kubevirt.io:migrate for who drains nodes.
				acts := r.Name != "virtualmachineinstances/vsock" && r.Name != "virtualmachines/migrate"
				for role, want := range map[string]bool{"admin": acts, "edit": acts, "view": slices.Contains(questions, r.Name)} {
					if got := allowed(role, group, resource, subresource, verb); got != want {
						t.Errorf("%s may %s %s of %s: %v, want %v", role, verb, r.Name, group, got, want)
					}
				}
			}
		}
	}
	if seen < 12 {
		t.Errorf("only %d subresources are served", seen)
	}
	for _, tc := range []struct {
		verb, resource string
		admin, edit    bool
	}{
		{"delete", "virtualmachines", true, true},
		{"deletecollection", "virtualmachines", true, false},
		{"list", "virtualmachineinstancemigrations", true, true},
		{"create", "virtualmachineinstancemigrations", false, false}, // kubevirt.io:migrate is for that
		{"update", "kubevirts", false, false},
	} {
		for role, want := range map[string]bool{"admin": tc.admin, "edit": tc.edit} {
			if got := allowed(role, "kubevirt.io", tc.resource, "", tc.verb); got != want {
				t.Errorf("%s may %s %s: %v, want %v", role, tc.verb, tc.resource, got, want)
			}
		}
	}
}
