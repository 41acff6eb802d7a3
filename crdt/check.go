package crdt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt/causal"
)

// ErrSignature is wrapped by errors about a batch with a signature that is missing or does not
// verify: it was damaged, or its sender lies.
var ErrSignature = errors.New("crdt: bad signature")

// MissingError says that a batch, whose signatures are good, builds on changes that are
// not held. Ask for them, and check the batch again once they are.
type MissingError struct {
	Dots []causal.Dot // the last ops of those changes, sorted
}

func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "crdt: %d missing dependencies:", len(e.Dots))
	for i, d := range e.Dots {
		if i == 4 {
			b.WriteString(" ...")
			break
		}
		b.WriteString(" " + d.String())
	}
	return b.String()
}

// ForkError says that an actor's chain in a batch is not the one held: two changes of one actor
// cover the same dot. The batch's signatures are good.
type ForkError struct {
	Ours, Theirs Tip // the first such changes found
	// By is the actor whose signature stands for Theirs. If it is the forked actor itself, its
	// device signed two histories: it is at fault, or was restored from a backup. Otherwise it
	// is another's word, that it saw Theirs.
	By causal.Actor
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("crdt: fork: ours is %s, %s has %s", e.Ours, e.By, e.Theirs)
}

// Checked is a batch that Check found good, ready for Add.
type Checked struct {
	base     causal.LV // the graph's length when it was checked
	accepted []Accepted
	parents  []causal.LV // of all accepted changes
	ends     []int       // of each one's, in parents
	sigs     []Signature // those of the batch
	sigOf    []int       // by accepted change: its signature's index in sigs, -1 for none
}

// Len returns the number of changes that are new.
func (k *Checked) Len() int { return len(k.accepted) }

func (k *Checked) parentsOf(i int) []causal.LV {
	start := 0
	if i > 0 {
		start = k.ends[i-1]
	}
	return k.parents[start:k.ends[i]]
}

// Check checks b against the chains, which it does not change, and returns it ready for Add. Changes that are already held are
// skipped. If verify is nil no signature is asked for: only for batches from
// one's own log. Errors, of which the first that applies is returned:
//   - wrapping ErrInvalid: b breaks a rule, whatever the receiver holds;
//   - wrapping ErrSignature;
//   - *ForkError: b continues a chain that is not the one held;
//   - *MissingError: b builds on changes that are not held;
//   - wrapping ErrInvalid: b breaks a rule that takes its causal history to tell.
func (c *Chains) Check(b *Batch, verify Verify) (*Checked, error) {
	k := &checker{c: c, b: b}
	if err := k.checkFrame(); err != nil {
		return nil, err
	}
	if err := k.checkHeld(); err != nil {
		return nil, err
	}
	if err := k.checkSigs(verify); err != nil {
		return nil, err
	}
	if k.fork != nil {
		return nil, k.fork
	}
	if len(k.missing) > 0 {
		return nil, &MissingError{Dots: k.missing}
	}
	return k.place()
}

// VerifyAlone checks b as far as it can be checked without holding anything: its frame, and its signatures over
// hashes that start from its own Context. It is what a batch must pass to be evidence of a fork,
// or to be worth waiting for what it builds on. Errors are the first two of Check.
func VerifyAlone(store StoreID, b *Batch, verify Verify) error {
	k := &checker{c: NewChains(store), b: b}
	if err := k.checkFrame(); err != nil {
		return err
	}
	return k.checkSigs(verify)
}

// checker is one run of Check.
type checker struct {
	c       *Chains
	b       *Batch
	anchors []anchorUse // parallel to b.Context
	actors  map[causal.Actor]*batchActor
	byCh    []*batchActor // by change of the batch
	hashes  []Hash        // by change
	fork    *ForkError
	missing []causal.Dot
}

// anchorUse says who builds on an anchor.
type anchorUse struct {
	used bool
	by   causal.Actor
}

// batchActor is an actor's part in a batch.
type batchActor struct {
	first   causal.Seq // of its first op here
	next    causal.Seq
	time    int64 // of its last change so far
	hash    Hash
	changes []int // its changes, ascending
	held    int   // of which this many are held
	prev    int   // while placing: its last change
}

