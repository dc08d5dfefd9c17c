// Package commands holds virtctl against virt-api: each command needs something that acts on it, or says that there is nothing yet.
package commands
