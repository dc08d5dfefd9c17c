// Package benches runs each bench in its short form on the local cluster: a bench that nobody runs for a while stops to work
// without anybody's notice.
package benches
