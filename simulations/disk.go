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
	records map[causal.Device][]byte // the last one of each device that any of them was to keep
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

// diskBlock is a block of the log.
type diskBlock struct {
	replica.Block
	end causal.LV
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
func (d *disk) len() causal.LV {
	if len(d.blocks) == 0 {
		return 0
	}
	return d.blocks[len(d.blocks)-1].end
}

// holds reports whether an op is in the log, on whichever branch: one branch may end before another that came later.
func (d *disk) holds(dot causal.Dot) bool {
	for i := range slices.Backward(d.blocks) {
		b, err := d.common.decode(d.blocks[i].Batch)
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
	i := sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i].First > lv })
	return d.blocks[i-1].First
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
	i := sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i].First >= from })
	for _, block := range d.blocks[i:] {
		d.bytes -= len(block.Batch)
	}
	d.blocks = slices.Clone(d.blocks[:i])
}

// write puts blocks behind the log's end.
func (d *disk) write(blocks []replica.Block) error {
	next := d.len()
	for _, block := range blocks {
		if block.First != next {
			return fmt.Errorf("simulations: a block of local version %d behind a log of %d ops", block.First, next)
		}
		b, err := d.common.decode(block.Batch)
		if err != nil {
			return fmt.Errorf("simulations: the replica wrote a block that does not decode: %w", err)
		}
		next += causal.LV(b.Ops())
		d.blocks = append(d.blocks, diskBlock{block, next})
		d.bytes += len(block.Batch)
	}
	return nil
}

// Changes yields the changes that overlap span, in LV order. It implements replica.Log.
func (d *disk) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	i := sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i].end > span.Start })
	for ; i < len(d.blocks) && d.blocks[i].First < span.End; i++ {
		next := d.blocks[i].First
		b, err := d.common.decode(d.blocks[i].Batch)
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
