// Package body reads the bodies of actions in subresources.kubevirt.io. Stock clients leave them out, or send JSON or YAML
// without saying which; the server's own decoding takes none of that, and no dryRun in the query of what it serves as a
// connection. The package does no action.
package body

import (
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// maxLength is far more than the options of an action need.
const maxLength = 1 << 20

// Decode reads a body that may be missing, and be JSON or YAML.
func Decode(body io.Reader, into any) error {
	if body == nil {
		return nil
	}
	limited := &io.LimitedReader{R: body, N: maxLength + 1}
	err := yaml.NewYAMLOrJSONDecoder(limited, 1024).Decode(into)
	switch {
	case limited.N <= 0:
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxLength))
	case err == nil, errors.Is(err, io.EOF):
		return nil
	}
	return apierrors.NewBadRequest(fmt.Sprintf("Can not unmarshal Request body to struct, error: %s", err))
}
