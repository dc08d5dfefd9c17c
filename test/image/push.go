package image

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push sends the image of an archive to a registry under another name, with the credentials of the user's Docker or Podman
// configuration. It returns the name with the image's digest.
func Push(ctx context.Context, archive, ref string) (string, error) {
	a, err := Open(archive)
	if err != nil {
		return "", err
	}
	defer a.Close()
	to, err := name.NewTag(ref)
	if err != nil {
		return "", fmt.Errorf("%s cannot name an image: %w", ref, err)
	}
	img, err := a.Image()
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", archive, err)
	}
	if err := remote.Write(to, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("pushing %s: %w", ref, err)
	}
	return to.String() + "@" + digest.String(), nil
}
