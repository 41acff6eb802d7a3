package crdt

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/atollsync/atoll/crdt/causal"
)

// ErrSignature is wrapped by errors about a batch with a signature that is missing or does not
// verify: it was damaged, or its sender lies.
var ErrSignature = errors.New("crdt: bad signature")

// MissingError says that a batch, whose signatures are good, builds on changes that are
// not held. Ask for them, and check the batch again once they are.
type MissingError struct {
	Tips []Tip // the ends of those changes, sorted
}

func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "crdt: %d missing dependencies:", len(e.Tips))
	for i, t := range e.Tips {
		if i == 4 {
			b.WriteString(" ...")
			break
		}
		b.WriteString(" " + t.String())
	}
	return b.String()
}

// Fork says that an actor wrote two changes with the same first dot: its log has two branches. Both are kept.
type Fork struct {
	Ours, Theirs Tip // the first changes in which they differ: the one held, and the one that came
}

// Checked is a batch that Check found good, ready for Add. It is good until the next Check or Add.
type Checked struct {
	base    causal.LV // the graph's length when it was checked
	links   []link    // what is new
	parents []causal.LV
	sigs    []Signature // those at what is new
	changes int         // that are new
	forks   []Fork
}

// Ends returns the last change of each actor in the batch, held or new. Good until Add.
func (k *Checked) Ends() []Tip {
	var out []Tip
	for i := len(k.links) - 1; i >= 0; i-- {
		l := &k.links[i]
		a := l.author()
		if !slices.ContainsFunc(out, func(t Tip) bool { return t.Actor == a }) {
			out = append(out, l.tipAt(a, l.end-1))
		}
	}
	return out
}

// Forks returns the forks that what is new makes.
func (k *Checked) Forks() []Fork { return k.forks }

// Len returns the number of changes that are new.
func (k *Checked) Len() int { return k.changes }

// Check checks b against the chains and returns it ready for Add. Nothing that others see of the chains changes, but room
// of theirs is used: no two may check at a time. Changes that are already held are
// skipped. If verify is nil no signature is asked for: only for batches from
// one's own log. Errors, of which the first that applies is returned:
//   - wrapping ErrInvalid: b breaks a rule, whatever the receiver holds;
//   - wrapping ErrSignature;
//   - *MissingError: b builds on changes that are not held;
//   - wrapping ErrInvalid: b breaks a rule that takes its causal history to tell.
//
// or, while changes rest, one of their source.
func (c *Chains) Check(b *Batch, verify Verify) (*Checked, error) {
	if c.unhashed {
		panic("crdt: check a batch against chains without hashes")
	}
	k := &c.checker
	k.begin(c, b)
	if k.checkNext(verify) {
		return &k.out, nil
	}
	if err := k.checkFrame(); err != nil {
		return nil, err
	}
	if err := k.checkHeld(); err != nil {
		return nil, err
	}
	if err := k.checkSigs(verify); err != nil {
		return nil, err
	}
	if len(k.missing) > 0 {
		return nil, k.missingError()
	}
	return k.place()
}

// VerifyAlone checks b as far as it can be checked without holding anything: its frame, and its signatures over
// hashes that start from its own Context. It is what a batch must pass to be evidence of a fork,
// or to be worth waiting for what it builds on. Errors are the first two of Check.
func VerifyAlone(store StoreID, b *Batch, verify Verify) error {
	var k checker
	k.begin(NewChains(store), b)
	if err := k.checkFrame(); err != nil {
		return err
	}
	return k.checkSigs(verify)
}

// checker is one run of Check. A Chains keeps one, so that small batches cost no allocations.
type checker struct {
	c       *Chains
	b       *Batch
	anchors []anchorUse // parallel to b.Context
	actors  []batchActor
	index   map[causal.Actor]int // of actors, if there are more than fewActors
	links   []link               // what the batch is made of, in its order
	deps    []Hash
	hasher  hasher
	missing []Tip
	overlay overlay
	out     Checked
	added   Added // of Add, if it is small
	// Room for batches of one change, and how many there were of them when it was made.
	ones      []batchWithOne
	onesPiece int
	bare      bool // nothing is hashed, and no hash compared
}

