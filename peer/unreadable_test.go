package peer

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// A log that cannot be read for a peer is told as long as that is so, and no longer, whether or not anybody still wants what is in it. What could
// not be sent is sent once it can be read.
func TestUnreadableLog(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("the peer has gone=%v", gone), func(t *testing.T) {
			inWire(t, false, func(t *testing.T, w *wire) {
				s := w.stores[0]
				damaged := func() bool { return errors.Is(s.Status().Err, errRead) }
				w.disconnect()
				for i := range 300 {
					put(t, s, "k", i)
				}
				s.merge() // what was just written is in memory, what was merged is not
				w.disks[0].damaged.Store(true)
				w.connect()
				w.lasts("the log cannot be read", damaged)
				if gone {
					w.disconnect()
				}
				put(t, s, "k", -1) // own writes work
				for range 100 {
					if w.sleep(time.Minute); !damaged() {
						t.Fatalf("the log cannot be read, and Status().Err = %v", s.Status().Err)
					}
				}
				w.disks[0].damaged.Store(false)
				if took := w.lasts("the log can be read", func() bool { return s.Status().Err == nil }); took > rereadInterval+time.Second {
					t.Errorf("that the log can be read again is noticed after %v", took)
				}
				if gone {
					w.connect()
				}
				w.sleep(15 * time.Minute)
				converged(t, w.stores[:]...)
				if err := s.Status().Err; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
