// Package command is what the commands of virtctl share: the way to the cluster, requests and byte streams of the
// subresource API with the server's own words when it refuses, the targets that users name, output in the form that they ask
// for, completion of names that exist, and a terminal that is left as it was found. It holds no command.
package command