// fewActors is the number up to which a batch's actors are found by looking at each.
const fewActors = 8

// anchorUse says who builds on an anchor.
type anchorUse struct {
	used bool
	lv   causal.LV // if it is held
	held bool
}

// batchActor is an actor's part in a batch.
type batchActor struct {
	causal.Actor
	first causal.Seq // of its first op here
	next  causal.Seq
	time  int64 // of its last change so far
	hash  Hash
	links []int      // its links, ascending
	held  causal.Seq // what is below is held; 0: nothing of the actor is
	base  int        // of the change before the first one, an index into anchors; -1: there is none
	// Where what is not held goes on: see origin. leaves is for the first change of that.
	own    causal.LV
	leaves *causal.Leaves
	lv     causal.LV     // while placing: of its last op so far, -1: none
	last   EffectiveTime // and the effective time of its last change so far
}

// link is a change of a batch, or a typing.
type link struct {
	change   *Change // nil: typing
	typing   *keystrokes
	seq, end causal.Seq
	actor    int // an index into actors
	// Of a change:
	hash      Hash
	effective EffectiveTime
	// Of a typing:
	chunks []*infoChunk
	// Once placed:
	span       causal.Span // empty: held
	parentsEnd int         // in Checked.parents
	from       origin
}

func (k *checker) begin(c *Chains, b *Batch) {
	k.c, k.b, k.missing, k.bare = c, b, nil, c.unhashed
	k.out.forks = nil
	clear(k.index)
	clear(k.links)
	k.actors, k.links = k.actors[:0], k.links[:0]
}

// trim lets go of room that is for batches much larger than most are.
func (k *checker) trim() {
	if cap(k.links) > keptLinks {
		k.anchors, k.actors, k.index, k.links, k.overlay, k.out = nil, nil, nil, nil, overlay{}, Checked{}
	}
}

// keptLinks is for how many links there is room between two batches.
const keptLinks = 64

// checkFrame checks what can be told from the batch alone and computes all hashes.
func (k *checker) checkFrame() error {
	b := k.b
	if b.n == 0 || b.n > MaxBatchChanges {
		return fmt.Errorf("%w: a batch of %d changes", ErrInvalid, b.n)
	}
	for i := range b.Context {
		a := &b.Context[i]
		if a.Seq < 1 || a.Seq > MaxSeq || a.Time < 0 || a.Time > MaxTime || i > 0 && b.Context[i-1].Dot().Compare(a.Dot()) >= 0 {
			return fmt.Errorf("%w: context %s is out of range or not sorted", ErrInvalid, a.Dot())
		}
	}
	k.anchors = slices.Grow(k.anchors[:0], len(b.Context))[:len(b.Context)]
	clear(k.anchors)
	k.links = slices.Grow(k.links, min(len(b.single)+len(b.parts), b.n))
	for i := range b.parts {
		p := &b.parts[i]
		ai, err := k.actor(b.actorOf(p), b.seqOf(p))
		if err != nil {
			return err
		}
		if p.typing != nil {
			err = k.addTyping(ai, p.typing)
		} else {
			for _, ch := range b.single[p.from:p.to] {
				if err = k.addChange(ai, ch); err != nil {
					break
				}
			}
		}
		if err != nil {
			return err
		}
	}
	for i, u := range k.anchors {
		a := &b.Context[i]
		if !u.used {
			return fmt.Errorf("%w: nothing builds on context %s", ErrInvalid, a.Dot())
		}
		if ai, ok := k.find(a.Actor); ok && a.Seq >= k.actors[ai].first {
			return fmt.Errorf("%w: context %s is inside the batch", ErrInvalid, a.Dot())
		}
	}
	return nil
}

func (k *checker) addTyping(ai int, t *keystrokes) error {
	ba := &k.actors[ai]
	if t.seq != ba.next {
		return fmt.Errorf("%w: %s:%d where seq %d is next", ErrInvalid, t.actor, t.seq, ba.next)
	}
	var chunks []*infoChunk
	if k.bare {
		chunks = []*infoChunk{{end: causal.LV(t.len), bare: t}}
	} else {
		chunks = t.hash(&k.hasher, ba.hash, ba.time)
	}
	last := chunks[len(chunks)-1]
	ba.hash, ba.time = last.hash(last.len()-1), t.times.last
	ba.next = t.end()
	k.add(link{typing: t, seq: t.seq, end: ba.next, actor: ai, chunks: chunks})
	return nil
}

