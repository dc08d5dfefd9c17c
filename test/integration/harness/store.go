package harness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Store is a member of the store in a process of its own.
type Store struct {
	*Process
	// Data is its folder.
	Data string

	host *Host
	args []string
}

// StoreURL is where the member serves.
const StoreURL = "https://localhost:2379"

// StartStore starts the one member of a store. Its certificates are those that virt-api has put into a Secret.
func (h *Host) StartStore(ctx context.Context, kubeconfig string) (*Store, error) {
	certs, err := h.storeCertificates(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{host: h, Data: h.TempDir("store")}
	s.args = append([]string{
		"store", "--data-dir=" + s.Data, "--members=1", "--node=node-a", "--health-address=127.0.0.1:2381",
	}, s.Flags(certs, kubeconfig)...)
	return s, s.Start()
}

// Flags are what commands that look after the store need.
func (*Store) Flags(certs, kubeconfig string) []string {
	return []string{
		"--name=virt-store-0", "--namespace=" + Namespace, "--kubeconfig=" + kubeconfig,
		"--cert-file=" + filepath.Join(certs, "tls.crt"), "--key-file=" + filepath.Join(certs, "tls.key"), "--ca-file=" + filepath.Join(certs, "ca.crt"),
	}
}

// Start starts the member, for the first time or again.
func (s *Store) Start() (err error) {
	s.Process, err = startProcess(s.host.Dir, "virt-store", s.host.Program("virt-api"), s.args, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Second}
	return s.wait(time.Minute, "readiness", func() error {
		resp, err := client.Get("http://127.0.0.1:2381/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	})
}

// storeCertificates waits for the Secret and writes it into files.
func (h *Host) storeCertificates(ctx context.Context) (string, error) {
	client, err := kubernetes.NewForConfig(h.Admin)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(h.Dir, "store-certs")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		s, err := client.CoreV1().Secrets(Namespace).Get(ctx, "virt-store-certs", metav1.GetOptions{})
		if err != nil {
			if time.Now().After(deadline) {
				return "", fmt.Errorf("waiting for the certificates of the store: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		var errs []error
		for name, b := range s.Data {
			errs = append(errs, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
		return dir, errors.Join(errs...)
	}
}
