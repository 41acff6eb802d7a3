package replica

import (
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// Block is changes to be appended to the log: exactly those that were accepted from local version First
// on, in that order, none of which the log holds yet.
type Block struct {
	First causal.LV
	Batch []byte // crdt.Batch, encoded
}

// Envelope is a message and whom it is for.
type Envelope struct {
	To      causal.Device
	Message Message
}

// PeerState is what to remember of a peer over a restart, opaque: RestorePeer takes it.
type PeerState struct {
	Device causal.Device
	State  []byte
}

// DeviceRecord is a delivery record to keep over a restart, encoded: RestoreRecord takes it.
type DeviceRecord struct {
	Device causal.Device
	Record []byte
}

// Ready is the work a replica needs done. All fields are read-only.
type Ready struct {
	// Actor, unless zero, is the actor that the replica writes as from now on. It must be durable before anything else in this
	// Ready is: it is the Config.Actor of the next start.
	Actor causal.Actor
	// Rewrite, unless nil, asks for the end of the log to be replaced, in one step that a crash undoes or leaves done. Nothing but
	// Actor comes with it. Afterwards the replica is of no use: build a new one from the log and connect it to the same
	// peers. Nobody else was told of what it replaces. See Moved for what becomes of the dots of own changes.
	Rewrite *Rewrite
	// Self, unless nil, is to be kept for RestoreSelf. It must be durable before Messages are sent and Announce is published.
	Self []byte
	// Blocks must be durable, in order, BEFORE anything else in this Ready is acted upon: Messages sent,
	// Announce published, Events shown, callers of Commit answered. A dot another replica has seen must
	// never be issued again after a crash, and what was acknowledged must not be lost by one.
	Blocks []Block
	// Messages go to connected peers, those to one peer in this order. Any may be lost.
	Messages []Envelope
	// Announce is to be published on the store's gossip topic. Any may be lost.
	Announce []Message
	// Events say what the changes of Blocks did to the state, in order.
	Events []crdt.Event
	// Peers and Records are to be kept, best with the Blocks; losing them costs a longer
	// exchange and no more.
	Peers   []PeerState
	Records []DeviceRecord
	// Forks were noticed for the first time.
	Forks []Fork
	// Diverged peers hold the same changes and show something else: a bug, to be reported, noticed for the first time.
	Diverged []Divergence
	// Blamed are offences of peers that no single message shows: to be counted like the *RefusedErrors of Step.
	Blamed []*RefusedError
	// Err says why the log could not be read: a fault of this device's storage. Some
	// messages are then missing, nothing else. Reread tells when that is over.
	Err error
}

// String renders rd over several lines.
func (rd Ready) String() string {
	var b strings.Builder
	if !rd.Actor.IsZero() {
		fmt.Fprintf(&b, "goes on as %s\n", rd.Actor)
	}
	if rd.Rewrite != nil {
		fmt.Fprintf(&b, "rewrites the log from %d on\n", rd.Rewrite.From)
	}
	for _, block := range rd.Blocks {
		what := "malformed"
		if batch, err := crdt.DecodeBatch(block.Batch); err == nil {
			what = describeBatch(batch)
		}
		fmt.Fprintf(&b, "block %d %s\n", block.First, what)
	}
	for _, f := range rd.Forks {
		fmt.Fprintf(&b, "fork %s\n", f)
	}
	for _, d := range rd.Diverged {
		fmt.Fprintf(&b, "diverged %s\n", d)
	}
	for _, m := range rd.Announce {
		fmt.Fprintf(&b, "announce %s\n", m)
	}
	for _, e := range rd.Messages {
		fmt.Fprintf(&b, "to %s: %s\n", e.To, e.Message)
	}
	return b.String()
}

// output collects the next Ready.
type output struct {
	blocks   []Block
	events   []crdt.Event
	announce []Message
	peers    []PeerState
	records  []DeviceRecord
	forks    []Fork
	blamed   []*RefusedError
	diverged []Divergence
	cuts     []cutting // made for this Ready, to be used for more than one peer
	pushed   bool      // an own change was sealed
	waiting  bool      // Ready was called, Advance was not
	sealed   causal.LV // as of that Ready
}

// cutting is the result of one Cut.
type cutting struct {
	missing []causal.Span
	batch   []byte
	sent    []causal.Span
	ends    []causal.LV // the last op of each branch in it, once it was sent
	rest    []causal.Span
}

// HasReady reports whether Ready would return anything.
func (r *Replica) HasReady() bool {
	o := &r.out
	if o.waiting || r.self.done {
		return false
	}
	if r.self.renewed || r.self.changed || r.self.parted || len(o.blamed)+len(o.diverged) > 0 {
		return true
	}
	if r.sealed < r.graph.Len() || len(o.blocks)+len(o.events)+len(o.announce)+len(o.peers)+len(o.records)+len(o.forks) > 0 || r.records.due {
		return true
	}
	return r.anyTouched()
}

// Ready returns the work to be done now. After it, and before anything else but reading, the caller does
// the work and calls Advance; if the Blocks cannot be made durable, the replica must be
// thrown away and built anew from the log.
func (r *Replica) Ready() Ready {
	if r.out.waiting {
		panic("replica: Ready without Advance")
	}
	r.seal()
	if rd, ok := r.readyToRewrite(); ok {
		return rd
	}
	r.makeRecord()
	if r.out.pushed {
		for _, p := range r.order {
			if !r.gossips(p) {
				r.extend(p, r.graph.Len())
			}
		}
	}
	rd := Ready{Blocks: r.out.blocks, Events: r.out.events, Announce: r.out.announce, Forks: r.out.forks, Blamed: r.out.blamed, Diverged: r.out.diverged}
	if r.self.renewed {
		rd.Actor, r.self.renewed = r.Actor(), false
	}
	for _, p := range r.takeTouched() {
		if !p.connected {
			continue
		}
		var err error
		rd.Messages, err = r.messages(p, rd.Messages)
		if err != nil && rd.Err == nil {
			rd.Err = err
		}
	}
	rd.Self = r.takeSelf()
	rd.Peers, rd.Records = r.out.peers, r.out.records
	if planted.Is(planted.ShownEarly) {
		slices.Reverse(rd.Events)
	}
	r.out = output{waiting: true, sealed: r.sealed}
	return rd
}

// Advance tells that the Blocks of the last Ready are durable, and that the rest of it is
// being dealt with.
func (r *Replica) Advance() {
	if !r.out.waiting {
		panic("replica: Advance without Ready")
	}
	r.source.settle(r.out.sealed)
	r.out.waiting = false
}

// cut returns the next batch of missing, as cut before in this Ready if it was, or as it came if that is large enough. Without a batch nothing in missing
// can be sent.
func (r *Replica) cut(missing []causal.Span) (cutting, error) {
	for i := range r.out.cuts {
		if c := &r.out.cuts[i]; slices.Equal(c.missing, missing) {
			if c.ends == nil {
				c.ends = r.ends(c.sent)
			}
			return *c, nil
		}
	}
	if c, ok := r.asItCame(missing); ok {
		return c, nil
	}
	b, rest, err := r.chains.Cut(&r.source, missing, crdt.TargetBatchBytes, crdt.TargetBatchChanges)
	if err != nil {
		r.noteUnread(missing)
		return cutting{}, fmt.Errorf("replica: cut a batch: %w", err)
	}
	if b == nil {
		return cutting{}, nil // nothing in missing is signed
	}
	c := cutting{missing: slices.Clone(missing), batch: b.AppendTo(nil), rest: rest}
	c.sent = causal.Subtract(c.missing, rest)
	c.ends = r.ends(c.sent)
	if len(r.out.cuts) == maxCuts {
		r.out.cuts = slices.Delete(r.out.cuts, 0, 1)
	}
	r.out.cuts = append(r.out.cuts, c)
	return c, nil
}

// asItCame returns the batch of a large block that missing begins with, if it does: whoever lacks one lacks mostly all of it, and nothing need be read
// for that. Where a log is forked a batch may not be for everybody what it was for this replica.
func (r *Replica) asItCame(missing []causal.Span) (cutting, bool) {
	if r.graph.Forked() {
		return cutting{}, false
	}
	for i := range r.large {
		c := &r.large[i]
		if block := c.sent[0]; missing[0].Start != block.Start || missing[0].End < block.End {
			continue
		}
		if c.ends == nil {
			c.ends = r.ends(c.sent)
		}
		out := *c
		out.missing, out.rest = missing, causal.Subtract(missing, c.sent)
		return out, true
	}
	return cutting{}, false
}

// maxLarge is how many large blocks are remembered, until the replica goes to rest.
const maxLarge = 8

// maxCuts is how many batches are remembered while a Ready is put together.
const maxCuts = 8

// maxUnread is of how many batches it is remembered that they could not be cut.
const maxUnread = 16

// noteUnread notes that no batch of missing could be cut, since the log cannot be read.
func (r *Replica) noteUnread(missing []causal.Span) {
	if slices.ContainsFunc(r.unread, func(u []causal.Span) bool { return slices.Equal(u, missing) }) {
		return
	}
	if len(r.unread) == maxUnread {
		r.unread = slices.Delete(r.unread, 0, 1)
	}
	r.unread = append(r.unread, slices.Clone(missing))
}

// Reread reads once more what the log could not be read of for a peer (see Ready.Err), whether or not that peer still lacks it. It returns why
// something of it still cannot be read, nil if all of it can. It is for who tells people that the log is damaged; peers ask again
// of themselves.
func (r *Replica) Reread() error {
	for n := len(r.unread); n > 0; n-- {
		if _, _, err := r.chains.Cut(&r.source, r.unread[n-1], crdt.TargetBatchBytes, crdt.TargetBatchChanges); err != nil {
			return fmt.Errorf("replica: cut a batch: %w", err)
		}
		r.unread = r.unread[:n-1]
	}
	return nil
}
