// Package disk finds, checks and makes the images behind a guest's disks. Images of users are hostile: they are looked
// at by qemu-img in a process with limits before QEMU may open them, and what could lead QEMU to other files is
// refused. The package must not know the API types.
package disk
