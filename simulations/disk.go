package simulations

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// errDiskFull is what a write to a full disk fails with.
var errDiskFull = errors.New("simulations: no space left on the disk")

// disk is a device's virtual disk: a log of blocks, of which those that were synced survive a crash, and what the replica asked to keep of its
// peers. The bytes of its blocks are shared with all other disks that hold the same.
//
// It is the replica's Log.
type disk struct {
	blocks  []diskBlock
	peers   map[causal.Device][]byte
	records map[causal.Device][]byte
	self    []byte
	actor   causal.Actor
	bytes   int
	state   []byte // what was kept last of a peer: mostly the same is kept of several
	torn    bool   // half of a block lies behind the last one
	common  *common
}

// common is what the disks of a simulation have in common.
type common struct {
	decoder
	batches []storedBatch // all that was ever written to any of them
	places  map[encoded]stored
	records map[causal.Device][]byte // the last one of each device that any of them was to keep
}

// stored names a batch that disks keep by its index in common.batches: many disks keep many, and the collector need look at none of these.
type stored uint32

// storedBatch is a batch that some disk keeps, or kept.
type storedBatch struct {
	bytes []byte
	ops   int
}

// store returns the name of a batch, and the number of its ops.
func (c *common) store(b []byte) (stored, int, error) {
	if len(b) > 0 {
		if at, ok := c.places[encoded{&b[0], len(b)}]; ok {
			return at, c.batches[at].ops, nil
		}
	}
	batch, err := c.decode(b)
	if err != nil {
		return 0, 0, err
	}
	return c.put(b, batch.Ops()), batch.Ops(), nil
}

// put gives a name to bytes that are not empty.
func (c *common) put(b []byte, ops int) stored {
	if c.places == nil {
		c.places = make(map[encoded]stored)
	}
	at := stored(len(c.batches))
	c.places[encoded{&b[0], len(b)}] = at
	c.batches = append(c.batches, storedBatch{b, ops})
	return at
}

// record returns b, a delivery record to be kept, or the same bytes as another disk has them: a record comes to every device.
func (c *common) record(of causal.Device, b []byte) []byte {
	if last := c.records[of]; bytes.Equal(last, b) {
		return last
	}
	if c.records == nil {
		c.records = make(map[causal.Device][]byte)
	}
	c.records[of] = b
	return b
}

// diskBlock is a block of the log. It begins where the one before it ends.
type diskBlock struct {
	batch stored
	end   causal.LV
}

// batch returns the batch of block i.
func (d *disk) batch(i int) []byte { return d.common.batches[d.blocks[i].batch].bytes }

// begin returns where block i begins, or the log ends if there is no such block.
func (d *disk) begin(i int) causal.LV {
	if i == 0 {
		return 0
	}
	return d.blocks[i-1].end
}

func newDisk(actor causal.Actor, common *common) *disk {
	return &disk{peers: make(map[causal.Device][]byte), records: make(map[causal.Device][]byte), actor: actor, common: common}
}

// copy returns a disk with the same on it, as a backup is.
func (d *disk) copy() *disk {
	c := newDisk(d.actor, d.common)
	c.self = d.self
	c.blocks, c.bytes = slices.Clone(d.blocks), d.bytes
	for k, v := range d.peers {
		c.peers[k] = v
	}
	for k, v := range d.records {
		c.records[k] = v
	}
	return c
}

// len returns the number of ops in the log.
func (d *disk) len() causal.LV { return d.begin(len(d.blocks)) }

// blockOf returns which block holds lv, or that behind the last one if none does.
func (d *disk) blockOf(lv causal.LV) int {
	return sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i].end > lv })
}

// holds reports whether an op is in the log, on whichever branch: one branch may end before another that came later.
func (d *disk) holds(dot causal.Dot) bool {
	for i := range slices.Backward(d.blocks) {
		b, err := d.common.decode(d.batch(i))
		if err != nil {
			continue
		}
		for run := range b.Runs {
			if run.Actor == dot.Actor && run.End > dot.Seq {
				return true
			}
		}
	}
	return false
}

// Start returns the first op of the block that holds lv.
func (d *disk) Start(lv causal.LV) causal.LV {
	if lv >= d.len() {
		return lv
	}
	return d.begin(d.blockOf(lv))
}

// append makes what a Ready asks for durable.
func (d *disk) append(rd *replica.Ready) error {
	if rd.Rewrite != nil {
		d.cut(rd.Rewrite.From)
	}
	if err := d.write(rd.Blocks); err != nil {
		return err
	}
	if rd.Rewrite != nil {
		if err := d.write(rd.Rewrite.Blocks); err != nil {
			return err
		}
	}
	if !rd.Actor.IsZero() {
		d.actor = rd.Actor
	}
	if rd.Self != nil {
		d.self = rd.Self
	}
	for _, p := range rd.Peers {
		if !bytes.Equal(d.state, p.State) {
			d.state = bytes.Clone(p.State)
		}
		d.peers[p.Device] = d.state
	}
	for _, rec := range rd.Records {
		d.records[rec.Device] = d.common.record(rec.Device, rec.Record)
	}
	return nil
}

// cut takes off what lies from op from on, where a block begins.
func (d *disk) cut(from causal.LV) {
	first := d.blockOf(from)
	for i := first; i < len(d.blocks); i++ {
		d.bytes -= len(d.batch(i))
	}
	d.blocks = slices.Clone(d.blocks[:first])
}

// write puts blocks behind the log's end.
func (d *disk) write(blocks []replica.Block) error {
	next := d.len()
	for _, block := range blocks {
		if block.First != next {
			return fmt.Errorf("simulations: a block of local version %d behind a log of %d ops", block.First, next)
		}
		batch, ops, err := d.common.store(block.Batch)
		if err != nil {
			return fmt.Errorf("simulations: the replica wrote a block that does not decode: %w", err)
		}
		next += causal.LV(ops)
		d.blocks = append(d.blocks, diskBlock{batch, next})
		d.bytes += len(block.Batch)
	}
	return nil
}

// Changes yields the changes that overlap span, in LV order. It implements replica.Log.
func (d *disk) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	for i := d.blockOf(span.Start); i < len(d.blocks) && d.begin(i) < span.End; i++ {
		next := d.begin(i)
		b, err := d.common.decode(d.batch(i))
		if err != nil {
			return err
		}
		for ch := range b.All {
			at := causal.Span{Start: next, End: next + causal.LV(ch.Len())}
			next = at.End
			if at.End <= span.Start {
				continue
			}
			if at.Start >= span.End || !yield(crdt.Accepted{Change: ch, Span: at}) {
				return nil
			}
		}
	}
	return nil
}

// first returns the first n changes of the log, or all if there are fewer.
func (d *disk) first(n int) []crdt.Accepted {
	var out []crdt.Accepted
	d.Changes(causal.Span{End: d.len()}, func(a crdt.Accepted) bool {
		if len(out) == n {
			return false
		}
		out = append(out, a)
		return true
	})
	return out
}

// sortedDevices returns the keys of m in order.
func sortedDevices(m map[causal.Device][]byte) []causal.Device {
	out := make([]causal.Device, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.SortFunc(out, causal.Device.Compare)
	return out
}
