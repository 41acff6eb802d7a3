package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// Errors a Disk gives on demand.
var (
	ErrCrashed  = errors.New("storagetest: crashed")
	ErrWrite    = errors.New("storagetest: write error")
	ErrDiskFull = errors.New("storagetest: no space left")
)

// Disk is a datastore in memory that behaves as go-datastore permits and no better: what was written is
// safe once it was synced, what was not may be lost, in part, in a crash; a batch is written one record at
// a time, in any order. It counts what is done to it, so that a test can crash it, or let it
// fail, at each point in turn. It is safe for concurrent use.
type Disk struct {
	mu      sync.Mutex
	synced  map[string][]byte
	pending []diskWrite
	view    map[string][]byte
	rng     *rand.Rand
	steps   int
	syncs   int
	crashAt int // step before which everything stops; -1: never
	crashed bool
	failAt  int // step that fails once; -1: none
	limit   int // bytes of values; 0: none
	closed  bool
}

type diskWrite struct {
	key   string
	value []byte // nil: deleted
}

var _ datastore.Batching = (*Disk)(nil)

// NewDisk returns an empty disk that draws from seed.
func NewDisk(seed uint64) *Disk { return newDisk(make(map[string][]byte), seed) }

func newDisk(content map[string][]byte, seed uint64) *Disk {
	return &Disk{synced: content, view: maps.Clone(content), rng: rand.New(rand.NewPCG(seed, 1)), crashAt: -1, failAt: -1}
}

// Steps returns the number of writes and syncs so far, Syncs that of syncs alone.
func (d *Disk) Steps() int { d.mu.Lock(); defer d.mu.Unlock(); return d.steps }

// Syncs returns the number of syncs so far.
func (d *Disk) Syncs() int { d.mu.Lock(); defer d.mu.Unlock(); return d.syncs }

// CrashAfter lets n more writes and syncs happen; from then on everything gives ErrCrashed.
func (d *Disk) CrashAfter(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.crashAt = d.steps + n }

// FailAfter lets n more writes and syncs happen; the next one gives ErrWrite, and then all is well again.
func (d *Disk) FailAfter(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.failAt = d.steps + n }

// Limit gives the disk room for n bytes of values; further ones give ErrDiskFull. 0 takes the limit away.
func (d *Disk) Limit(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.limit = n }

// Crashed reports whether a crash asked for has happened.
func (d *Disk) Crashed() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.crashed }

// Loss says what a crash does to what was not synced.
type Loss int

// What a crash may leave of the writes since the last sync: none, all, the first few, or any of them.
const (
	LoseAll Loss = iota
	LoseNone
	LoseLast
	LoseSome
)

func (l Loss) String() string {
	return [...]string{"lose all", "lose none", "lose last", "lose some"}[l]
}

// Restart returns the disk as it is found after a crash now: what was synced, and what loss leaves of the rest.
func (d *Disk) Restart(loss Loss, seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, 2))
	content := maps.Clone(d.synced)
	upTo := len(d.pending)
	switch loss {
	case LoseAll:
		upTo = 0
	case LoseLast:
		upTo = rng.IntN(len(d.pending) + 1)
	}
	for _, w := range d.pending[:upTo] {
		if loss == LoseSome && rng.IntN(2) == 0 {
			continue
		}
		apply(content, w)
	}
	return newDisk(content, seed)
}

// Keys returns the keys on the disk, sorted.
func (d *Disk) Keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.view))
}

// Value returns what is under key, nil if there is nothing.
func (d *Disk) Value(key string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.view[key])
}

