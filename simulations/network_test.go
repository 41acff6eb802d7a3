package simulations

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
)

// What is in the queue comes out by time, and at one time in the order in which it went in.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want, got []happening
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 200).Draw(t, "times") {
			q.push(happening{at: time.Duration(ms)})
			want = append(want, happening{at: time.Duration(ms), number: q.number})
		}
		slices.SortStableFunc(want, func(a, b happening) int { return int(a.at - b.at) })
		for q.len() > 0 {
			got = append(got, q.pop())
		}
		if !slices.EqualFunc(got, want, func(a, b happening) bool { return a.at == b.at && a.number == b.number }) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// Schedules are what their names say, by the calendar of the run.
func TestSchedules(t *testing.T) {
	hour := time.Hour
	tests := []struct {
		preset          string
		online, offline []time.Duration // since Monday, 00:00
	}{
		{"always", []time.Duration{0, 3 * day, 6*day + 12*hour}, nil},
		{"weekend", []time.Duration{9 * hour, 4*day + 12*hour, 7*day + 12*hour}, []time.Duration{4*day + 20*hour, 5*day + 12*hour, 7*day + 6*hour}},
		{"office", []time.Duration{12 * hour, 4*day + 12*hour}, []time.Duration{4 * hour, 20 * hour, 5*day + 12*hour, 6*day + 12*hour}},
		{"evenings", []time.Duration{20*hour + 30*time.Minute, 6*day + 20*hour + 30*time.Minute}, []time.Duration{12 * hour, 2 * hour, 6*day + 12*hour}},
		{"commuter", []time.Duration{12 * hour, 5*day + 12*hour}, []time.Duration{8 * hour, 18*hour + 15*time.Minute, 27 * hour}},
		{"three-weeks", []time.Duration{hour, 22 * day}, []time.Duration{3 * hour, 20 * day}},
		{"never", nil, []time.Duration{0, 10 * day}},
	}
	for _, test := range tests {
		for seed := range uint64(20) {
			spans := Schedule{Preset: test.preset}.offline(monday, 28*day, rand.New(rand.NewPCG(seed, 1)))
			off := func(at time.Duration) bool {
				return slices.ContainsFunc(spans, func(w Window) bool { return w.From <= at && at < w.To })
			}
			for _, at := range test.online {
				if off(at) {
					t.Errorf("%s, seed %d: offline at %v", test.preset, seed, at)
				}
			}
			for _, at := range test.offline {
				if !off(at) {
					t.Errorf("%s, seed %d: online at %v", test.preset, seed, at)
				}
			}
			for i := 1; i < len(spans); i++ {
				if spans[i].From <= spans[i-1].To {
					t.Fatalf("%s, seed %d: %v", test.preset, seed, spans)
				}
			}
		}
	}
	if got := len(Presets); got != len(tests)+1 { // flaky is drawn
		t.Errorf("%d presets, %d are tested", got, len(tests)+1)
	}
}

// Every topology lets every device reach every other, islands by the ferry alone.
func TestTopologies(t *testing.T) {
	for _, top := range []Topology{Full, Ring, Star, Random, Islands} {
		for n := 1; n <= 40; n += 3 {
			pairs, island := edges(top, n, 6, []int{0}, rand.New(rand.NewPCG(1, uint64(n))))
			if got := reached(pairs); got != n {
				t.Errorf("%s: %d of %d devices are reached", top, got, n)
			}
			for _, p := range pairs {
				if top == Islands && p[0] != 0 && p[1] != 0 && island[p[0]] != island[p[1]] {
					t.Errorf("islands: %v cross the water without the ferry", p)
				}
			}
			if top == Random && n > 10 && (len(pairs) < 2*n || len(pairs) > 3*n) {
				t.Errorf("random: %d links between %d devices, of degree 6", len(pairs), n)
			}
		}
	}
}

