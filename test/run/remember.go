package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/guest"
)

// readTheTree are packages whose tests have other programs read this checkout, or build it: go test cannot know when their
// results are old.
var readTheTree = []string{
	module + "/test/archives", module + "/test/cluster", module + "/test/cluster/build", module + "/test/image/programs", module + "/test/repo", module + "/test/run",
}

// fingerprint names all that the tests of packages that start Debian's programs depend on and go test does not know of: the
// versions of the programs, the kernel, the recipes of the guests that they boot, and what the user may do.
func fingerprint(ctx context.Context) (string, error) {
	h := sha256.New()
	versions, err := exec.CommandContext(ctx, "dpkg-query", "-W").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the versions of Debian's packages: %w", err)
	}
	h.Write(versions)
	keys, err := guest.Keys()
	if err != nil {
		return "", err
	}
	fmt.Fprintln(h, keys)
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("asking for the kernel's version: %w", err)
	}
	h.Write(bytes.Join([][]byte{u.Release[:], u.Version[:]}, nil))
	fmt.Fprintln(h, os.Geteuid())
	for _, device := range []string{"/dev/kvm", "/dev/net/tun", "/dev/vhost-net", "/dev/fuse"} {
		_, err := os.Stat(device)
		fmt.Fprintln(h, device, err == nil)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// remember makes go test remember results together with a fingerprint. It keeps them by its flags, of which this one asks to
// skip tests of a name that none has.
func remember(fingerprint string) string { return "-skip=^outside-" + fingerprint + "$" }
