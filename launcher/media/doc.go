// Package media writes the small read-only disks through which a guest learns its name, users and network at first
// boot: cloud-init's NoCloud and ConfigDrive. It takes finished data; it must not know where the data comes from.
package media