// Damage replaces the value under key with what f makes of it, nil to remove it, as if it were written and synced.
func (d *Disk) Damage(key string, f func(value []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := diskWrite{key, f(slices.Clone(d.view[key]))}
	apply(d.view, w)
	apply(d.synced, w)
}

func apply(m map[string][]byte, w diskWrite) {
	if w.value == nil {
		delete(m, w.key)
	} else {
		m[w.key] = w.value
	}
}

// step counts a write or sync, and says whether it fails. The caller holds d.mu.
func (d *Disk) step() error {
	if err := d.alive(); err != nil {
		return err
	}
	if d.crashAt >= 0 && d.steps >= d.crashAt {
		d.crashed = true
		return ErrCrashed
	}
	d.steps++
	if d.failAt >= 0 && d.steps > d.failAt {
		d.failAt = -1
		return ErrWrite
	}
	return nil
}

func (d *Disk) alive() error {
	if d.crashed {
		return ErrCrashed
	}
	if d.closed {
		return errors.New("storagetest: disk is closed")
	}
	return nil
}

func (d *Disk) write(w diskWrite) error {
	if err := d.step(); err != nil {
		return err
	}
	if d.limit > 0 && w.value != nil {
		used := len(w.value) - len(d.view[w.key])
		for _, v := range d.view {
			used += len(v)
		}
		if used > d.limit {
			return fmt.Errorf("write %s: %w", w.key, ErrDiskFull)
		}
	}
	d.pending = append(d.pending, w)
	apply(d.view, w)
	return nil
}

// Put implements datastore.Datastore.
func (d *Disk) Put(_ context.Context, key datastore.Key, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(diskWrite{key.String(), append([]byte{}, value...)})
}

// Delete implements datastore.Datastore.
func (d *Disk) Delete(_ context.Context, key datastore.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.write(diskWrite{key: key.String()})
}

// Sync implements datastore.Datastore: all prefixes are synced.
func (d *Disk) Sync(context.Context, datastore.Key) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	d.syncs++
	for _, w := range d.pending {
		apply(d.synced, w)
	}
	d.pending = nil
	return nil
}

// Get implements datastore.Datastore.
func (d *Disk) Get(_ context.Context, key datastore.Key) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.alive(); err != nil {
		return nil, err
	}
	v, ok := d.view[key.String()]
	if !ok {
		return nil, datastore.ErrNotFound
	}
	return slices.Clone(v), nil
}

// Has implements datastore.Datastore.
func (d *Disk) Has(ctx context.Context, key datastore.Key) (bool, error) {
	return datastore.GetBackedHas(ctx, d, key)
}

// GetSize implements datastore.Datastore.
func (d *Disk) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	return datastore.GetBackedSize(ctx, d, key)
}

// Query implements datastore.Datastore.
func (d *Disk) Query(_ context.Context, q query.Query) (query.Results, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.alive(); err != nil {
		return nil, err
	}
	var entries []query.Entry
	for key, value := range d.view {
		e := query.Entry{Key: key, Size: len(value)}
		if !q.KeysOnly {
			e.Value = slices.Clone(value)
		}
		entries = append(entries, e)
	}
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, entries)), nil
}

// Close implements datastore.Datastore. It syncs nothing.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// Batch implements datastore.Batching.
func (d *Disk) Batch(context.Context) (datastore.Batch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &diskBatch{disk: d}, d.alive()
}

type diskBatch struct {
	disk   *Disk
	writes []diskWrite
}

func (b *diskBatch) Put(_ context.Context, key datastore.Key, value []byte) error {
	b.writes = append(b.writes, diskWrite{key.String(), append([]byte{}, value...)})
	return nil
}

func (b *diskBatch) Delete(_ context.Context, key datastore.Key) error {
	b.writes = append(b.writes, diskWrite{key: key.String()})
	return nil
}

// Commit writes the batch in any order, as datastore.NewBasicBatch does.
func (b *diskBatch) Commit(context.Context) error {
	d := b.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rng.Shuffle(len(b.writes), func(i, j int) { b.writes[i], b.writes[j] = b.writes[j], b.writes[i] })
	for _, w := range b.writes {
		if err := d.write(w); err != nil {
			return err
		}
	}
	return nil
}
