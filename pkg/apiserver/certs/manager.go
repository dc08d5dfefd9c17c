package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/pkg/store"
)

// Secrets that the leader keeps.
const (
	// AuthoritySecret holds the authority.
	AuthoritySecret = "kubevirt-ca"
	// APISecret holds what virt-api serves with and what it shows to nodes and to the store.
	APISecret = "virt-api-certs"
	// StoreSecret holds what members of the store serve with and show to each other. It is mounted into their pods.
	StoreSecret = "virt-store-certs"
)

// Keys of the other Secrets.
const (
	keyServerCert = "server.crt"
	keyServerKey  = "server.key"
	keyClientCert = "client.crt"
	keyClientKey  = "client.key"
	keyCA         = "ca.crt"
)

// StoreService is the headless Service of the store's members.
const StoreService = "virt-store"

// Manager makes and renews everything. Only the leader runs it.
type Manager struct {
	Client kubernetes.Interface
	// Namespace holds the Secrets; Service is that of virt-api.
	Namespace, Service string
	Policy             Policy
	Clock              clock.PassiveClock
}

// Sync brings all Secrets up to date and returns the bundle of authorities.
func (m *Manager) Sync(ctx context.Context) (bundle []byte, err error) {
	now := m.Clock.Now()
	var signer *Pair
	err = m.secret(ctx, AuthoritySecret, func(old map[string][]byte) (data map[string][]byte, err error) {
		data, signer, err = ensureAuthority(old, now, m.Policy)
		bundle = data[keyBundle]
		return data, err
	})
	if err != nil {
		return nil, err
	}
	leaf := func(data, old map[string][]byte, certKey, keyKey string, r Request) (err error) {
		data[certKey], data[keyKey], err = ensureLeaf(old[certKey], old[keyKey], signer, bundle, r, now, m.Policy)
		return err
	}
	err = m.secret(ctx, APISecret, func(old map[string][]byte) (map[string][]byte, error) {
		data := map[string][]byte{keyCA: bundle}
		if err := leaf(data, old, keyServerCert, keyServerKey, m.serving()); err != nil {
			return nil, err
		}
		return data, leaf(data, old, keyClientCert, keyClientKey, Request{
			Name: store.ClientCommonName, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
	})
	if err != nil {
		return nil, err
	}
	return bundle, m.secret(ctx, StoreSecret, func(old map[string][]byte) (map[string][]byte, error) {
		data := map[string][]byte{keyCA: bundle}
		return data, leaf(data, old, keyCert, keyKey, m.storeMember())
	})
}

func (m *Manager) serving() Request {
	host := m.Service + "." + m.Namespace + ".svc"
	return Request{Name: m.Service, Hosts: []string{host, m.Service + "." + m.Namespace, m.Service}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

func (m *Manager) storeMember() Request {
	host := StoreService + "." + m.Namespace + ".svc"
	return Request{
		Name:   store.MemberCommonName,
		Hosts:  []string{host, "*." + host, "localhost", "127.0.0.1", "::1"},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // members are each other's clients
	}
}

// secret creates or updates a Secret if its content changes.
func (m *Manager) secret(ctx context.Context, name string, ensure func(old map[string][]byte) (map[string][]byte, error)) error {
	secrets := m.Client.CoreV1().Secrets(m.Namespace)
	s, err := secrets.Get(ctx, name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("reading Secret %s/%s: %w", m.Namespace, name, err)
	}
	if missing {
		s = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: m.Namespace}, Type: corev1.SecretTypeOpaque}
	}
	data, err := ensure(s.Data)
	if err != nil {
		return fmt.Errorf("making the content of Secret %s/%s: %w", m.Namespace, name, err)
	}
	if !missing && apiequality.Semantic.DeepEqual(s.Data, data) {
		return nil
	}
	s = s.DeepCopy()
	s.Data = maps.Clone(data)
	if missing {
		_, err = secrets.Create(ctx, s, metav1.CreateOptions{})
	} else {
		_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", m.Namespace, name, err)
	}
	klog.FromContext(ctx).Info("Wrote certificates", "secret", klog.KRef(m.Namespace, name))
	return nil
}

// SyncEvery is how often the leader looks: a Secret that somebody deleted is made again, and no certificate ends unseen.
const SyncEvery = 15 * time.Second
