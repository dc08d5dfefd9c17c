// Package archives tests the archives of virtctl for the systems that users work on, as hack/virtctl-archives.sh makes them. It
// must need no cluster.
package archives
