package simulations

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// percent returns how much garbage there may be, in percent of what is in use.
func percent() int {
	n := debug.SetGCPercent(100)
	debug.SetGCPercent(n)
	return n
}

// The collector waits the longer the less is in use, and then is set as it was.
func TestCollectSeldom(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC is set")
	}
	before := percent()
	restore := CollectSeldom()
	defer restore()
	runtime.GC()
	few := percent()
	if few <= 200 {
		t.Errorf("with little in use it waits for %d%%", few)
	}
	held := make([]byte, 2*maxGarbage)
	for range 100 {
		runtime.GC()
		if percent() == leastPercent {
			break
		}
		time.Sleep(10 * time.Millisecond) // finalizers run on a goroutine of their own
	}
	if got := percent(); got != leastPercent {
		t.Errorf("with much in use it waits for %d%%", got)
	}
	runtime.KeepAlive(held)
	restore()
	if got := percent(); got != before {
		t.Errorf("in the end it is %d%%, before it was %d%%", got, before)
	}
}
