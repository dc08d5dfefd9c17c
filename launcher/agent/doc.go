// Package agent speaks with the QEMU guest agent. What comes back is the guest's word: every answer is bounded in size
// and time and is cleaned before anybody shows it. The package must not decide when to ask.
package agent
