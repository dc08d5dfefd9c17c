package main

import "time"

// size is how much a bench does.
type size struct {
	// short says that a run is to show that the bench works, and measures nothing that could be judged.
	short bool

	// accessRounds is how often each way to a guest is measured, in turn with the other's.
	accessRounds int
	// fileMiB is the size of the file that a guest serves.
	fileMiB int
	// frameRounds is how many whole pictures are read from a screen at a time.
	frameRounds int
	// bootFor is given to guests of whom only the screen is seen.
	bootFor time.Duration
	// consoles are held open while seats are counted, seatSamples times.
	consoles, seatSamples int

	// settle passes before memory is read, sampleFor and sampleEvery say how long and how often it is.
	settle, sampleFor, sampleEvery time.Duration

	// pairs of a machine and a plain pod are started one after the other, burst machines at once.
	pairs, burst int
	// burstRest is how long after the last machine its instance's and its events' writes may still be on their way to us.
	burstRest time.Duration

	api apiSize
}

// apiSize is how much bench-api does.
type apiSize struct {
	// pairs is how often both sides are measured.
	pairs int
	// fewMachines are those of the short list, allMachines those of the long one.
	fewMachines, allMachines int
	// watchers see all updates.
	watchers, updates int
	// singleCalls are the patches, and the gets, of each kind.
	singleCalls               int
	listRepeats, watchRepeats int
	// idleFor is until the servers have done what a start brings with it, settleFor until memory that was freed has gone back.
	idleFor, settleFor time.Duration
}

var (
	fullSize = size{
		accessRounds: 5, fileMiB: 32, frameRounds: 30, bootFor: 10 * time.Second, consoles: 30, seatSamples: 20,
		// Samples are taken over a time in which each process has given memory back at least once.
		settle: 60 * time.Second, sampleFor: 60 * time.Second, sampleEvery: 5 * time.Second,
		pairs: 11, burst: 50, burstRest: 5 * time.Second,
		api: apiSize{pairs: 3, fewMachines: 1_000, allMachines: 10_000, watchers: 50, updates: 500, singleCalls: 1_000, listRepeats: 5, watchRepeats: 3,
			idleFor: 20 * time.Second, settleFor: 30 * time.Second},
	}
	shortSize = size{
		short:        true,
		accessRounds: 1, fileMiB: 1, frameRounds: 1, consoles: 1, seatSamples: 2,
		sampleEvery: time.Second,
		pairs:       1, burst: 1, burstRest: time.Second,
		api: apiSize{pairs: 1, fewMachines: 20, allMachines: 100, watchers: 2, updates: 20, singleCalls: 20, listRepeats: 1, watchRepeats: 1},
	}
)
