package peer

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// rival is a device that was restored from a backup and is full, in a store with two more: one that holds what it wrote after the backup,
// and one that does not.
type rival struct {
	*device
	disk            *storagetest.Disk
	ahead           atomic.Int64 // of its clock, ns
	s               *Store
	ticket          Ticket
	more            *Store // holds one change more of its log
	less            *Store
	greater, lesser *device
}

// meet connects a device to the others that run. Their addresses are others than before the backup.
func (r *rival) meet(t *testing.T, d *device) {
	t.Helper()
	for _, other := range []*device{r.device, r.greater, r.lesser} {
		if other != d && other.stop != nil && !other.Offline() {
			if err := d.Connect(ctxFor(t), other.Addrs()[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func newRival(t *testing.T) *rival {
	t.Helper()
	r := &rival{disk: storagetest.NewDisk(1)}
	open := func(name string) {
		db, err := storage.New(r.disk, storage.Config{Key: storagetest.Key(0)})
		if err != nil {
			t.Fatal(err)
		}
		r.device = openDevice(t, name, db, func(c *Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
		})
	}
	open("a")
	r.run()
	r.s = r.create("s")
	r.add(t, 1)
	r.greater = newDevice(t, "more").run()
	r.lesser = newDevice(t, "less").run()
	r.ticket = r.s.Ticket()
	r.more, r.less = r.greater.join(r.ticket), r.lesser.join(r.ticket)
	converged(t, r.s, r.more, r.less)
	r.lesser.halt()
	r.halt()
	backup := r.disk.Restart(storagetest.LoseNone, 1)
	r.run()
	r.add(t, 10)
	converged(t, r.s, r.more)
	r.halt()
	if err := r.Node.Close(); err != nil {
		t.Fatal(err)
	}
	r.disk = backup
	open("restored")
	r.s = r.store("s")
	return r
}

func (r *rival) add(t *testing.T, n int64) {
	t.Helper()
	if err := r.tryAdd(t, n); err != nil {
		t.Fatal(err)
	}
}

func (r *rival) tryAdd(t *testing.T, n int64) error {
	_, err := r.s.Update(ctxFor(t), func(tx *crdt.Tx) error {
		tx.Counter("visits").Add(n)
		return nil
	})
	return err
}

// fill leaves no room on the disk, and lets the store notice.
func (r *rival) fill(t *testing.T) {
	t.Helper()
	r.disk.Limit(1)
	if err := r.tryAdd(t, 1000); !errors.Is(err, ErrReadOnly) || !errors.Is(err, storagetest.ErrDiskFull) {
		t.Fatalf("a full disk: %v, want ErrReadOnly and the cause", err)
	}
}

// told waits until the device has been told of what it lacks of its own log, and much longer than anybody may take to show it.
func (r *rival) told(t *testing.T) {
	t.Helper()
	eventually(t, "it says what is wrong", func() bool { return strings.Contains(r.s.Status().Problem, "of this device's log") })
	r.ahead.Add(int64(2 * time.Minute))
	eventually(t, "the time passes", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return time.UnixMilli(r.s.told).After(time.Now().Add(time.Minute))
	})
	put(t, r.more, "meanwhile", 1) // cannot be stored
	for _, o := range r.Status().Offenders {
		t.Errorf("an offender: %+v", o)
	}
	if st := r.s.Status(); !errors.Is(st.Err, ErrReadOnly) || st.Connected == 0 {
		t.Errorf("status %v, %d connected, want ErrReadOnly", st.Err, st.Connected)
	}
	if err := r.tryAdd(t, 1000); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Update: %v, want ErrReadOnly", err)
	}
}

// again makes room and opens the node again: it goes on as a new actor, and all that was ever written counts once.
func (r *rival) again(t *testing.T, want string, forks, actors int) {
	t.Helper()
	r.disk.Limit(0)
	r.reopen()
	r.s = r.run().store("s")
	r.meet(t, r.device)
	eventually(t, "all is there", func() bool { return show(t, r.s) == want })
	if r.lesser.stop == nil {
		r.lesser.run()
		r.meet(t, r.lesser)
	}
	if got := converged(t, r.s, r.more, r.less); got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
	r.add(t, 10_000)
	converged(t, r.s, r.more, r.less)
	for _, s := range []*Store{r.s, r.more, r.less} {
		if st := s.Status(); len(st.Forks) != forks || st.Err != nil || st.Problem != "" {
			t.Errorf("forks: %v, error %v, problem %q", st.Forks, st.Err, st.Problem)
		}
		if err := s.View(func(*crdt.State) error {
			if n := len(s.rep.Chains().Graph().Actors()); n != actors {
				t.Errorf("%d branches of actors' logs, want %d", n, actors)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A device whose disk is full is told that others hold more of its log than it does.
func TestReadOnlyToldOfMore(t *testing.T) {
	r := newRival(t)
	r.fill(t)
	r.run()
	r.meet(t, r.device)
	r.told(t)
	if got := show(t, r.s); got != `{"visits":1}` {
		t.Errorf("shows %s", got)
	}
	r.again(t, `{"m":{"meanwhile":1},"visits":11}`, 0, 3)
}

// A device has written offline, its disk is full, and then it is told that others hold another branch of its log. What has never left it
// does not, until it can be written anew.
func TestReadOnlyToldOfAnotherBranch(t *testing.T) {
	r := newRival(t)
	r.add(t, 100)
	r.fill(t)
	r.run()
	r.meet(t, r.device)
	r.told(t)
	r.lesser.run()
	r.meet(t, r.lesser)
	eventually(t, "the other one is there", func() bool { return len(r.lesser.Peers()) == 2 })
	r.ahead.Add(int64(2 * time.Minute))
	if got := converged(t, r.more, r.less); got != `{"m":{"meanwhile":1},"visits":11}` {
		t.Errorf("others show %s", got)
	}
	if got := show(t, r.s); got != `{"visits":101}` {
		t.Errorf("shows %s", got)
	}
	eventually(t, "it says that it sends nothing", func() bool { return strings.Contains(r.s.Status().Problem, "nothing is sent") })
	r.again(t, `{"m":{"meanwhile":1},"visits":111}`, 0, 3)
}

// What it has sent already before it is told is a branch of a forked log, which all hold in the end.
func TestReadOnlyToldOfAnotherBranchLate(t *testing.T) {
	r := newRival(t)
	r.greater.SetOffline(true)
	r.lesser.run()
	r.run()
	r.meet(t, r.device)
	r.add(t, 100)
	converged(t, r.s, r.less)
	r.lesser.halt()
	r.fill(t)
	r.greater.SetOffline(false)
	r.meet(t, r.device)
	r.told(t)
	r.again(t, `{"m":{"meanwhile":1},"visits":111}`, 1, 4)
}
