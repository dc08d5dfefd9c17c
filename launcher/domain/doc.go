// Package domain is the life of one guest: it is started step by step, watched through QMP, paused, stopped and mourned.
// It keeps what a new launcher process must know in a state file and takes a running guest over from there. It must not
// know how a VMI becomes a machine, nor who asks.
package domain
