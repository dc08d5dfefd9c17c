// Package metrics lets programs show their metrics to those alone who may see them: whoever sends a token whose owner may get the
// path, as the usual accounts of Prometheus may. Names of machines of all namespaces are among the metrics.
//
// It must not collect metrics, and needs no more than two clients of the host cluster: it is for programs of nodes too.
package metrics

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// allowedFor and deniedFor are for how long an answer is remembered.
	allowedFor = 5 * time.Minute
	deniedFor  = 10 * time.Second
	// remembered is how many answers are.
	remembered = 128
	// reviewsPerSecond and reviewsAtOnce bound what strangers can make a program ask kube-apiserver.
	reviewsPerSecond = 2
	reviewsAtOnce    = 10
	reviewTimeout    = 10 * time.Second
)

// Reviews are the requests by which the host cluster says whose a token is and what its owner may do.
type Reviews struct {
	Tokens authenticationclient.TokenReviewInterface
	Access authorizationclient.SubjectAccessReviewInterface
	Clock  clock.PassiveClock
}

// NewReviews asks the cluster that a configuration leads to.
func NewReviews(config *rest.Config, client *http.Client) (Reviews, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return Reviews{}, fmt.Errorf("making a client for token reviews: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return Reviews{}, fmt.Errorf("making a client for access reviews: %w", err)
	}
	return Reviews{Tokens: authentication.TokenReviews(), Access: authorization.SubjectAccessReviews(), Clock: clock.RealClock{}}, nil
}

// SelfSigned is a certificate for showing metrics where no other is given. Who reads them knows the program by nothing else: it lasts
// longer than any process.
func SelfSigned(program string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: program}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Protect answers 401 to a request without a good token, 403 to one whose owner may not get its path, 429 when too many unknown
// tokens come at once, and 503 when the host cluster cannot be asked. All others are next's.
func Protect(reviews Reviews, next http.Handler) http.Handler {
	return &protected{reviews: reviews, next: next, answers: lru.New(remembered), limit: flowcontrol.NewTokenBucketRateLimiter(reviewsPerSecond, reviewsAtOnce)}
}

type protected struct {
	reviews Reviews
	next    http.Handler
	limit   flowcontrol.RateLimiter
	// one review at a time: scrapers are few, and whoever sends many tokens waits for his own.
	mu      sync.Mutex
	answers *lru.Cache
}

// answer is the HTTP status that a token and a path get, http.StatusOK for passing.
type answer struct {
	status int
	text   string
	until  time.Time
}

func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "metrics are shown to who sends a bearer token and may get the non-resource URL "+r.URL.Path, http.StatusUnauthorized)
		return
	}
	if a := p.ask(r.Context(), token, r.URL.Path); a.status != http.StatusOK {
		http.Error(w, a.text, a.status)
		return
	}
	p.next.ServeHTTP(w, r)
}

func (p *protected) ask(ctx context.Context, token, path string) answer {
	key := sha256.Sum256([]byte(path + "\x00" + token))
	if a, ok := p.known(key); ok {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.known(key); ok {
		return a
	}
	if !p.limit.TryAccept() {
		return answer{status: http.StatusTooManyRequests, text: "too many tokens that nobody has asked for yet: try again in a second"}
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	a, err := p.review(ctx, token, path)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Could not find out who may read metrics")
		return answer{status: http.StatusServiceUnavailable, text: "the cluster cannot be asked now who may read metrics"}
	}
	forTime := deniedFor
	if a.status == http.StatusOK {
		forTime = allowedFor
	}
	a.until = p.reviews.Clock.Now().Add(forTime)
	p.answers.Add(key, a)
	return a
}

func (p *protected) known(key [sha256.Size]byte) (answer, bool) {
	found, ok := p.answers.Get(key)
	if !ok {
		return answer{}, false
	}
	a, ok := found.(answer)
	return a, ok && p.reviews.Clock.Now().Before(a.until)
}

func (p *protected) review(ctx context.Context, token, path string) (answer, error) {
	who, err := p.reviews.Tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return answer{}, fmt.Errorf("reviewing a token: %w", err)
	}
	if !who.Status.Authenticated {
		return answer{status: http.StatusUnauthorized, text: "the token is not, or no longer, good in this cluster"}, nil
	}
	user := who.Status.User
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: map[string]authorizationv1.ExtraValue{},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: "get"},
	}
	for name, values := range user.Extra {
		spec.Extra[name] = authorizationv1.ExtraValue(values)
	}
	may, err := p.reviews.Access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return answer{}, fmt.Errorf("reviewing what %s may do: %w", user.Username, err)
	}
	if !may.Status.Allowed {
		return answer{status: http.StatusForbidden, text: fmt.Sprintf("%s may not get the non-resource URL %s: a ClusterRole with nonResourceURLs allows that", user.Username, path)}, nil
	}
	return answer{status: http.StatusOK}, nil
}