// reached returns how many devices are reached from the first one.
func reached(pairs [][2]int) int {
	seen := map[int]bool{0: true}
	for grown := true; grown; {
		grown = false
		for _, p := range pairs {
			if seen[p[0]] != seen[p[1]] {
				seen[p[0]], seen[p[1]], grown = true, true, true
			}
		}
	}
	return len(seen)
}

// A stream keeps its order, whatever the jitter, and takes the time that its latency and bandwidth ask for.
func TestLink(t *testing.T) {
	s, err := New(&Scenario{Seed: 1, For: time.Hour, Devices: []Group{{Name: "a"}, {Name: "b"}},
		Network: Network{Link: Link{Latency: 50 * time.Millisecond, Jitter: 200 * time.Millisecond, Bandwidth: 1_000}}})
	if err != nil {
		t.Fatal(err)
	}
	s.forUntil(10*time.Second, nil)
	l := s.links[0]
	if !l.up {
		t.Fatal("the two did not connect")
	}
	for s.queue.len() > 0 {
		s.queue.pop()
	}
	begin := s.now
	for n := range 100 {
		s.send(&parcel{link: l, from: l.a, to: l.b, size: 100, raw: []byte{byte(n)}, index: -1})
	}
	jittered := false
	for n := range 100 {
		h := s.queue.pop()
		if got := int(h.parcel.raw[0]); got != n {
			t.Fatalf("message %d arrives before message %d", got, n)
		}
		least := begin + time.Duration(n+1)*100*time.Millisecond + 50*time.Millisecond
		if h.at < least || h.at > least+200*time.Millisecond {
			t.Fatalf("message %d arrives at %v; by bandwidth and latency not before %v", n, h.at-begin, least-begin)
		}
		jittered = jittered || h.at > least+100*time.Millisecond
	}
	if !jittered {
		t.Error("no jitter")
	}
}

// What is gossiped comes to each device once, whatever the number of neighbours that offer it.
func TestGossip(t *testing.T) {
	const devices, ops = 12, 10
	s, err := New(&Scenario{Seed: 1, For: time.Hour, Devices: []Group{{Name: "d", Count: devices}}, Network: Network{GossipAbove: -1}})
	if err != nil {
		t.Fatal(err)
	}
	s.forUntil(time.Minute, nil)
	bodies, offers := 0, 0
	s.trace.write = func(line string) {
		switch {
		case strings.Contains(line, " -> ") && strings.Contains(line, ": gossip "):
			bodies++
		case strings.Contains(line, " -> ") && strings.Contains(line, ": offers "):
			offers++
		}
	}
	for i := range ops {
		s.devices[i].input(input{op: func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }, done: func(error) {}})
		s.forUntil(s.now+time.Second, nil)
	}
	if bodies != ops*(devices-1) || offers < bodies {
		t.Errorf("%d bodies and %d offers of %d changes to %d devices", bodies, offers, ops, devices)
	}
}

// A clone that starts while something is gossiped gets it as well, however many devices there were before.
func TestRumourOfManyDevices(t *testing.T) {
	g := &rumour{seen: make([]uint64, 1)}
	for n := range 200 {
		d := &Device{number: n}
		if g.saw(d) {
			t.Fatalf("device %d has seen it before", n)
		}
		if g.see(d); !g.saw(d) || g.saw(&Device{number: n + 1}) || n > 0 && !g.saw(&Device{number: n - 1}) {
			t.Fatalf("when device %d has seen it: %b", n, g.seen)
		}
	}
}

