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
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	before := percent()
	restore := CollectSeldom()
	defer restore()
	runtime.GC()
	few := percent()
	if few <= 200 {
		t.Errorf("with little in use it waits for %d%%", few)
	}
	held := make([]byte, 2*leastGarbage)
	for range 100 {
		runtime.GC()
		if percent() == 100 {
			break
		}
		time.Sleep(10 * time.Millisecond) // finalizers run on a goroutine of their own
	}
	if got := percent(); got != 100 {
		t.Errorf("with much in use it waits for %d%%", got)
	}
	runtime.KeepAlive(held)
	restore()
	if got := percent(); got != before {
		t.Errorf("in the end it is %d%%, before it was %d%%", got, before)
	}
}

// What may pile up is as much as is in use, within bounds.
func TestGarbage(t *testing.T) {
	for inUse, want := range map[uint64]int{0: 10_000, 1 << 20: 10_000, 256 << 20: 200, 1 << 30: 100, 2 << 30: 100, 4 << 30: 50, 8 << 30: 25} {
		if got := garbage(inUse); got != want {
			t.Errorf("with %d MB in use it is %d%%, want %d%%", inUse>>20, got, want)
		}
	}
}
