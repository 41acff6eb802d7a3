package replica

import (
	"errors"
	"fmt"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Log is where a replica reads changes that were made durable. It is read synchronously, mostly while a
// Ready is put together, and only for what earlier Readys handed over in Blocks, or
// Restore replayed. An Accepted need have no more than Change and Span set.
type Log interface {
	crdt.Source
	// Start returns the first op of the batch that op lv is in, as the log keeps it: a Rewrite may begin there. Of an op
	// that the log does not hold it is lv itself.
	Start(lv causal.LV) causal.LV
}

// Config says what a replica is a copy of, and who it is. It is copied by New.
type Config struct {
	Store crdt.StoreID
	// Device is this device, and Actor the log that Commit writes: an actor of Device that no other
	// process and no restored copy of it writes to. Required.
	Device causal.Device
	Actor  causal.Actor
	// Sign returns the device's ed25519 signature over msg. Required.
	Sign func(msg []byte) []byte
	// NewActor returns a new actor of Device, with 64 random bits that were never used before. It is called when somebody else
	// turns out to hold more of this device's log than it does itself: after a restored backup, or with two copies
	// of its directory in use. nil: it goes on as the actor it has, and forks it; for tests of that.
	NewActor func() causal.Actor
	// Verify checks signatures. nil means crypto/ed25519, as in every real store.
	Verify crdt.Verify
	// Log holds what is durable. Required.
	Log Log
	// Limits bound what peers can cost. The zero value is right for most.
	Limits Limits
	// Decode reads batches that peers send, as crdt.DecodeBatch does, which it is if nil. What it returns may be shared: a simulation of
	// many replicas in one process need not read the same bytes for each of them. The replica writes to none of it.
	Decode func([]byte) (*crdt.Batch, error)
	// Brief leaves Edits, From and To out of the Events of others' changes, which cost more than the changes, and makes one of what came together: for a
	// simulation that only looks at which changes came.
	Brief bool
}

// ErrNotConnected is returned by Step for a message of a device that is not connected: a
// late one, to be dropped.
var ErrNotConnected = errors.New("replica: not connected")

// Replica is the state machine of one copy of a store. It is not safe for concurrent
// use; what State and Chains return may be read by many while nobody changes the replica.
//
// Times named now are the wall clock in unix milliseconds. Timers run on what passes between one and the next;
// a clock that is set back, or stands still, stops none of them.
//
// Invariant: everything below stable is in the Log, everything below sealed in a Block that was
// or will be in a Ready, and what is not sealed was authored here.
type Replica struct {
	cfg    Config
	limits Limits
	chains *crdt.Chains
	graph  *causal.Graph
	state  *crdt.State
	source source

	wall   int64 // the last time given
	now    int64 // milliseconds that have passed; never goes back
	ticked int64 // now at the last Tick, -1: there was none

	peers        map[causal.Device]*peer
	order        []*peer // the same, by device
	attention    attention
	gossip       bool                              // the store has a topic
	unsubscribed int                               // connected peers that are not subscribed to it
	soon         forwarding                        // to peers that are not subscribed
	late         forwarding                        // to those that are
	grownAt      int64                             // the first tick after something was last added
	rested       bool                              // state and chains went to rest since
	seen         uint64                            // counts Connects, to tell who was here last
	decode       func([]byte) (*crdt.Batch, error) // of batches that come
	replay       crdt.BatchDecoder                 // of the log's blocks
	pending      crdt.Pending
	own          ownSummary
	author       authoring
	records      recordTable
	forks        forkTable
	self         selfState
	states       stateTable
	restoring    bool            // what is noted now was noted before
	refused      uint64          // pending batches that turned out invalid
	unread       [][]causal.Span // see Reread

	sealed causal.LV
	large  []cutting // the last blocks that are about as large as a batch is to be, to be passed on as they are
	out    output
}

// New returns a replica of an empty log; Restore replays what the log holds. It returns
// an error that names every problem of the configuration.
func New(cfg Config) (*Replica, error) {
	limits, err := cfg.Limits.withDefaults()
	errs := []error{err}
	if cfg.Device == (causal.Device{}) {
		errs = append(errs, errors.New("replica: Config.Device is required"))
	}
	if cfg.Actor.Device != cfg.Device {
		errs = append(errs, errors.New("replica: Config.Actor is not an actor of Config.Device"))
	}
	if cfg.Sign == nil {
		errs = append(errs, errors.New("replica: Config.Sign is required"))
	}
	if cfg.Log == nil {
		errs = append(errs, errors.New("replica: Config.Log is required"))
	}
	if limits.MaxRecords > MaxMessageRecords {
		errs = append(errs, fmt.Errorf("replica: Limits.MaxRecords is over %d", MaxMessageRecords))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Verify == nil {
		cfg.Verify = crdt.VerifyEd25519
	}
	chains := crdt.NewChains(cfg.Store)
	r := &Replica{
		cfg:     cfg,
		limits:  limits,
		chains:  chains,
		graph:   chains.Graph(),
		decode:  cfg.Decode,
		state:   crdt.NewState(chains),
		peers:   make(map[causal.Device]*peer),
		replay:  crdt.BatchDecoder{Passing: true},
		pending: crdt.Pending{MaxBytes: limits.PendingBytes, MaxCount: limits.PendingBatches},
		ticked:  -1,
		records: recordTable{at: -limits.RecordInterval, lv: -1},
		forks:   forkTable{limit: limits.MaxForks},
	}
	if r.decode == nil {
		r.decode = new(crdt.BatchDecoder).Decode
	}
	r.source.log = cfg.Log
	r.author.actors = []causal.Actor{cfg.Actor}
	return r, nil
}

// Restore replays one block of the replica's own log. All blocks must be replayed, in order, before
// anything else is done. Signatures are not checked: the log is trusted as far as its checksums reach.
func (r *Replica) Restore(block []byte) error {
	if !r.state.TakeKeystroke(block, nil) {
		b, err := r.replay.Decode(block)
		if err != nil {
			return fmt.Errorf("replica: restore: %w", err)
		}
		k, err := r.chains.Check(b, nil)
		if err != nil {
			return fmt.Errorf("replica: restore: %w", err)
		}
		r.restoring = true
		r.noteForks(k.Forks(), causal.Device{}, block)
		r.restoring = false
		r.state.ApplyAll(r.chains.Add(k))
	}
	r.source.stable = r.graph.Len()
	r.sealed = r.source.stable
	return nil
}

// State returns the materialised state at the replica's version, uncommitted to disk as
// far as a Ready not yet advanced says. Read-only.
func (r *Replica) State() *crdt.State { return r.state }

// Chains returns what has been accepted. Read-only.
func (r *Replica) Chains() *crdt.Chains { return r.chains }

// Source returns the changes of the replica: the log, and those on their way there.
func (r *Replica) Source() crdt.Source { return &r.source }

// Digest returns the digest of everything the replica holds, and of the store's ID. Until what is unsent may leave, it is another than
// the replica tells its peers.
func (r *Replica) Digest() crdt.Hash {
	if r.self.held {
		return holdingsOf(r.chains.Tips()).digest(r.cfg.Store)
	}
	return r.summary().digest
}

// clock takes notice of the time. It never runs backwards, whatever now does.
func (r *Replica) clock(now int64) {
	if r.wall != 0 && now > r.wall {
		r.now += now - r.wall
	}
	r.wall = now
}

// Step takes in a message of a connected peer. The message is checked whole before anything
// changes: on error the replica is as it was. A *RefusedError says whether the peer is to blame.
func (r *Replica) Step(from causal.Device, m Message, now int64) error {
	p := r.peers[from]
	if p == nil || !p.connected {
		return fmt.Errorf("%w: %s", ErrNotConnected, from)
	}
	r.clock(now)
	if err := r.metered(p, m); err != nil {
		return err
	}
	r.touch(p)
	switch m := m.(type) {
	case *Have:
		return r.stepHave(p, m)
	case *NeedFull:
		p.shared, p.offered = nil, shared{}
		p.wantHave(false)
		return nil
	case *Changes:
		n := r.graph.Len()
		err := r.stepChanges(from, p, m)
		r.soon.came(causal.Span{Start: n, End: r.graph.Len()})
		return err
	case *Ack:
		return r.stepAck(p, m)
	case *Digest:
		r.stepDigest(p, m)
		return nil
	case *Records:
		return r.stepRecords(p, m)
	case *States:
		r.stepStates(p, m)
		return nil
	}
	return r.refuse(from, Malformed, fmt.Errorf("replica: %T does not travel on a stream", m))
}

// StepGossip takes in a message that came by gossip. from is the device that made it, which need not be
// connected. Errors are as for Step.
func (r *Replica) StepGossip(from causal.Device, m Message, now int64) error {
	r.clock(now)
	p := r.peers[from]
	if p != nil && !p.connected {
		p = nil
	}
	if p != nil {
		r.touch(p)
	}
	switch m := m.(type) {
	case *Changes:
		return r.stepChanges(from, p, m)
	case *Heads:
		if p != nil {
			r.meetSelf(p, m.Tips)
		}
		r.seek(p, m.Tips)
		return nil
	}
	return r.refuse(from, Malformed, fmt.Errorf("replica: %T does not travel by gossip", m))
}

// maxGap is how many missing tips are remembered per peer until the next Tick: one would do, were it
// not that it may come while another does not.
const maxGap = 16

// seek asks p, or if it is nil every connected peer, for what the replica lacks of tips. It does so on the
// next Tick: what is missing is often on its way.
func (r *Replica) seek(p *peer, tips []crdt.Tip) {
	var gap []crdt.Tip
	for i := range tips {
		if len(gap) < maxGap && !r.holds(tips[i]) {
			gap = append(gap, tips[i])
		}
	}
	r.seekTips(p, gap)
}

func (r *Replica) seekTips(p *peer, gap []crdt.Tip) {
	for _, q := range r.order {
		if q.connected && (p == nil || p == q) && len(q.gap)+len(gap) <= maxGap {
			q.gap = append(q.gap, gap...)
			r.touch(q)
		}
	}
}

// tickStep is what a Tick takes to have passed since the last one if the clock does not tell.
const tickStep = 100

// Tick lets time pass. Call it about ten times a second while peers are connected; see NextTick for when that can be left out.
func (r *Replica) Tick(now int64) {
	r.clock(now)
	if r.now == r.ticked {
		r.now += tickStep
	}
	r.ticked = r.now
	if !r.rested && r.now-r.grownAt >= r.limits.RestAfter {
		r.state.Rest()
		r.chains.Rest(&r.source)
		r.rested, r.large = true, nil
	}
	r.tickForward()
	for _, p := range r.takeDue() {
		if p.connected {
			r.tickPeer(p)
			if r.hasMessages(p) {
				r.touch(p)
			}
		}
	}
	r.tickRecord()
	r.tickSelf()
	r.author.tick(r.now)
}