// checkFrame checks what can be told from the batch alone and computes all hashes.
func (k *checker) checkFrame() error {
	b := k.b
	if len(b.Changes) == 0 || len(b.Changes) > MaxBatchChanges {
		return fmt.Errorf("%w: a batch of %d changes", ErrInvalid, len(b.Changes))
	}
	for i := range b.Context {
		a := &b.Context[i]
		if a.Seq < 1 || a.Seq > MaxSeq || a.Time < 0 || a.Time > MaxTime || i > 0 && b.Context[i-1].Dot().Compare(a.Dot()) >= 0 {
			return fmt.Errorf("%w: context %s is out of range or not sorted", ErrInvalid, a.Dot())
		}
	}
	k.anchors = make([]anchorUse, len(b.Context))
	k.actors = make(map[causal.Actor]*batchActor)
	k.byCh = make([]*batchActor, len(b.Changes))
	k.hashes = make([]Hash, len(b.Changes))
	var room []byte
	var deps []Hash
	var ba *batchActor
	for i, ch := range b.Changes {
		if err := ch.Validate(); err != nil {
			return err
		}
		if i == 0 || b.Changes[i-1].Actor != ch.Actor {
			var err error
			if ba, err = k.actor(ch); err != nil {
				return err
			}
		}
		if ch.Seq != ba.next {
			return fmt.Errorf("%w: %s:%d where seq %d is next", ErrInvalid, ch.Actor, ch.Seq, ba.next)
		}
		deps = deps[:0]
		for j := range ch.Refs {
			if ch.Refs[j].Seq == 0 {
				continue
			}
			h, err := k.depHash(ch.Refs[j], ch.Actor)
			if err != nil {
				return fmt.Errorf("%w: %s:%d: %s", ErrInvalid, ch.Actor, ch.Seq, err)
			}
			deps = append(deps, h)
		}
		k.hashes[i], room = ch.hashWith(room, &ba.hash, ba.time, deps)
		ba.hash, ba.time = k.hashes[i], ch.Time
		ba.next += causal.Seq(ch.Len())
		ba.changes = append(ba.changes, i)
		k.byCh[i] = ba
	}
	for i, u := range k.anchors {
		a := &b.Context[i]
		if !u.used {
			return fmt.Errorf("%w: nothing builds on context %s", ErrInvalid, a.Dot())
		}
		if ba := k.actors[a.Actor]; ba != nil && a.Seq >= ba.first {
			return fmt.Errorf("%w: context %s is inside the batch", ErrInvalid, a.Dot())
		}
	}
	return nil
}

// actor returns the batchActor of ch's actor, a new one before its first change.
func (k *checker) actor(ch *Change) (*batchActor, error) {
	if ba := k.actors[ch.Actor]; ba != nil {
		return ba, nil
	}
	ba := &batchActor{first: ch.Seq, next: ch.Seq, prev: -1}
	if ch.Seq == 1 {
		ba.hash = GenesisHash(k.c.store, ch.Actor)
	} else {
		i, ok := k.anchor(causal.Dot{Actor: ch.Actor, Seq: ch.Seq - 1})
		if !ok {
			return nil, fmt.Errorf("%w: %s:%d follows nothing in the batch's context", ErrInvalid, ch.Actor, ch.Seq)
		}
		k.anchors[i] = anchorUse{true, ch.Actor}
		ba.hash, ba.time = k.b.Context[i].Hash, k.b.Context[i].Time
	}
	k.actors[ch.Actor] = ba
	return ba, nil
}

// anchor returns the index of d in the context.
func (k *checker) anchor(d causal.Dot) (int, bool) {
	return slices.BinarySearchFunc(k.b.Context, d, func(a Anchor, d causal.Dot) int { return a.Dot().Compare(d) })
}

// depHash returns the hash of dep, which a change of the given actor names.
func (k *checker) depHash(dep causal.Dot, by causal.Actor) (Hash, error) {
	if ba := k.actors[dep.Actor]; ba != nil && dep.Seq >= ba.first {
		if i, ok := k.changeEnding(ba, dep.Seq); ok {
			return k.hashes[i], nil
		}
		return Hash{}, fmt.Errorf("dep %s is not the end of an earlier change", dep)
	}
	i, ok := k.anchor(dep)
	if !ok {
		return Hash{}, fmt.Errorf("dep %s is neither earlier in the batch nor in its context", dep)
	}
	if u := &k.anchors[i]; !u.used {
		*u = anchorUse{true, by}
	}
	return k.b.Context[i].Hash, nil
}

// changeEnding returns which of ba's changes so far has seq as its last op.
func (k *checker) changeEnding(ba *batchActor, seq causal.Seq) (int, bool) {
	if seq == ba.next-1 && len(ba.changes) > 0 {
		return ba.changes[len(ba.changes)-1], true
	}
	i, ok := slices.BinarySearchFunc(ba.changes, seq+1, func(i int, seq causal.Seq) int {
		switch s := k.b.Changes[i].Seq; {
		case s < seq:
			return -1
		case s > seq:
			return 1
		}
		return 0
	})
	if !ok || i == 0 {
		return 0, false
	}
	return ba.changes[i-1], true
}

