package v1

import (
	"crypto/sha1" //nolint:gosec // it tells names apart and protects nothing
	"encoding/hex"

	"k8s.io/apimachinery/pkg/util/validation"
)

// InstanceID is the value of VirtualMachineInstanceIDLabel for an instance: its name, or the beginning of a name that no label
// can hold and a hash of it. Clients that make Services compute it too.
func InstanceID(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha1.Sum([]byte(name)) //nolint:gosec // see above
	hash := hex.EncodeToString(sum[:])[:8]
	return name[:validation.LabelValueMaxLength-len(hash)-1] + "-" + hash
}