func (k *checker) addChange(ai int, ch *Change) error {
	if !k.b.valid {
		if err := ch.Validate(); err != nil {
			return err
		}
	}
	ba := &k.actors[ai]
	if ch.Seq != ba.next {
		return fmt.Errorf("%w: %s:%d where seq %d is next", ErrInvalid, ch.Actor, ch.Seq, ba.next)
	}
	k.deps = k.deps[:0]
	for j := range ch.Refs {
		if ch.Refs[j].Seq == 0 {
			continue
		}
		if b := ch.branch(j); b != nil {
			k.deps = append(k.deps, b.Hash)
			continue
		}
		h, err := k.depHash(ch.Refs[j])
		if err != nil {
			return fmt.Errorf("%w: %s:%d: %s", ErrInvalid, ch.Actor, ch.Seq, err)
		}
		k.deps = append(k.deps, h)
	}
	if k.bare {
		ba.hash = Hash{}
	} else {
		ba.hash = k.hasher.hash(ch, &ba.hash, ba.time, k.deps)
	}
	ba.time = ch.Time
	ba.next += causal.Seq(ch.Len())
	k.add(link{change: ch, seq: ch.Seq, end: ba.next, actor: ai, hash: ba.hash})
	return nil
}

func (k *checker) add(l link) {
	ba := &k.actors[l.actor]
	ba.links = append(ba.links, len(k.links))
	k.links = append(k.links, l)
}

// find returns the index of a in k.actors.
func (k *checker) find(a causal.Actor) (int, bool) {
	if len(k.actors) > fewActors {
		i, ok := k.index[a]
		return i, ok
	}
	for i := range k.actors {
		if k.actors[i].Actor == a {
			return i, true
		}
	}
	return 0, false
}

// actor returns the index of an actor's batchActor, a new one before its first change, which starts at seq.
func (k *checker) actor(a causal.Actor, seq causal.Seq) (int, error) {
	if i, ok := k.find(a); ok {
		return i, nil
	}
	var links []int
	if n := len(k.actors); n < cap(k.actors) {
		links = k.actors[:n+1][n].links[:0]
	}
	ba := batchActor{Actor: a, first: seq, next: seq, links: links, lv: -1, base: -1, own: -1}
	if seq == 1 {
		ba.hash = GenesisHash(k.c.store, a)
	} else {
		i, ok := k.anchor(causal.Dot{Actor: a, Seq: seq - 1})
		if !ok {
			return 0, fmt.Errorf("%w: %s:%d follows nothing in the batch's context", ErrInvalid, a, seq)
		}
		k.anchors[i].used = true
		ba.base = i
		ba.hash, ba.time = k.b.Context[i].Hash, k.b.Context[i].Time
	}
	k.actors = append(k.actors, ba)
	if n := len(k.actors); n == fewActors+1 {
		k.index = make(map[causal.Actor]int)
		for i := range k.actors {
			k.index[k.actors[i].Actor] = i
		}
	} else if n > fewActors {
		k.index[a] = n - 1
	}
	return len(k.actors) - 1, nil
}

// anchor returns the index of d in the context.
func (k *checker) anchor(d causal.Dot) (int, bool) {
	return slices.BinarySearchFunc(k.b.Context, d, func(a Anchor, d causal.Dot) int { return a.Dot().Compare(d) })
}

// depHash returns the hash of dep, which a change depends on without naming its branch.
func (k *checker) depHash(dep causal.Dot) (Hash, error) {
	if ai, ok := k.find(dep.Actor); ok && dep.Seq >= k.actors[ai].first {
		l, ok := k.ending(ai, dep.Seq)
		if !ok {
			return Hash{}, fmt.Errorf("dep %s is not the end of an earlier change", dep)
		}
		return k.links[l].tipAt(dep.Actor, dep.Seq).Hash, nil
	}
	i, ok := k.anchor(dep)
	if !ok {
		return Hash{}, fmt.Errorf("dep %s is neither earlier in the batch nor in its context", dep)
	}
	k.anchors[i].used = true
	return k.b.Context[i].Hash, nil
}

