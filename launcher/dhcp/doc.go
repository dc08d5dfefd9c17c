// Package dhcp gives one guest its one address. It is a DHCPv4 server with a single lease, on the bridge between the
// guest and the pod's network; it answers nobody but the card with the lease's Ethernet address. It must not configure
// any network itself.
package dhcp
