// Package certs gets the node agent its serving certificate: the key is made in memory and never leaves it, virt-api signs
// it on the word of the agent's token, which is bound to its node. The certificate is renewed in time, without a restart;
// readiness fails before it ends.
//
// The package verifies clients too: only virt-api may talk to the agent. It knows nothing of what is served.
package certs
