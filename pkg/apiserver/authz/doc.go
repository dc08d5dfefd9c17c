// Package authz decides, before and beside the delegated authorization, what needs no review by kube-apiserver (requests
// that it has forwarded) and what must never pass (node agents beyond their own node).
//
// It sees a request's attributes only. What a node may write depends on the object, and is checked at admission.
package authz
