package simulations

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// maxGarbage is how much garbage CollectSeldom lets pile up, in bytes, where that is more than half of what is in use.
const maxGarbage = 512 << 20

// leastPercent is that half.
const leastPercent = 50

// CollectSeldom makes the garbage collector of this program run more seldom until restore is called: a simulation keeps little of what it allocates, and is
// done sooner if garbage piles up for a while. There is never more of it than 512 MB, or than half of what is in use. It is for programs
// that do nothing else meanwhile; if the environment has GOGC, that counts.
func CollectSeldom() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	var mu sync.Mutex
	over := false
	before := debug.SetGCPercent(leastPercent)
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
		debug.SetGCPercent(int(max(leastPercent, min(100*maxGarbage/max(1, live[0].Value.Uint64()), 10_000))))
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
