package options

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/virtplane/virtplane/pkg/apiserver/scheme"
)

// StoredUID returns the UID of an object as it lies in the store.
func StoredUID(value []byte) (string, error) {
	codec, _, err := scheme.StorageCodec()
	if err != nil {
		return "", err
	}
	obj, err := runtime.Decode(codec, value)
	if err != nil {
		return "", err
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return "", err
	}
	return string(m.GetUID()), nil
}
