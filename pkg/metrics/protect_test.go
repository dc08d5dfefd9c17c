package metrics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	testingclock "k8s.io/utils/clock/testing"
)

// cluster knows the token "scraper", whose owner may get /metrics, and "tenant", whose may not.
type cluster struct {
	reviews Reviews
	clock   *testingclock.FakeClock
	asked   int
	away    error
	revoked bool
}

func newCluster() *cluster {
	c := &cluster{clock: testingclock.NewFakeClock(time.Now())}
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		c.asked++
		review := a.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview).DeepCopy()
		review.Status.Authenticated = !c.revoked && (review.Spec.Token == "scraper" || review.Spec.Token == "tenant")
		review.Status.User = authenticationv1.UserInfo{Username: review.Spec.Token, Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}}
		return true, review, c.away
	})
	client.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		s := review.Spec
		review.Status.Allowed = s.User == "scraper" && s.Groups[0] == "g" && s.Extra["k"][0] == "v" && s.NonResourceAttributes.Path == "/metrics" && s.NonResourceAttributes.Verb == "get"
		return true, review, nil
	})
	c.reviews = Reviews{client.AuthenticationV1().TokenReviews(), client.AuthorizationV1().SubjectAccessReviews(), c.clock}
	return c
}

func get(h http.Handler, path, authorization string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return w.Code, string(body)
}

func newProtected(c *cluster) http.Handler {
	return Protect(c.reviews, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "up 1") }))
}

func TestProtect(t *testing.T) {
	for _, tc := range []struct {
		name, path, authorization string
		status                    int
		text                      string
	}{
		{"who may", "/metrics", "Bearer scraper", 200, "up 1"},
		{"nobody", "/metrics", "", 401, "who sends a bearer token and may get the non-resource URL /metrics"},
		{"a password", "/metrics", "Basic c2NyYXBlcjo=", 401, "who sends a bearer token"},
		{"an empty token", "/metrics", "Bearer ", 401, "who sends a bearer token"},
		{"a stranger", "/metrics", "Bearer x", 401, "not, or no longer, good"},
		{"who may not", "/metrics", "Bearer tenant", 403, "tenant may not get the non-resource URL /metrics"},
		{"another path", "/debug/pprof", "Bearer scraper", 403, "scraper may not get the non-resource URL /debug/pprof"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status, text := get(newProtected(newCluster()), tc.path, tc.authorization); status != tc.status || !strings.Contains(text, tc.text) {
				t.Errorf("got %d %q, want %d %q", status, text, tc.status, tc.text)
			}
		})
	}
}

func TestAnswersAreRemembered(t *testing.T) {
	c := newCluster()
	h := newProtected(c)
	for range 50 {
		if status, text := get(h, "/metrics", "Bearer scraper"); status != 200 {
			t.Fatalf("got %d %q", status, text)
		}
	}
	if c.asked != 1 {
		t.Errorf("asked %d times", c.asked)
	}
	c.revoked = true
	c.clock.Step(allowedFor + time.Second)
	if status, _ := get(h, "/metrics", "Bearer scraper"); status != 401 {
		t.Errorf("a token that was revoked gets %d", status)
	}
	c.revoked = false
	c.clock.Step(deniedFor + time.Second)
	if status, _ := get(h, "/metrics", "Bearer scraper"); status != 200 {
		t.Errorf("a token that is good again gets %d", status)
	}
}

func TestStrangersAreBounded(t *testing.T) {
	c := newCluster()
	h := newProtected(c)
	refused := 0
	for i := range 1000 {
		if status, _ := get(h, "/metrics", fmt.Sprintf("Bearer x%d", i)); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if c.asked+refused != 1000 || c.asked > 200 {
		t.Errorf("asked %d times for a thousand tokens, refused %d", c.asked, refused)
	}
}

func TestClusterIsAway(t *testing.T) {
	c := newCluster()
	c.away = errors.New("connection refused")
	h := newProtected(c)
	if status, text := get(h, "/metrics", "Bearer scraper"); status != 503 || !strings.Contains(text, "cannot be asked now") {
		t.Errorf("got %d %q", status, text)
	}
	c.away = nil
	if status, _ := get(h, "/metrics", "Bearer scraper"); status != 200 {
		t.Errorf("afterwards got %d", status)
	}
}
