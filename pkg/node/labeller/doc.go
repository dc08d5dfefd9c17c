// Package labeller writes labels onto this node that say what guests can have of its CPU: models, features, the vendor, what
// of Hyper-V its kernel does, and the machine types of its QEMU. It asks QEMU itself. Launcher pods select nodes by these
// labels, so that it changes none that a guest of this node relies on, and takes none away because it could not find out
// (docs/decisions/0005).
package labeller
