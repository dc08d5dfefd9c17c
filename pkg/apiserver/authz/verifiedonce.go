package authz

import (
	"crypto/x509"
	"net/http"
	"slices"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/utils/lru"
)

// verifiedFor bounds how long a certificate is believed without another look at its chain.
const verifiedFor = time.Minute

// verifiedOnce verifies the front proxy's certificate once for a connection and not with each of its requests: that would
// be a twentieth of what virt-api does.
type verifiedOnce struct {
	// verifying looks at the certificate, trusting only at the headers.
	verifying, trusting authenticator.Request
	options             func() (x509.VerifyOptions, bool)
	names               headerrequest.StringSliceProvider
	now                 func() time.Time

	// seen holds what was verified lately, by certificate: one for each kube-apiserver.
	seen *lru.Cache
}

// keptCertificates is more than a cluster has servers with a connection each.
const keptCertificates = 32

// verified is a certificate whose chain led to these authorities.
type verified struct {
	roots *x509.CertPool
	names []string
	until time.Time
}

// AuthenticateRequest implements authenticator.Request.
func (v *verifiedOnce) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return v.verifying.AuthenticateRequest(r)
	}
	leaf, now := r.TLS.PeerCertificates[0], v.now()
	// Certificates are parsed for each connection, and authorities when they change: the same pointers are the same things.
	options, ok := v.options()
	if !ok {
		return v.verifying.AuthenticateRequest(r)
	}
	names := v.names.Value()
	if kept, ok := v.seen.Get(leaf); ok {
		if k := kept.(verified); k.roots == options.Roots && now.Before(k.until) && slices.Equal(k.names, names) {
			return v.trusting.AuthenticateRequest(r)
		}
	}
	resp, ok, err := v.verifying.AuthenticateRequest(r)
	if ok && err == nil {
		until := now.Add(verifiedFor)
		for _, c := range r.TLS.PeerCertificates {
			if c.NotAfter.Before(until) {
				until = c.NotAfter
			}
		}
		v.seen.Add(leaf, verified{options.Roots, slices.Clone(names), until})
	}
	return resp, ok, err
}
