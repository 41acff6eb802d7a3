package simulations

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// How much garbage CollectSeldom lets pile up: as much as is in use, but at least and at most so many bytes.
const (
	leastGarbage = 512 << 20
	mostGarbage  = 2 << 30
)

// garbage returns how much there may be of it, in percent of the bytes in use, so that there are no more than a hundred times as many.
func garbage(inUse uint64) int {
	inUse = max(inUse, leastGarbage/100)
	return int(100 * max(leastGarbage, min(inUse, mostGarbage)) / inUse)
}

// CollectSeldom makes the garbage collector of this program run more seldom until restore is called: a simulation keeps little of what it allocates, and is
// done sooner if garbage piles up for a while. It is never more than 512 MB or, if that is more, than what is in use, up to 2 GB. It is for programs
// that do nothing else meanwhile; if the environment has GOGC, that counts.
func CollectSeldom() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	var mu sync.Mutex
	over := false
	before := debug.SetGCPercent(100)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	// Whenever the collector has run, it is told how much there may be until it runs again.
	var next func(*[4]uintptr)
	next = func(*[4]uintptr) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		metrics.Read(live)
		debug.SetGCPercent(garbage(live[0].Value.Uint64()))
		runtime.SetFinalizer(new([4]uintptr), next)
	}
	next(nil)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		debug.SetGCPercent(before)
	}
}
