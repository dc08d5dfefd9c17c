package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestSign(t *testing.T) {
	ca, caPair, err := NewAuthority("cluster")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPair.Cert) {
		t.Fatal("authority's certificate is not PEM")
	}
	for _, tc := range []struct {
		name     string
		request  Request
		use      x509.ExtKeyUsage
		host     string
		accepted bool
	}{
		{"server by name", Request{Name: "s", Hosts: []string{"api", "10.0.0.1"}}, x509.ExtKeyUsageServerAuth, "api", true},
		{"server by address", Request{Name: "s", Hosts: []string{"api", "10.0.0.1"}}, x509.ExtKeyUsageServerAuth, "10.0.0.1", true},
		{"server by another name", Request{Name: "s", Hosts: []string{"api"}}, x509.ExtKeyUsageServerAuth, "other", false},
		{"server as client", Request{Name: "s", Hosts: []string{"api"}}, x509.ExtKeyUsageClientAuth, "", false},
		{"server that may be client", Request{Name: "s", Hosts: []string{"api"}, Client: true}, x509.ExtKeyUsageClientAuth, "", true},
		{"client", Request{Name: "c", Groups: []string{"g"}}, x509.ExtKeyUsageClientAuth, "", true},
		{"client as server", Request{Name: "c"}, x509.ExtKeyUsageServerAuth, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pair, err := ca.Sign(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
				t.Error(err)
			}
			block, _ := pem.Decode(pair.Cert)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: tc.host, KeyUsages: []x509.ExtKeyUsage{tc.use}})
			if (err == nil) != tc.accepted {
				t.Errorf("verify: %v, want accepted %v", err, tc.accepted)
			}
		})
	}
}

func TestKubeconfig(t *testing.T) {
	b, err := Kubeconfig("local", "https://127.0.0.1:1", "admin", []byte("ca"), Pair{Cert: []byte("c"), Key: []byte("k")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientcmd.RESTConfigFromKubeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "https://127.0.0.1:1" || string(c.CAData) != "ca" || string(c.CertData) != "c" || string(c.KeyData) != "k" {
		t.Errorf("config = %+v", c)
	}
}