// In a large network offers of what the other has are not carried, and count as if they were.
func TestOffersInVain(t *testing.T) {
	const devices, ops = maxSmall + 4, 10
	run := func(bandwidth int) (s *Sim, carried int) {
		s, err := New(&Scenario{Seed: 1, For: time.Hour, Devices: []Group{{Name: "d", Count: devices}},
			Network: Network{GossipAbove: -1, Link: Link{Bandwidth: bandwidth}}})
		if err != nil {
			t.Fatal(err)
		}
		s.forUntil(time.Minute, nil)
		s.trace.write = func(line string) {
			if strings.Contains(line, " -> ") && strings.Contains(line, ": offers ") {
				carried++
			}
		}
		for i := range ops {
			s.devices[i].input(input{op: func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }, done: func(error) {}})
			s.forUntil(s.now+time.Second, nil)
		}
		s.forUntil(s.now+time.Minute, nil)
		return s, carried
	}
	// Where a link has a bandwidth all are carried; with this one they take no time.
	s, carried := run(0)
	all, carriedAll := run(1 << 50)
	if carried < ops*(devices-1) || 2*carried > carriedAll {
		t.Errorf("%d offers were carried of %d, of %d changes to %d devices", carried, carriedAll, ops, devices)
	}
	if s.messages != all.messages || s.bytes != all.bytes || s.applied != ops*(devices-1) || all.applied != s.applied {
		t.Errorf("%d messages of %d bytes and %d changes taken in; %d of %d and %d if all are carried", s.messages, s.bytes, s.applied, all.messages, all.bytes, all.applied)
	}
	for i, d := range s.devices {
		if e := all.devices[i]; d.sent != e.sent || d.received != e.received {
			t.Errorf("%s sent %d bytes and received %d; %d and %d if all are carried", d.name, d.sent, d.received, e.sent, e.received)
		}
	}
}

// A write that the power cut ended is not taken for durable because the next one, after the restart, is under way.
func TestWriteOfAnEarlierLife(t *testing.T) {
	s, err := New(&Scenario{Seed: 1, For: time.Hour, Devices: []Group{{Name: "a", Disk: Disk{Fsync: 5 * time.Second}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.forUntil(time.Second, nil)
	d := s.devices[0]
	var outcomes []error
	var at time.Duration
	write := func() {
		d.input(input{op: func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }, done: func(err error) { outcomes, at = append(outcomes, err), s.now }})
	}
	write()
	s.forUntil(2*time.Second, nil)
	s.crash(d, Crash{Down: time.Second})
	s.forUntil(4*time.Second, nil)
	write()
	s.forUntil(20*time.Second, nil)
	if len(outcomes) != 2 || outcomes[0] == nil || outcomes[1] != nil || at != 9*time.Second || d.disk.len() != 1 {
		t.Errorf("outcomes %v, the last at %v, %d ops on the disk", outcomes, at, d.disk.len())
	}
}

// A device whose disk is full writes nothing and takes nothing in, and goes on to show and to pass on what it holds. When somebody has made room
// and started it again, it catches up.
func TestFullDisk(t *testing.T) {
	Run(t, Config{Devices: 3, Seed: 1}, func(s *Sim) {
		put := func(device int, key string) error {
			return s.Device(device).Update(func(tx *crdt.Tx) error { tx.Map("m").Put(key, device); return nil })
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		s.Offline(2)
		s.For(time.Minute)
		must(put(0, "before"))
		s.For(time.Minute)
		s.Do(FillDisk{Devices: []string{"device-1"}, For: time.Hour})
		if err := put(0, "full"); err != errDiskFull {
			t.Errorf("a write to a full disk: %v", err)
		}
		if err := put(0, "again"); err != errDiskFull {
			t.Errorf("another write: %v", err)
		}
		// The one that was away meets only the one whose disk is full.
		s.Partition([]int{0, 2}, []int{1})
		must(put(1, "elsewhere"))
		s.Online(2)
		s.For(time.Minute)
		for i, want := range []string{`{"m":{"before":0}}`, `{"m":{"before":0,"elsewhere":1}}`, `{"m":{"before":0}}`} {
			if got := s.Device(i).View().JSON(); got != want {
				t.Errorf("%s shows %s, want %s", s.Device(i).Name(), got, want)
			}
		}
		must(put(2, "from the one that was away"))
		s.Heal()
		s.For(time.Minute)
		if got, want := s.Device(0).View().JSON(), `{"m":{"before":0}}`; got != want {
			t.Errorf("with a full disk it shows %s, want %s", got, want)
		}
		s.For(time.Hour)
		must(put(0, "after"))
		s.Converged(Within(10 * time.Second))
	})
}
