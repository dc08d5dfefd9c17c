// Package writer tells which component of the system sent a request, from the authenticated user of its context.
// Strategies use it to keep each part of an object with its one writer (decision 7). It must not decide access: that is
// the authorizer's.
package writer

import (
	"context"
	"strings"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// Writer is who sent a request.
type Writer string

// The writers that strategies tell apart.
const (
	// User is everybody who is not one of the components below: people, and administrators that repair an object.
	User Writer = "user"
	// Controller is virt-controller.
	Controller Writer = "virt-controller"
	// Handler is virt-handler on some node.
	Handler Writer = "virt-handler"
	// API is virt-api itself, through its loopback client or its own service account.
	API Writer = "virt-api"
)

const (
	serviceAccountPrefix = "system:serviceaccount:"
	loopbackUser         = "system:apiserver"
)

// Namespace is where the components run; service accounts of the same names elsewhere are ordinary users.
type Namespace string

// From tells the writer of a request. A request without a user is one that virt-api makes to itself.
func (n Namespace) From(ctx context.Context) Writer {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return API
	}
	name := u.GetName()
	if name == loopbackUser {
		return API
	}
	account, ok := strings.CutPrefix(name, serviceAccountPrefix)
	if !ok {
		return User
	}
	namespace, account, ok := strings.Cut(account, ":")
	if !ok || namespace != string(n) {
		return User
	}
	if w, ok := accounts[account]; ok {
		return w
	}
	return User
}

// accounts are the service accounts of the components (names of the reference, row P1-SEC-10).
var accounts = map[string]Writer{
	"kubevirt-controller": Controller,
	"kubevirt-handler":    Handler,
	"kubevirt-apiserver":  API,
}
