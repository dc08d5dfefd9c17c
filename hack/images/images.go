// Package images holds the recipe of the root file system under the images that carry QEMU: a shell script
// and its list of packages.
//
// It must not build anything by itself: package guest, which builds all that Debian's packages make, does.
package images

import "embed"

// Files are the recipe's files; base.sh builds.
//
//go:embed base.sh base-customize.sh base-packages.txt base-virtiofsd.sh
var Files embed.FS
