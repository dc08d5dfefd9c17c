package authz

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/utils/lru"
)

func TestVerifiedOnce(t *testing.T) {
	ca := newAuthority(t)
	first, second := ca.client(t, "one"), ca.client(t, "two")
	now := ca.cert.NotBefore.Add(time.Hour)
	roots, names := x509.NewCertPool(), headerrequest.StaticStringSlice{"one", "two"}
	known, accept, looks := true, true, 0
	v := &verifiedOnce{
		verifying: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
			looks++
			return &authenticator.Response{}, accept, nil
		}),
		trusting: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
			return &authenticator.Response{}, true, nil
		}),
		options: func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{Roots: roots}, known },
		names:   headerrequest.StringSliceProviderFunc(func() []string { return names }),
		now:     func() time.Time { return now },
		seen:    lru.New(keptCertificates),
	}
	ask := func(leaf *x509.Certificate) bool {
		r := &http.Request{Header: http.Header{}}
		if leaf != nil {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		}
		_, ok, err := v.AuthenticateRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for _, step := range []struct {
		name   string
		before func()
		leaf   *x509.Certificate
		looks  int
		ok     bool
	}{
		{"the first request", nil, first, 1, true},
		{"another one of the connection", nil, first, 1, true},
		{"another connection", nil, second, 2, true},
		{"the first again", nil, first, 2, true},
		{"after a minute", func() { now = now.Add(verifiedFor) }, first, 3, true},
		{"new authorities", func() { roots = x509.NewCertPool() }, first, 4, true},
		{"other names", func() { names = []string{"two"} }, first, 5, true},
		{"no authorities", func() { known = false }, first, 6, true},
		{"no certificate", func() { known = true }, nil, 7, true},
		{"refused", func() { accept, roots = false, x509.NewCertPool() }, first, 8, false},
		{"refused is not kept", nil, first, 9, false},
		{"near its end", func() { accept, now = true, first.NotAfter.Add(-time.Second) }, first, 10, true},
		{"before its end", nil, first, 10, true},
		{"at its end", func() { now = first.NotAfter }, first, 11, true},
	} {
		if step.before != nil {
			step.before()
		}
		if ok := ask(step.leaf); ok != step.ok || looks != step.looks {
			t.Errorf("%s: authenticated %t after %d looks, want %t after %d", step.name, ok, looks, step.ok, step.looks)
		}
	}
}
