// Package virtctl is the command line for virtual machines: the actions and streams that kubectl has no verb for, and manifests
// that nobody likes to write by hand. It speaks to the API server alone, as any client would, and never to nodes. Progress and
// messages for people go to standard error, results to standard output. Each group of commands has a package of its own; what
// they share is in command.
package virtctl
