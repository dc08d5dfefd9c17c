// Package chaos kills the system's programs while guests start, run and stop, and takes their store away, and wants three
// things: guests that run are not disturbed, no object that the API has accepted is lost, and all is well again without help.
//
// It must not help: no restart, no deletion, no repair that the system itself or, where a test says so, its administrator
// would not do.
package chaos
