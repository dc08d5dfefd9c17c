package controlplane

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestFilesOfFlags checks that each file a service's flags name is written.
func TestFilesOfFlags(t *testing.T) {
	a, err := NewAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := WriteFiles(root, a); err != nil {
		t.Fatal(err)
	}
	file := regexp.MustCompile(`^--[a-z-]+=(/etc/.*)$`)
	seen := 0
	for _, s := range Services() {
		for _, arg := range s.Args {
			if m := file.FindStringSubmatch(arg); m != nil {
				seen++
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s: %s: %v", s.Name, arg, err)
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d flags name files", seen)
	}
}

// TestFrontProxyIsApart: the certificate that may speak for any user must not come from the authority of
// ordinary clients.
func TestFrontProxyIsApart(t *testing.T) {
	a, err := NewAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := WriteFiles(root, a); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, pkiDir, "front-proxy-client.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "front-proxy-client" || cert.Issuer.CommonName != "virtplane-local-front-proxy" {
		t.Errorf("front proxy's certificate is %s by %s", cert.Subject, cert.Issuer)
	}
}
