// Package store runs and guards the place where the API's objects live: members of an embedded etcd cluster, the
// client that talks to them or to an external etcd, the store's identity, and its snapshots.
//
// It knows keys, revisions and bytes. What the objects mean, and how they are served, is none of its business.
package store
