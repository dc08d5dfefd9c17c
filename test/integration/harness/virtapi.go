package harness

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

// VirtAPI is a virt-api process that kube-apiserver forwards to.
type VirtAPI struct {
	*Process
	// Args are the flags that it was started with.
	Args []string
	Port int

	host *Host
}

// Groups are the API services that virt-api serves.
var Groups = []struct{ Group, Version string }{
	{"kubevirt.io", "v1"},
	{"kubevirt.io", "v1alpha3"},
	{"subresources.kubevirt.io", "v1"},
	{"subresources.kubevirt.io", "v1alpha3"},
}

// StartVirtAPI starts virt-api, after Register, with these flags beside those that every one needs.
func (h *Host) StartVirtAPI(name string, port int, flags ...string) (*VirtAPI, error) {
	v := &VirtAPI{host: h, Port: port}
	v.Args = append([]string{
		"--kubeconfig=" + h.apiFile,
		"--authentication-kubeconfig=" + h.apiFile,
		"--authorization-kubeconfig=" + h.apiFile,
		"--namespace=" + Namespace,
		fmt.Sprintf("--secure-port=%d", port),
		"--bind-address=" + Address,
		"--v=2",
	}, flags...)
	return v, v.start(name)
}

func (v *VirtAPI) start(name string) (err error) {
	v.Process, err = startProcess(v.host.Dir, name, v.host.Program("virt-api"), v.Args, nil)
	return err
}

// Program is the path of one of our programs.
func (h *Host) Program(name string) string { return filepath.Join(h.Dir, "bin", name) }

// Restart starts the process again after it has ended.
func (v *VirtAPI) Restart() error {
	<-v.Done()
	return v.start(v.Name)
}

// Direct is a configuration that talks to virt-api without kube-apiserver.
func (v *VirtAPI) Direct(c *rest.Config) *rest.Config {
	d := rest.CopyConfig(c)
	d.Host = fmt.Sprintf("https://%s:%d", Address, v.Port)
	d.Insecure, d.CAData, d.CAFile = true, nil, ""
	return d
}

// Get asks a path of virt-api directly, without credentials.
func (v *VirtAPI) Get(path string) (int, string, error) {
	c := v.Direct(&rest.Config{})
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return 0, "", err
	}
	client.Timeout = 3 * time.Second
	resp, err := client.Get(c.Host + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b := make([]byte, 16<<10)
	n, _ := resp.Body.Read(b)
	return resp.StatusCode, string(b[:n]), nil
}

// WaitReady waits until virt-api says that it is ready.
func (v *VirtAPI) WaitReady(limit time.Duration) error {
	return v.wait(limit, "readiness", func() error {
		code, body, err := v.Get("/readyz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d: %s", code, body)
		}
		return err
	})
}

// WaitAvailable waits until kube-apiserver forwards to virt-api.
func (h *Host) WaitAvailable(ctx context.Context, v *VirtAPI, limit time.Duration) error {
	services, err := aggregator.NewForConfig(h.Admin)
	if err != nil {
		return err
	}
	err = v.wait(limit, "availability", func() error {
		for _, g := range Groups {
			s, err := services.ApiregistrationV1().APIServices().Get(ctx, g.Version+"."+g.Group, metav1.GetOptions{})
			if err != nil {
				return err
			}
			ok := false
			reason := "no condition yet"
			for _, c := range s.Status.Conditions {
				if c.Type == apiregistrationv1.Available {
					ok, reason = c.Status == apiregistrationv1.ConditionTrue, c.Reason+": "+c.Message
				}
			}
			if !ok {
				return fmt.Errorf("APIService %s: %s", s.Name, reason)
			}
			// kube-apiserver itself learns it a little later.
			if err := services.RESTClient().Get().AbsPath("/apis", g.Group, g.Version).Do(ctx).Error(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.startControllers()
}

// TempDir makes a folder for a store or other files that end with the test run.
func (h *Host) TempDir(name string) string {
	dir, err := os.MkdirTemp(h.Dir, name+"-")
	if err != nil {
		panic(err)
	}
	return dir
}

// Client is a typed client that talks to virt-api without kube-apiserver.
func (v *VirtAPI) Client(c *rest.Config) (versioned.Interface, error) {
	return versioned.NewForConfig(v.Direct(c))
}
