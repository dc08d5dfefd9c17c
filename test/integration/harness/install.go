package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// Namespace is where our components run.
const Namespace = "kubevirt"

// Register applies the manifests of virt-api and its store, and leads the Service to this port of the test's own processes.
// Nothing here runs pods, so the workloads of the manifests stay objects.
func (h *Host) Register(ctx context.Context, port int) error {
	if err := h.Install(ctx, "base/config", "base/virt-api", "base/virt-store"); err != nil {
		return err
	}
	if _, err := h.KubectlRun(ctx, "", "apply", "-k", filepath.Join(h.root, "manifests", "base", "virt-api", "auth-reader")); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(h.Admin)
	if err != nil {
		return err
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "virt-api", Namespace: Namespace, Labels: map[string]string{discoveryv1.LabelServiceName: "virt-api"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{Address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To(int32(port)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	if _, err = client.DiscoveryV1().EndpointSlices(Namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, h.apiFile, err = h.ServiceAccount(ctx, "kubevirt-apiserver", nil)
	return err
}

// Install applies folders of the manifests in the namespace of the components, as an overlay does.
func (h *Host) Install(ctx context.Context, folders ...string) error {
	dir := h.TempDir("install")
	root, err := filepath.Rel(dir, h.root)
	if err != nil {
		return err
	}
	kustomization := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: " + Namespace + "\nresources:\n"
	for _, folder := range folders {
		kustomization += "- " + filepath.Join(root, "manifests", folder) + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o644); err != nil {
		return err
	}
	_, err = h.KubectlRun(ctx, "", "apply", "-k", dir)
	return err
}

// ServiceAccount returns the way of a service account of our namespace to the cluster, with a token that is bound to a pod
// if one is named, and a kubeconfig with it.
func (h *Host) ServiceAccount(ctx context.Context, name string, bound *corev1.Pod) (*rest.Config, string, error) {
	client, err := kubernetes.NewForConfig(h.Admin)
	if err != nil {
		return nil, "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(24 * 3600))}}
	file := filepath.Join(h.Dir, name+".kubeconfig")
	if bound != nil {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: bound.Name, UID: bound.UID}
		file = filepath.Join(h.Dir, name+"-"+bound.Name+".kubeconfig")
	}
	var token *authenticationv1.TokenRequest
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		token, err = client.CoreV1().ServiceAccounts(Namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, "", fmt.Errorf("asking for a token of service account %s: %w", name, err)
		}
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["host"] = &clientcmdapi.Cluster{Server: h.url(), CertificateAuthorityData: h.ca.Cert}
	c.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	c.Contexts["host"] = &clientcmdapi.Context{Cluster: "host", AuthInfo: name}
	c.CurrentContext = "host"
	if err := clientcmd.WriteToFile(*c, file); err != nil {
		return nil, "", err
	}
	config, err := clientcmd.NewDefaultClientConfig(*c, nil).ClientConfig()
	if err == nil {
		config.QPS = -1
	}
	return config, file, err
}
