package command

import "os"

// endingSignals end the program while the terminal is raw.
var endingSignals = []os.Signal{os.Interrupt}

// endBy ends this program as Windows ends one that Ctrl+C was typed to.
func endBy(os.Signal) { os.Exit(ExitInterrupted) }