// ending returns which link of an actor's so far has a change with seq as its last op.
func (k *checker) ending(ai int, seq causal.Seq) (l int, ok bool) {
	ba := &k.actors[ai]
	if seq >= ba.next || seq < ba.first {
		return 0, false
	}
	l = k.linkOf(ba, seq)
	return l, k.links[l].tipAt(ba.Actor, seq).Seq == seq
}

// linkOf returns which of an actor's links has the op seq.
func (k *checker) linkOf(ba *batchActor, seq causal.Seq) int {
	at := len(ba.links) - 1
	if at > 0 && seq < k.links[ba.links[at]].seq {
		at = sort.Search(at, func(i int) bool { return k.links[ba.links[i]].seq > seq }) - 1
	}
	return ba.links[at]
}

func (l *link) len() int {
	if l.change != nil {
		return 1
	}
	return l.typing.n
}

// at returns the change of l, a typing, that has the op seq: a chunk and the index there.
func (l *link) at(seq causal.Seq) (*infoChunk, int) {
	lv := l.chunks[0].start + causal.LV(seq-l.seq)
	j := sort.Search(len(l.chunks), func(j int) bool { return l.chunks[j].start > lv }) - 1
	return l.chunks[j], l.chunks[j].find(lv)
}

// tipAt returns the end of the change of l that has the op seq.
func (l *link) tipAt(actor causal.Actor, seq causal.Seq) Tip {
	if l.change != nil {
		return Tip{Actor: actor, Seq: l.end - 1, Hash: l.hash}
	}
	k, i := l.at(seq)
	return Tip{Actor: actor, Seq: l.seq + causal.Seq(k.span(i).End-l.chunks[0].start) - 1, Hash: k.hash(i)}
}

// effectiveAt returns the effective time of the change of l, which is placed, that has the op seq.
func (l *link) effectiveAt(seq causal.Seq) EffectiveTime {
	if l.change != nil {
		return l.effective
	}
	k, i := l.at(seq)
	return k.effective(i)
}

// checkSigs checks that signatures are where they must be, and those at changes that are not held.
func (k *checker) checkSigs(verify Verify) error {
	sigs := k.b.Sigs
	var msg []byte
	k.out.sigs = k.out.sigs[:0]
	for i := range sigs {
		s := &sigs[i]
		if i > 0 && sigs[i-1].Dot.Compare(s.Dot) >= 0 {
			return fmt.Errorf("%w: signatures not sorted", ErrInvalid)
		}
		l := -1
		ai, ok := k.find(s.Dot.Actor)
		if ok {
			l, ok = k.ending(ai, s.Dot.Seq)
		}
		if !ok {
			return fmt.Errorf("%w: signature at %s, where no change of the batch ends", ErrInvalid, s.Dot)
		}
		if s.Dot.Seq < k.actors[ai].held {
			continue
		}
		if verify != nil {
			hash := k.links[l].tipAt(s.Dot.Actor, s.Dot.Seq).Hash
			msg = append(append(msg[:0], signingTag...), hash[:]...)
			if !verify(s.Dot.Actor.Device, msg, s.Sig[:]) {
				return fmt.Errorf("%w: at %s", ErrSignature, s.Dot)
			}
		}
		k.out.sigs = append(k.out.sigs, *s)
	}
	if verify == nil {
		return nil
	}
	for i := range k.actors {
		ba := &k.actors[i]
		if ba.held == ba.next {
			continue
		}
		end := causal.Dot{Actor: ba.Actor, Seq: ba.next - 1}
		if _, ok := slices.BinarySearchFunc(sigs, end, func(s Signature, d causal.Dot) int { return s.Dot.Compare(d) }); !ok {
			return fmt.Errorf("%w: none at %s", ErrSignature, end)
		}
	}
	return nil
}
