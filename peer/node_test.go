package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// patience is how long a test waits for what must happen. It is only ever waited out by a failing test.
const patience = 60 * time.Second

// device is a node under test with its own storage, on loopback.
type device struct {
	t    testing.TB
	name string
	db   *storage.DB
	cfg  Config
	*Node
	stop context.CancelFunc
	done chan error
}

// newDevice opens an offline device with storage in memory.
func newDevice(t testing.TB, name string, opts ...func(*Config)) *device {
	t.Helper()
	return openDevice(t, name, storage.Memory(), opts...)
}

func openDevice(t testing.TB, name string, db *storage.DB, opts ...func(*Config)) *device {
	t.Helper()
	d := &device{t: t, name: name, db: db}
	d.cfg = Config{
		Storage: db, NoMDNS: true, NoGossip: true, Heartbeat: time.Second,
		Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"},
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name),
	}
	for _, o := range opts {
		o(&d.cfg)
	}
	d.open()
	t.Cleanup(func() {
		d.halt()
		d.Node.Close()
	})
	return d
}

// testWriter logs to the test while it runs.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	defer func() { _ = recover() }() // a goroutine of a failed test may log after its end
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (d *device) open() {
	d.t.Helper()
	n, err := Open(d.cfg)
	if err != nil {
		d.t.Fatalf("%s: Open: %v", d.name, err)
	}
	d.Node = n
}

// run connects the device to the network until halt.
func (d *device) run() *device {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan error, 1)
	go func() { d.done <- d.Run(ctx) }()
	if err := d.Up(ctxFor(d.t)); err != nil {
		d.t.Fatalf("%s does not come up: %v", d.name, err)
	}
	return d
}

// halt ends run and waits for it.
func (d *device) halt() {
	d.t.Helper()
	if d.stop == nil {
		return
	}
	d.stop()
	if err := <-d.done; err != nil {
		d.t.Errorf("%s: Run: %v", d.name, err)
	}
	d.stop = nil
}

// reopen closes the node and opens another on the same storage.
func (d *device) reopen() {
	d.t.Helper()
	d.halt()
	if err := d.Node.Close(); err != nil {
		d.t.Fatalf("%s: Close: %v", d.name, err)
	}
	d.open()
}

func (d *device) create(name string) *Store {
	d.t.Helper()
	s, err := d.Create(context.Background(), name)
	if err != nil {
		d.t.Fatalf("%s: Create: %v", d.name, err)
	}
	return s
}

func (d *device) join(t Ticket) *Store {
	d.t.Helper()
	s, err := d.Join(context.Background(), t)
	if err != nil {
		d.t.Fatalf("%s: Join: %v", d.name, err)
	}
	return s
}

func (d *device) store(name string) *Store {
	d.t.Helper()
	s, err := d.Store(name)
	if err != nil {
		d.t.Fatalf("%s: Store: %v", d.name, err)
	}
	return s
}

