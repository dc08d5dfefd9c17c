// Package virtctl holds the commands of virtctl: the actions and streams of virtual machines that kubectl has no verb for.
// It speaks to the API server alone, as any client would, and never to nodes. Progress and messages for people go to
// standard error, results to standard output.
package virtctl
