// Package certs makes, renews and hands out the certificates between the components: an authority of the installation, what
// virt-api serves with and shows to nodes, what the members of the store use, and what the agents of nodes serve with.
//
// The leader writes Secrets; every replica reads them and changes over without a restart. Nothing here decides who may ask.
package certs