// put writes m/key = value and returns the dot.
func put(t testing.TB, s *Store, key string, value any) crdt.Dot {
	t.Helper()
	dot, err := s.Update(context.Background(), func(tx *crdt.Tx) error {
		tx.Map("m").Put(key, value)
		return nil
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return dot
}

func show(t testing.TB, s *Store) string {
	t.Helper()
	var out string
	if err := s.View(func(st *crdt.State) error { out = st.JSON(); return nil }); err != nil {
		t.Fatalf("View: %v", err)
	}
	return out
}

func version(t testing.TB, s *Store) crdt.Version {
	t.Helper()
	var out crdt.Version
	if err := s.View(func(st *crdt.State) error { out = st.Version(); return nil }); err != nil {
		t.Fatalf("View: %v", err)
	}
	return out
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%v passed without: %s", patience, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// converged waits until all stores are at the same version and show the same, and returns what they show.
func converged(t testing.TB, stores ...*Store) string {
	t.Helper()
	eventually(t, "the stores converge", func() bool {
		for _, s := range stores[1:] {
			if !version(t, s).Equal(version(t, stores[0])) {
				return false
			}
		}
		return true
	})
	want := show(t, stores[0])
	for _, s := range stores[1:] {
		if got := show(t, s); got != want {
			t.Fatalf("equal versions show\n%s\n%s", want, got)
		}
	}
	return want
}

func ctxFor(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestOfflineDevice(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("groceries")
	if _, err := a.Create(ctxFor(t), "groceries"); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "groceries") {
		t.Errorf("second Create: %v, want ErrExists with the name", err)
	}
	if _, err := a.Store("nope"); !errors.Is(err, ErrNoStore) {
		t.Errorf("Store of an unknown name: %v, want ErrNoStore", err)
	}
	dot := put(t, s, "milk", 2)
	if want := `{"m":{"milk":2}}`; show(t, s) != want {
		t.Errorf("shows %s, want %s", show(t, s), want)
	}
	level, err := s.Delivery(dot)
	if err != nil || !level.Stored || len(level.Holders) > 0 {
		t.Errorf("Delivery = %+v, %v; want stored here alone", level, err)
	}
	if box, err := s.Outbox(OutboxQuery{}); err != nil || len(box) != 1 || box[0].Dot != dot || box[0].Slices[0] != "m" {
		t.Errorf("Outbox = %+v, %v; want the one change", box, err)
	}
	if err := a.Rename(ctxFor(t), "groceries", "shopping"); err != nil {
		t.Fatalf("Rename: %v", err)
	}
	if s.Name() != "shopping" || a.store("shopping") != s {
		t.Errorf("after Rename the handle is %q", s.Name())
	}

	a.reopen()
	s = a.store("shopping")
	if want := `{"m":{"milk":2}}`; show(t, s) != want {
		t.Errorf("after reopening shows %s, want %s", show(t, s), want)
	}
	if err := a.Forget(ctxFor(t), "shopping"); err != nil {
		t.Fatalf("Forget: %v", err)
	}
	if _, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error { return nil }); !errors.Is(err, ErrForgotten) {
		t.Errorf("Update of a forgotten store: %v, want ErrForgotten", err)
	}
	if got := a.Stores(); len(got) != 0 {
		t.Errorf("Stores after Forget: %v", got)
	}
	a.reopen()
	if _, err := a.Store("shopping"); !errors.Is(err, ErrNoStore) {
		t.Errorf("a forgotten store came back: %v", err)
	}
	if err := a.Node.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create(ctxFor(t), "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("Create after Close: %v, want ErrClosed", err)
	}
}

func TestTwoDevicesConverge(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	put(t, sa, "before", 1)
	sb := b.join(sa.Ticket())
	dot := put(t, sb, "while alone", 2)
	converged(t, sa, sb)
	if err := sb.Delivered(ctxFor(t), dot, Reach{Devices: 1, Device: a.Device(), All: true}); err != nil {
		t.Errorf("Delivered: %v", err)
	}
	put(t, sa, "after", 3)
	if got, want := converged(t, sa, sb), `{"m":{"after":3,"before":1,"while alone":2}}`; got != want {
		t.Errorf("converged on %s, want %s", got, want)
	}
	peers := a.Peers()
	if len(peers) != 1 || peers[0].Device != b.Device() || len(peers[0].Stores) != 1 || peers[0].Stores[0] != "list" {
		t.Errorf("a's peers: %+v, want b with list", peers)
	}
	st := a.Status()
	if !st.Running || st.BytesIn == 0 || st.BytesOut == 0 || len(st.Stores) != 1 || st.Stores[0].Connected != 1 || st.Stores[0].Changes != 3 {
		t.Errorf("a's status: %+v", st)
	}
}

// A change reaches a device through a third one that its author never meets again.
func TestStoreAndForward(t *testing.T) {
	a, b, c := newDevice(t, "a"), newDevice(t, "b"), newDevice(t, "c")
	a.run()
	b.run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	put(t, sa, "from a", 1)
	converged(t, sa, sb)
	a.halt()
	c.run()
	sc := c.join(sb.Ticket())
	dot := put(t, sc, "from c", 2)
	converged(t, sb, sc)
	if err := sc.Delivered(ctxFor(t), dot, Reach{Device: b.Device()}); err != nil {
		t.Fatal(err)
	}
	c.halt()
	a.run() // finds b by the address it kept
	if got, want := converged(t, sa, sb, sc), `{"m":{"from a":1,"from c":2}}`; got != want {
		t.Errorf("converged on %s, want %s", got, want)
	}
}

func TestOfflineAndBack(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	put(t, sa, "k", 0)
	converged(t, sa, sb)
	for round := range 3 {
		a.SetOffline(true)
		eventually(t, "the connection is cut", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
		put(t, sa, fmt.Sprint("a", round), round)
		put(t, sb, fmt.Sprint("b", round), round)
		if version(t, sa).Equal(version(t, sb)) {
			t.Fatal("the devices converged while one was offline")
		}
		a.SetOffline(false)
		converged(t, sa, sb)
	}
}

func TestRestart(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	put(t, sa, "k", 1)
	converged(t, sa, sb)
	b.reopen()
	sb = b.store("list")
	dot := put(t, sb, "offline", 2)
	if box, err := sb.Outbox(OutboxQuery{}); err != nil || len(box) != 1 {
		t.Errorf("Outbox after a restart = %v, %v; want the one new change", box, err)
	}
	put(t, sa, "meanwhile", 3)
	b.run()
	converged(t, sa, sb)
	if err := sb.Delivered(ctxFor(t), dot, Reach{Devices: 1}); err != nil {
		t.Error(err)
	}
	// What was delivered is known after a restart, without a network.
	b.reopen()
	if level, err := b.store("list").Delivery(dot); err != nil || !level.HeldBy(a.Device()) {
		t.Errorf("Delivery after a restart = %+v, %v; want a among the holders", level, err)
	}
}

// Peers that never heard of each other's addresses find each other through a common one.
func TestPeerExchange(t *testing.T) {
	hub := newDevice(t, "hub").run()
	sh := hub.create("list")
	b, c := newDevice(t, "b").run(), newDevice(t, "c").run()
	sb, sc := b.join(sh.Ticket()), c.join(sh.Ticket())
	eventually(t, "b and c are connected", func() bool {
		for _, p := range b.Peers() {
			if p.Device == c.Device() {
				return true
			}
		}
		return false
	})
	hub.halt()
	put(t, sb, "without", "hub")
	converged(t, sb, sc)
}

func TestManyStores(t *testing.T) {
	a, b := newDevice(t, "a"), newDevice(t, "b")
	const n = 100
	var as, bs []*Store
	for i := range n {
		s := a.create(fmt.Sprint("s", i))
		put(t, s, "i", i)
		as = append(as, s)
		bs = append(bs, b.join(s.Ticket()))
	}
	a.create("a's own")
	b.create("b's own")
	a.run()
	b.run()
	if err := b.Connect(ctxFor(t), a.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		converged(t, as[i], bs[i])
	}
	if p := a.Peers(); len(p) != 1 || len(p[0].Stores) != n {
		t.Errorf("shared: %v, want the %d stores both hold", p, n)
	}
	// They know each other now: next time one digest says that all is in sync.
	eventually(t, "all is acknowledged", func() bool {
		for i := range n {
			if as[i].Status().Outbox > 0 {
				return false
			}
		}
		return true
	})
	b.SetOffline(true)
	eventually(t, "the connection is cut", func() bool { return len(a.Peers())+len(b.Peers()) == 0 })
	put(t, as[7], "later", 1)
	b.SetOffline(false)
	converged(t, as[7], bs[7])
}

func TestForgetWhileConnected(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	put(t, sa, "k", 1)
	converged(t, sa, sb)
	ticket := sa.Ticket()
	if err := b.Forget(ctxFor(t), "list"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a notices", func() bool { return sa.Status().Connected == 0 })
	if p := a.Peers(); len(p) == 1 && len(p[0].Stores) > 0 {
		t.Errorf("a still shares %v", p[0].Stores)
	}
	sb = b.join(ticket) // in the session that is open, or in a new one
	converged(t, sa, sb)
}

// Whoever joins a store again while it is being forgotten has it for good.
func TestForgetWhileJoining(t *testing.T) {
	a := newDevice(t, "a")
	ticket := a.create("list").Ticket()
	for round := range 100 {
		var both sync.WaitGroup
		both.Go(func() {
			if err := a.Forget(ctxFor(t), "list"); err != nil {
				t.Errorf("Forget: %v", err)
			}
		})
		var s *Store
		both.Go(func() {
			for {
				var err error
				if s, err = a.Join(ctxFor(t), ticket); err == nil {
					return
				} else if !errors.Is(err, ErrForgotten) {
					t.Errorf("Join: %v", err)
					return
				}
			}
		})
		both.Wait()
		if _, err := a.Store("list"); err != nil { // it was joined before it was forgotten
			s = a.join(ticket)
		} else if s != a.store("list") {
			t.Fatal("Join gave a store that was forgotten, and another stands")
		}
		put(t, s, "k", round)
		if infos, err := a.db.Stores(); err != nil || len(infos) != 1 {
			t.Fatalf("round %d: on disk are %v, %v", round, infos, err)
		}
	}
	want := show(t, a.store("list"))
	a.reopen()
	if got := show(t, a.store("list")); got != want {
		t.Errorf("after reopening shows %s, want %s", got, want)
	}
}

// Two devices each have a store of their own under one name: they stay apart, and neither name is in the other's way.
func TestSameName(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	as, bs := a.create("list"), b.create("list")
	put(t, as, "of", "a")
	put(t, bs, "of", "b")
	if _, err := b.Join(ctxFor(t), as.Ticket()); !errors.Is(err, ErrExists) {
		t.Errorf("Join under a name that is taken: %v, want ErrExists", err)
	}
	theirs := b.join(as.Ticket().WithName("theirs"))
	if got, want := converged(t, as, theirs), `{"m":{"of":"a"}}`; got != want {
		t.Errorf("converged on %s, want %s", got, want)
	}
	if again := b.join(as.Ticket()); again != theirs {
		t.Error("a ticket to a store that is held gave another store")
	}
	for _, r := range [][2]string{{"list", "mine"}, {"theirs", "list"}} { // while connected
		if err := b.Rename(ctxFor(t), r[0], r[1]); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b.store("list"), "renamed", true)
	if got, want := converged(t, as, theirs), `{"m":{"of":"a","renamed":true}}`; got != want {
		t.Errorf("converged on %s, want %s", got, want)
	}
	if got, want := show(t, b.store("mine")), `{"m":{"of":"b"}}`; got != want {
		t.Errorf("b's own store shows %s, want %s", got, want)
	}
	if p := b.Peers(); len(p) != 1 || len(p[0].Stores) != 1 || p[0].Stores[0] != "list" {
		t.Errorf("b's peers: %+v, want a with list", p)
	}
}

// A device that joined while it was alone, with a ticket whose addresses lead nowhere any more, finds a member by its
// configuration, and through that one the others.
func TestFoundLater(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	ticket := sa.Ticket()
	sb := b.join(ticket)
	put(t, sa, "from a", 1)
	converged(t, sa, sb)
	a.reopen()
	a.run() // at another port
	sa = a.store("list")

	c := newDevice(t, "c", func(cfg *Config) { cfg.Bootstrap = b.Addrs() })
	sc := c.join(ticket)
	put(t, sc, "from c", 2)
	c.run()
	if got, want := converged(t, sa, sb, sc), `{"m":{"from a":1,"from c":2}}`; got != want {
		t.Errorf("converged on %s, want %s", got, want)
	}
	eventually(t, "c has found a", func() bool { return len(c.Peers()) == 2 && sc.Status().Connected == 2 })
}

// A wall clock that jumps back and forth by hours, or stands still, stops nothing.
func TestClocks(t *testing.T) {
	start := time.Now()
	var calls atomic.Int64
	clocks := map[string]func() time.Time{
		"jumps": func() time.Time {
			return time.Now().Add(time.Duration(calls.Add(1)%13-6) * time.Hour)
		},
		"stands still": func() time.Time { return start },
	}
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			odd := func(c *Config) { c.Now = clock }
			a, b, c := newDevice(t, "a", odd).run(), newDevice(t, "b", odd).run(), newDevice(t, "c").run()
			sa := a.create("list")
			sb := b.join(sa.Ticket())
			converged(t, sa, sb)
			a.SetOffline(true)
			put(t, sa, "alone", 1)
			a.SetOffline(false)
			sc := c.join(sb.Ticket())
			for i := range 5 {
				put(t, sa, fmt.Sprint(i), i)
				put(t, sb, fmt.Sprint(i), -i)
			}
			dot := put(t, sa, "last", 1)
			converged(t, sa, sb, sc)
			if err := sa.Delivered(ctxFor(t), dot, Reach{All: true, Devices: 2}); err != nil {
				t.Errorf("Delivered: %v", err)
			}
		})
	}
}

// A device says when it cannot reach anybody.
func TestNobodyThere(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	ticket := a.create("list").Ticket()
	a.halt()
	sb := b.join(ticket)
	eventually(t, "b says that nobody is there", func() bool { return strings.Contains(sb.Status().Problem, "reached") })
}

func TestRunTwice(t *testing.T) {
	a := newDevice(t, "a").run()
	if err := a.Run(ctxFor(t)); !errors.Is(err, ErrRunning) {
		t.Errorf("second Run: %v, want ErrRunning", err)
	}
	a.halt()
	a.run()
	if err := a.Node.Close(); err != nil {
		t.Errorf("Close while running: %v", err)
	}
	if err := <-a.done; err != nil {
		t.Errorf("Run ended by Close: %v", err)
	}
	a.stop = nil
}

func TestConfigProblems(t *testing.T) {
	_, err := Open(Config{Bootstrap: []string{"/ip4/127.0.0.1/tcp/1"}, Listen: []string{"nonsense"}, Heartbeat: 1})
	for _, want := range []string{"Storage", "/p2p/ID", "nonsense", "Heartbeat"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: %v; does not say what is wrong with %s", err, want)
		}
	}
	var logged bytes.Buffer
	a := newDevice(t, "a", func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	ticket := a.create("list").Ticket()
	a.log.Info("x", logTicket, ticket)
	if strings.Contains(logged.String(), ticket.Text()) || !strings.Contains(logged.String(), "redacted") {
		t.Errorf("a ticket was logged: %s", logged.String())
	}
}
