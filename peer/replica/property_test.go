package replica_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// TestRandomSchedules lets rapid choose what goes wrong and when, and asserts, at every step and after healing:
// replicas that hold the same changes show the same; what they show is what the oracle says; nothing that
// was acknowledged to its author is lost, whatever crashed; within a bounded time after the network heals, all
// hold everything; watchers see causes before effects; what is kept for peers stays within bounds; and no
// honest device ever refuses another's message. One of the devices may be a liar, which goes back to an earlier disk of its own and goes
// on as if nothing had been: all this holds for the others all the same, who come to hold every branch of its log. Rapid prints how to replay a failure.
func TestRandomSchedules(t *testing.T) {
	faults := map[string]int{}
	rapid.Check(t, func(t *rapid.T) { randomSchedule(t, faults) })
	if t.Failed() {
		return
	}
	t.Logf("faults: %v", faults)
	if faults["runs"] < 100 {
		return // too few to expect each of them
	}
	for _, fault := range []string{"dropped", "swallowed", "doubled", "late", "overtaken", "gap", "crash before fsync", "crash after fsync",
		"lost at a device that was down", "forgot its peers", "new actor", "a message between two writes", "compared with the oracle",
		"a liar went back", "a liar's log is forked", "compared with the oracle, forked"} {
		if faults[fault] == 0 {
			t.Errorf("no run had the fault %q: of %v", fault, slices.Sorted(maps.Keys(faults)))
		}
	}
}

// FuzzRandomSchedules runs the same property on schedules that the fuzzer finds.
func FuzzRandomSchedules(f *testing.F) {
	faults := map[string]int{}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { randomSchedule(t, faults) }))
}

func randomSchedule(t *rapid.T, faults map[string]int) {
	limits := replica.Limits{
		Window:         rapid.SampledFrom([]int{1, 2_000, 4 << 20}).Draw(t, "window"),
		PendingBatches: rapid.SampledFrom([]int{1, 8, 4096}).Draw(t, "pending"),
		MaxInFlight:    rapid.SampledFrom([]int{1, 3, 1024}).Draw(t, "in flight"),
		AnnounceBytes:  rapid.SampledFrom([]int{400, 128 << 10}).Draw(t, "announce"),
	}
	n := rapid.IntRange(2, 5).Draw(t, "devices")
	w, err := newNetwork(rapid.Uint64().Draw(t, "seed"), n, rapid.Bool().Draw(t, "gossip"), limits)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	if n > 2 && rapid.Bool().Draw(t, "a liar") {
		w.liar = w.devices[n-1]
		w.liar.liar = true
		must(w.liar.start())
	}
	device := rapid.IntRange(0, n-1)
	percent := rapid.SampledFrom([]int{0, 0, 10, 50})
	t.Repeat(map[string]func(*rapid.T){
		"": func(t *rapid.T) { must(w.check(limits)) },
		"commit": func(t *rapid.T) {
			must(w.commit(device.Draw(t, "device"), randomOps(t)))
		},
		"commit again": func(t *rapid.T) {
			i := device.Draw(t, "device")
			for range rapid.IntRange(1, 4).Draw(t, "times") {
				must(w.commit(i, randomOps(t)))
			}
		},
		"commit at": func(t *rapid.T) {
			must(w.commitAt(device.Draw(t, "device"), randomOps(t)))
		},
		"commit together": func(t *rapid.T) {
			must(w.together(device.Draw(t, "device"), randomOps(t), randomOps(t)))
		},
		"link": func(t *rapid.T) {
			must(w.link(device.Draw(t, "a"), device.Draw(t, "b")))
		},
		"unlink": func(t *rapid.T) {
			if a, b := device.Draw(t, "a"), device.Draw(t, "b"); a != b {
				w.unlink(a, b)
			}
		},
		"cut silently": func(t *rapid.T) {
			if p := pair(device.Draw(t, "a"), device.Draw(t, "b")); w.linked[p] {
				w.silent[p] = true
			}
		},
		"mend": func(t *rapid.T) { clear(w.silent) },
		"weather": func(t *rapid.T) {
			w.drop, w.double, w.late = percent.Draw(t, "drop"), percent.Draw(t, "double"), percent.Draw(t, "late")
		},
		"wait": func(t *rapid.T) {
			must(w.advance(rapid.SampledFrom([]int64{10, 30, 250, 1000, 5000}).Draw(t, "ms")))
		},
		"crash": func(t *rapid.T) {
			must(w.crash(device.Draw(t, "device"), rapid.Bool().Draw(t, "fsync"), randomOps(t)))
		},
		"go back": func(t *rapid.T) {
			if w.liar == nil {
				t.Skip("no liar")
			}
			earlier := w.liar.clone(w.liar.name)
			must(w.link(device.Draw(t, "one"), n-1))
			must(w.commit(n-1, randomOps(t)))
			must(w.advance(rapid.SampledFrom([]int64{10, 250}).Draw(t, "ms")))
			must(w.goBack(earlier))
			must(w.commit(n-1, randomOps(t)))
			must(w.link(device.Draw(t, "other"), n-1))
		},
		"restart": func(t *rapid.T) {
			must(w.restart(device.Draw(t, "device")))
		},
	})
	must(w.heal())
	second := 0
	for ; w.converged() != nil; second++ {
		if second == patience {
			t.Fatalf("not converged %d s after healing: %v", patience, w.converged())
		}
		must(w.advance(1000))
		must(w.check(limits))
	}
	must(w.advance(2000))
	must(w.check(limits))
	must(w.settled())
	if w.liar != nil && w.devices[0].r.Chains().Graph().Forked() {
		faults["a liar's log is forked"]++
	}
	for fault, n := range w.faults {
		faults[fault] += n
	}
	faults["runs"]++
	faults["seconds to converge, at most"] = max(second, faults["seconds to converge, at most"])
}

// patience is how many seconds after healing all must hold everything: whoever was sent something in vain is asked
// what it has every ten seconds, and it may take a round to each neighbour in the ring.
const patience = 30

// randomOps draws the ops of a change.
func randomOps(t *rapid.T) func(*crdt.Tx) error {
	type op struct{ what, key, n int }
	ops := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
		return op{rapid.IntRange(0, 8).Draw(t, "what"), rapid.IntRange(0, 1).Draw(t, "key"), rapid.IntRange(0, 3).Draw(t, "n")}
	}), 1, 3).Draw(t, "ops")
	return func(tx *crdt.Tx) error {
		for _, o := range ops {
			key := string(rune('x' + o.key))
			switch o.what {
			case 0:
				tx.Map("map").Put(key, o.n)
			case 1:
				tx.Map("map").Delete(key)
			case 2:
				tx.Map("map").Map(key).Put("deep", o.n)
			case 3:
				tx.Counter("counter").Add(int64(o.n) - 1)
			case 4:
				tx.Text("text").Insert(o.n*tx.Text("text").Len()/3, strings.Repeat(key, o.n+1))
			case 5:
				text := tx.Text("text")
				text.Delete(o.n*text.Len()/4, min(1, text.Len()))
			case 6:
				tx.Set("set").Add(key, o.n)
			case 7:
				tx.Set("set").Remove(key)
			case 8:
				list := tx.List("list")
				list.Insert(o.n*list.Len()/3, key)
			}
		}
		return nil
	}
}
