package authz

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	certutil "k8s.io/client-go/util/cert"
)

// authority signs certificates of clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "test"}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) client(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestFrontProxy(t *testing.T) {
	proxy, other := newAuthority(t), newAuthority(t)
	ca, err := dynamiccertificates.NewStaticCAContent("front-proxy", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.cert.Raw}))
	if err != nil {
		t.Fatal(err)
	}
	config := &authenticatorfactory.RequestHeaderConfig{
		UsernameHeaders:     headerrequest.StaticStringSlice{"X-Remote-User"},
		UIDHeaders:          headerrequest.StaticStringSlice{"X-Remote-Uid"},
		GroupHeaders:        headerrequest.StaticStringSlice{"X-Remote-Group"},
		ExtraHeaderPrefixes: headerrequest.StaticStringSlice{"X-Remote-Extra-"},
		CAContentProvider:   ca,
		AllowedClientNames:  headerrequest.StaticStringSlice{"front-proxy-client"},
	}
	direct := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "direct"}}, true, nil
	})
	for _, tc := range []struct {
		name       string
		authority  *authority
		common     string
		headers    map[string]string
		wantUser   string
		wantGroups []string
		want       authorizer.Decision
	}{
		{"forwarded", proxy, "front-proxy-client", map[string]string{"X-Remote-User": "alice", "X-Remote-Group": "g"}, "alice", []string{"g", "system:authenticated"}, authorizer.DecisionAllow},
		{"kube-apiserver's own", proxy, "front-proxy-client", map[string]string{"X-Remote-User": "system:aggregator"}, "system:aggregator", []string{"system:authenticated"}, authorizer.DecisionAllow},
		{"without a user", proxy, "front-proxy-client", nil, "direct", nil, authorizer.DecisionNoOpinion},
		{"another name", proxy, "somebody", map[string]string{"X-Remote-User": "alice"}, "direct", nil, authorizer.DecisionNoOpinion},
		{"another authority", other, "front-proxy-client", map[string]string{"X-Remote-User": "alice"}, "direct", nil, authorizer.DecisionNoOpinion},
		{"no certificate", nil, "", map[string]string{"X-Remote-User": "alice"}, "direct", nil, authorizer.DecisionNoOpinion},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, "https://x/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.TLS = &tls.ConnectionState{}
			if tc.authority != nil {
				r.TLS.PeerCertificates = []*x509.Certificate{tc.authority.client(t, tc.common)}
			}
			for k, v := range tc.headers {
				r.Header.Set(k, v)
			}
			resp, ok, err := FrontProxy(config, direct).AuthenticateRequest(r)
			if err != nil || !ok {
				t.Fatal(errors.Join(err, errors.New("not authenticated")))
			}
			if resp.User.GetName() != tc.wantUser {
				t.Errorf("user %s, want %s", resp.User.GetName(), tc.wantUser)
			}
			if diff := cmp.Diff(tc.wantGroups, resp.User.GetGroups()); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
			got, _, err := Reviewed().Authorize(t.Context(), authorizer.AttributesRecord{User: resp.User})
			if err != nil || got != tc.want {
				t.Errorf("decision %v, error %v; want %v", got, err, tc.want)
			}
		})
	}
}
