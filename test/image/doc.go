// Package image builds container images without a container engine.
//
// It turns base root file systems (tar files) and single files into an OCI image archive: one tar with an
// OCI image layout, which `ctr images import` takes and [Open] reads back for a push to a registry. The same
// input gives the same bytes: entries are sorted, times are the Unix epoch, layers are stored uncompressed
// (they never leave the machine, so compression would only cost time).
//
// The package must not run programs, fetch anything or know which images the project has; callers say that.
package image
