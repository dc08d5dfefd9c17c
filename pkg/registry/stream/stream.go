// Package stream relays upgraded connections between clients and the agents of nodes, byte by byte. It knows neither what
// flows nor who may see it.
package stream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Subprotocol is the one that streams of virtual machines speak over WebSockets: plain bytes in binary frames.
const Subprotocol = "plain.kubevirt.io"

const protocolHeader = "Sec-Websocket-Protocol"

// private are headers that are between the client and this server, or between this server and the one in front of it.
var private = []string{"Authorization", "Cookie", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"}

// Handler relays to a location. Errors before the connection is upgraded go to the responder; what the agent answers instead
// of upgrading goes to the client as it is.
func Handler(location *url.URL, transport http.RoundTripper, responder rest.Responder) http.Handler {
	relay := proxy.NewUpgradeAwareHandler(location, transport, false, true, proxy.NewErrorResponder(unreachable{responder}))
	relay.UseLocationHost = true
	relay.RejectForwardingRedirects = true
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		relay.ServeHTTP(w, forwarded(r))
	})
}

// unreachable says of errors that are none of the API's what they mean: the agent could not be reached.
type unreachable struct{ rest.Responder }

func (u unreachable) Error(err error) {
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
		err = apierrors.NewServiceUnavailable(fmt.Sprintf("could not reach the agent of the node: %v", err))
	}
	u.Responder.Error(err)
}

// forwarded is the request without what is not the agent's to see. Browsers carry their token as a second subprotocol; only
// the one that the agent speaks goes on, and is what the client gets echoed.
func forwarded(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	for _, name := range private {
		out.Header.Del(name)
	}
	for name := range out.Header {
		if strings.HasPrefix(name, "X-Remote-") || strings.HasPrefix(name, "Impersonate-Extra-") {
			out.Header.Del(name)
		}
	}
	if protocols := offered(r.Header); slices.Contains(protocols, Subprotocol) {
		out.Header.Set(protocolHeader, Subprotocol)
	} else {
		out.Header.Del(protocolHeader)
	}
	return out
}

func offered(h http.Header) []string {
	var out []string
	for _, line := range h.Values(protocolHeader) {
		for p := range strings.SplitSeq(line, ",") {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}
