package authz

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/lru"
)

// forwarded is a user whose name came from kube-apiserver, which proved by its certificate that it may say so.
type forwarded struct{ user.Info }

// FrontProxy is an authenticator that remembers which requests kube-apiserver has forwarded. All others go to next.
func FrontProxy(c *authenticatorfactory.RequestHeaderConfig, next authenticator.Request) authenticator.Request {
	if c == nil {
		return next
	}
	headers := &verifiedOnce{
		verifying: headerrequest.NewDynamicVerifyOptionsSecure(c.CAContentProvider.VerifyOptions, c.AllowedClientNames,
			c.UsernameHeaders, c.UIDHeaders, c.GroupHeaders, c.ExtraHeaderPrefixes),
		trusting: headerrequest.NewDynamic(c.UsernameHeaders, c.UIDHeaders, c.GroupHeaders, c.ExtraHeaderPrefixes),
		options:  c.CAContentProvider.VerifyOptions,
		names:    c.AllowedClientNames,
		now:      time.Now,
		seen:     lru.New(keptCertificates),
	}
	return frontProxy{
		// kube-apiserver's own requests name no group; roles and flow schemas for everybody hold for them too.
		headers: group.NewAuthenticatedGroupAdder(headers),
		next:    next,
	}
}

type frontProxy struct{ headers, next authenticator.Request }

// AuthenticateRequest implements authenticator.Request.
func (f frontProxy) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	resp, ok, err := f.headers.AuthenticateRequest(r)
	if err != nil || !ok {
		// Another certificate, or none: a direct request.
		return f.next.AuthenticateRequest(r)
	}
	resp.User = forwarded{resp.User}
	return resp, true, nil
}

// OnlyForwarded denies requests for objects that kube-apiserver has not forwarded: its audit log would not have them, nor its
// priority levels count them. Whoever may read metrics may read them directly.
func OnlyForwarded() authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		// The server asks itself, by a token that nobody else has.
		if _, ok := a.GetUser().(forwarded); ok || !a.IsResourceRequest() || a.GetUser().GetName() == user.APIServerUser {
			return authorizer.DecisionNoOpinion, "", nil
		}
		return authorizer.DecisionDeny, "objects are served through kube-apiserver only, unless virt-api is started with --allow-direct-requests", nil
	})
}

// Reviewed allows what kube-apiserver has forwarded: it authorizes before it forwards. Where that was not enough, the
// handlers ask again, an authorizer without this one.
func Reviewed() authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if _, ok := a.GetUser().(forwarded); ok {
			return authorizer.DecisionAllow, "authorized by the front proxy", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
}
