package main

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// enoughMemory is how much a migration may have in all before garbage is collected at every turn: with SQLite and
	// the program itself that stays below 200 MiB.
	enoughMemory = 140 << 20
	// muchLive is from which size on what is in use leaves too little room for that, so that it would do nothing else.
	muchLive = 120 << 20
	// rarely is how much garbage there may be below that, in per cent of what is in use.
	rarely = 400
)

// lean has garbage collected rarely while there is little, and early when there is much: of 200,000 phones a migration
// remembers 100 MiB. It gives what sets it back.
func lean() (usual func()) {
	percent := debug.SetGCPercent(rarely)
	limit := debug.SetMemoryLimit(enoughMemory)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// stayLean gives up the limit where more is in use than leaves room below it.
func stayLean() {
	const often = 50
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Uint64() > muchLive {
		debug.SetGCPercent(often)
		debug.SetMemoryLimit(math.MaxInt64)
	}
}
