package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Serves finds out that the cluster's API server has an action, before a command makes anything that only the action needs.
// Where a user may not read what is served, the action itself tells.
func (c *Cluster) Serves(ctx context.Context, resource, action string) error {
	served, err := c.served(ctx, resource, action)
	switch {
	case Code(err) == http.StatusForbidden:
		return nil
	case err != nil:
		return fmt.Errorf("finding out what the cluster serves: %w", err)
	case !served:
		return unserved(resource, action)
	}
	return nil
}

func (c *Cluster) served(ctx context.Context, resource, action string) (bool, error) {
	var list metav1.APIResourceList
	if err := c.GetInto(ctx, Group, &list); err != nil {
		if Code(err) == http.StatusNotFound {
			return false, nil // the whole group
		}
		return false, err
	}
	action, _, _ = strings.Cut(action, "/") // as in evacuate/cancel, of which the first part is the resource's
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource+"/"+action }), nil
}

// errUnserved is an action that the cluster does not serve.
type errUnserved string

func (e errUnserved) Error() string { return string(e) }

// IsUnserved says whether an error tells of an action that the cluster does not serve.
func IsUnserved(err error) bool {
	var unserved errUnserved
	return errors.As(err, &unserved)
}

func unserved(resource, action string) error {
	return errUnserved(fmt.Sprintf("the API server of this cluster does not serve %s/%s: update it to a version that does; kubectl get --raw %s lists what it serves", resource, action, Group))
}

// absent tells an action that the cluster does not serve from an object that does not exist: both are answered with "not
// found".
func (c *Cluster) absent(ctx context.Context, where string, err error) error {
	below, ok := strings.CutPrefix(where, Group+"/namespaces/")
	below, _, _ = strings.Cut(below, "?")
	parts := strings.SplitN(below, "/", 4) // NAMESPACE RESOURCE NAME ACTION
	if Code(err) != http.StatusNotFound || !ok || len(parts) < 4 {
		return err
	}
	if served, failed := c.served(ctx, parts[1], parts[3]); failed == nil && !served {
		return unserved(parts[1], parts[3])
	}
	return err
}

// noRoute is absent for answers that are not about an object: a server that knows the action names the object that it misses.
func (c *Cluster) noRoute(ctx context.Context, where string, err error) error {
	if text := strings.ToLower(err.Error()); strings.Contains(text, "could not find the requested resource") || strings.Contains(text, "page not found") {
		return c.absent(ctx, where, err)
	}
	return err
}