// checkHeld compares the batch with the chains: it notes forks and what is missing, and
// counts what is already held.
func (k *checker) checkHeld() error {
	c := k.c
	for i := range k.b.Context {
		a := &k.b.Context[i]
		if c.graph.Last(a.Actor) < a.Seq {
			k.missing = append(k.missing, a.Dot())
			continue
		}
		at, _ := c.find(a.Dot())
		if ours := c.tip(at); ours != a.Tip {
			k.noteFork(ours, a.Tip, k.anchors[i].by)
		} else if c.infos.at(at).time != a.Time {
			return fmt.Errorf("%w: context %s says time %d, not %d", ErrInvalid, a.Dot(), a.Time, c.infos.at(at).time)
		}
	}
	for i, ch := range k.b.Changes {
		ba := k.byCh[i]
		if i != ba.changes[0] {
			continue // each actor once
		}
		last := c.graph.Last(ch.Actor)
		for _, j := range ba.changes {
			ch := k.b.Changes[j]
			if ch.Seq > last {
				break
			}
			at, _ := c.find(causal.Dot{Actor: ch.Actor, Seq: ch.Seq})
			dot := ch.Dot()
			theirs := Tip{Actor: dot.Actor, Seq: dot.Seq, Hash: k.hashes[j]}
			if ours := c.tip(at); ours != theirs {
				k.noteFork(ours, theirs, ch.Actor)
				break
			}
			ba.held++
		}
	}
	return nil
}

func (k *checker) noteFork(ours, theirs Tip, by causal.Actor) {
	if k.fork == nil {
		k.fork = &ForkError{Ours: ours, Theirs: theirs, By: by}
	}
}

// checkSigs checks that signatures are where they must be, and those at changes that are not held.
func (k *checker) checkSigs(verify Verify) error {
	sigs := k.b.Sigs
	msg := SigningBytes(Hash{})
	for i := range sigs {
		s := &sigs[i]
		if i > 0 && sigs[i-1].Dot.Compare(s.Dot) >= 0 {
			return fmt.Errorf("%w: signatures not sorted", ErrInvalid)
		}
		ba := k.actors[s.Dot.Actor]
		at, ok := -1, false
		if ba != nil {
			at, ok = k.changeEnding(ba, s.Dot.Seq)
		}
		if !ok {
			return fmt.Errorf("%w: signature at %s, where no change of the batch ends", ErrInvalid, s.Dot)
		}
		if verify == nil || ba.held > 0 && at <= ba.changes[ba.held-1] {
			continue
		}
		copy(msg[len(signingTag):], k.hashes[at][:])
		if !verify(s.Dot.Actor.Device, msg, s.Sig[:]) {
			return fmt.Errorf("%w: at %s", ErrSignature, s.Dot)
		}
	}
	if verify == nil {
		return nil
	}
	for i := range k.b.Changes {
		ba := k.byCh[i]
		if i != ba.changes[len(ba.changes)-1] || ba.held == len(ba.changes) {
			continue
		}
		end := k.b.Changes[i].Dot()
		if _, ok := k.sigAt(end); !ok {
			return fmt.Errorf("%w: none at %s", ErrSignature, end)
		}
	}
	return nil
}

func (k *checker) sigAt(d causal.Dot) (int, bool) {
	return slices.BinarySearchFunc(k.b.Sigs, d, func(s Signature, d causal.Dot) int { return s.Dot.Compare(d) })
}

