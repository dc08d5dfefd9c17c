package writer

import (
	"context"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestFrom(t *testing.T) {
	for name, want := range map[string]Writer{
		"":                 API,
		"system:apiserver": API,
		"system:serviceaccount:kubevirt:kubevirt-apiserver":    API,
		"system:serviceaccount:kubevirt:kubevirt-controller":   Controller,
		"system:serviceaccount:kubevirt:kubevirt-handler":      Handler,
		"system:serviceaccount:kubevirt:default":               User,
		"system:serviceaccount:kubevirt:user":                  User,
		"system:serviceaccount:evil:kubevirt-handler":          User,
		"system:serviceaccount:kubevirt:kubevirt-handler:more": User,
		"system:serviceaccount:kubevirt":                       User,
		"virt-handler":                                         User,
		"kubernetes-admin":                                     User,
	} {
		ctx := context.Background()
		if name != "" {
			ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: name})
		}
		if got := Namespace("kubevirt").From(ctx); got != want {
			t.Errorf("Writer of %q is %s, want %s", name, got, want)
		}
	}
}