// place gives the new changes their place in the graph. All they build on is held, on the
// same chains, or in the batch.
func (k *checker) place() (*Checked, error) {
	c := k.c
	fresh := len(k.b.Changes)
	for i := range k.b.Changes {
		if ba := k.byCh[i]; i == ba.changes[0] {
			fresh -= ba.held
		}
	}
	out := &Checked{
		base:     c.graph.Len(),
		accepted: make([]Accepted, 0, fresh),
		parents:  make([]causal.LV, 0, 2*fresh),
		ends:     make([]int, 0, fresh),
		sigs:     k.b.Sigs,
		sigOf:    make([]int, 0, fresh),
	}
	o := overlay{base: &c.graph, start: out.base}
	placed := make([]int, len(k.b.Changes)) // by change: its index in out.accepted
	next := out.base
	for i, ch := range k.b.Changes {
		ba := k.byCh[i]
		if ba.held > 0 && i <= ba.changes[ba.held-1] {
			placed[i] = -1
			continue
		}
		own := causal.LV(-1)
		var after EffectiveTime
		from := len(out.parents)
		switch {
		case ba.prev >= 0:
			p := &out.accepted[ba.prev]
			own, after = p.Span.End-1, p.Effective
		case ch.Seq > 1:
			last := c.chainOf(ch.Actor).last
			own, after = c.span(last).End-1, c.infos.at(last).effective
		}
		if own >= 0 {
			out.parents = append(out.parents, own)
		}
		for j := range ch.Refs {
			d := ch.Refs[j]
			if d.Seq == 0 {
				continue
			}
			dep, at := causal.LV(-1), -1
			if da := k.actors[d.Actor]; da != nil && d.Seq >= da.first {
				at, _ = k.changeEnding(da, d.Seq)
				at = placed[at]
			}
			if at >= 0 {
				p := &out.accepted[at]
				dep, after = p.Span.End-1, max(after, p.Effective)
			} else {
				held, _ := c.find(d)
				dep, after = c.span(held).End-1, max(after, c.infos.at(held).effective)
			}
			out.parents = append(out.parents, dep)
		}
		parents := out.parents[from:]
		if !o.maximal(parents, own) {
			return nil, fmt.Errorf("%w: %s:%d: a dep is in the history of another", ErrInvalid, ch.Actor, ch.Seq)
		}
		span := causal.Span{Start: next, End: next + causal.LV(ch.Len())}
		next = span.End
		o.add(span, parents)
		sig := -1
		if at, ok := k.sigAt(ch.Dot()); ok {
			sig = at
		}
		placed[i] = len(out.accepted)
		ba.prev = len(out.accepted)
		e := EffectiveTime(ch.Time) << 16
		if len(parents) > 0 {
			e = effective(ch.Time, after)
		}
		out.accepted = append(out.accepted, Accepted{Change: ch, Span: span, Effective: e, Hash: k.hashes[i]})
		out.ends = append(out.ends, len(out.parents))
		out.sigOf = append(out.sigOf, sig)
	}
	return out, nil
}

// overlay is a graph with the runs of a batch on top that are not part of it yet.
type overlay struct {
	base    *causal.Graph
	start   causal.LV // of the first op on top
	runs    []overlayRun
	queue   []causal.LV
	initial []causal.LV
}

// overlayRun is a stretch of ops each of which but the first has the one before it as its only parent.
type overlayRun struct {
	causal.Span
	parents []causal.LV
}

// add puts the ops of span on top. It keeps parents.
func (o *overlay) add(span causal.Span, parents []causal.LV) {
	if n := len(o.runs); n > 0 && len(parents) == 1 && parents[0] == span.Start-1 {
		o.runs[n-1].End = span.End
		return
	}
	o.runs = append(o.runs, overlayRun{span, parents})
}

// maximal reports whether no parent but own, which is -1 if there is none, is
// in the history of another or named twice.
func (o *overlay) maximal(parents []causal.LV, own causal.LV) bool {
	deps := len(parents)
	if own >= 0 {
		deps--
	}
	if deps == 0 || deps == 1 && parents[len(parents)-1] > own {
		return true
	}
	// Walk down from all parents at once: one that is met on the way is in another's history.
	o.initial = append(o.initial[:0], parents...)
	slices.Sort(o.initial)
	least := o.initial[0]
	if least == own {
		least = o.initial[1]
	}
	o.queue = append(o.queue[:0], o.initial...)
	isDep := func(lv causal.LV) bool {
		_, ok := slices.BinarySearch(o.initial, lv)
		return ok && lv != own
	}
	push := func(lv causal.LV) bool {
		if isDep(lv) {
			return false
		}
		if lv >= least {
			if at, ok := slices.BinarySearch(o.queue, lv); !ok {
				o.queue = slices.Insert(o.queue, at, lv)
			}
		}
		return true
	}
	for n := len(o.queue); n > 0 && o.queue[n-1] >= o.start; n = len(o.queue) {
		top := o.queue[n-1]
		r := &o.runs[o.runAt(top)]
		o.queue = o.queue[:n-1]
		// What else is queued in the same run is in the history of top.
		for n := len(o.queue); n > 0 && o.queue[n-1] >= r.Start; n = len(o.queue) {
			if isDep(o.queue[n-1]) {
				return false
			}
			o.queue = o.queue[:n-1]
		}
		for _, p := range r.parents {
			if !push(p) {
				return false
			}
		}
	}
	// The rest is in the graph below.
	for i, lv := range o.queue {
		if isDep(lv) && o.base.Contains(o.queue[i+1:], lv) {
			return false
		}
	}
	return true
}

func (o *overlay) runAt(lv causal.LV) int {
	i, ok := slices.BinarySearchFunc(o.runs, lv, func(r overlayRun, lv causal.LV) int {
		switch {
		case r.End <= lv:
			return -1
		case r.Start > lv:
			return 1
		}
		return 0
	})
	if !ok {
		panic(fmt.Sprintf("crdt: local version %d is in no run of the batch", lv))
	}
	return i
}
