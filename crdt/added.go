package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Added is what Add made part of a Chains: changes, in causal order, those that were typed in columns. It is immutable, but good only
// until the next Add to those Chains, or Rest.
type Added struct {
	parts []addedPart
	n     int
	span  causal.Span
	one   [1]addedPart // room for parts
}

// addedPart is a change, or a typing.
type addedPart struct {
	Accepted // of a typing: Span only
	typing   *keystrokes
	chunks   []*infoChunk
}

// Len returns the number of changes.
func (a *Added) Len() int { return a.n }

// Span returns the local versions of their ops.
func (a *Added) Span() causal.Span { return a.span }

// All yields the changes, in causal order, until yield returns false. They may be kept; those in columns are made anew each time.
func (a *Added) All(yield func(Accepted) bool) {
	for i := range a.parts {
		p := &a.parts[i]
		if p.typing == nil {
			if !yield(p.Accepted) {
				return
			}
			continue
		}
		chunks, j := p.chunks, 0
		next := p.Span.Start
		after, alone := chunks[0].after, chunks[0].alone // if they are bare
		ok := p.typing.changes(func(ch *Change) bool {
			if j == chunks[0].len() {
				chunks, j = chunks[1:], 0
			}
			k := chunks[0]
			acc := Accepted{Change: ch, Span: causal.Span{Start: next, End: next + causal.LV(ch.Len())}, Hash: k.hash(j)}
			next = acc.Span.End
			if k.bare == nil {
				acc.Effective = k.effective(j)
			} else {
				after = effectiveOf(ch.Time, after, alone && j == 0)
				acc.Effective = after
			}
			j++
			return yield(acc)
		})
		if !ok {
			return
		}
	}
}

// Add makes what Check checked part of c, and returns the changes that were new. It
// cannot fail, but c must not have changed since the check.
func (c *Chains) Add(k *Checked) *Added {
	if k.base != c.graph.Len() {
		panic(fmt.Sprintf("crdt: chains grew from %d to %d ops between Check and Add", k.base, c.graph.Len()))
	}
	fresh := 0
	for i := range k.links {
		if k.links[i].span.End > 0 {
			fresh++
		}
	}
	out := &c.checker.added
	if fresh > len(out.one) {
		out = &Added{parts: make([]addedPart, 0, fresh)} // not to be kept for small ones
	} else {
		out.parts = out.one[:0]
	}
	c.reserve()
	out.n, out.span = k.changes, causal.Span{Start: k.base, End: k.base}
	from := 0
	for i := range k.links {
		l := &k.links[i]
		parents := k.parents[from:l.parentsEnd]
		from = l.parentsEnd
		if l.span.End == 0 {
			continue // held
		}
		out.span.End = l.span.End
		if l.change != nil {
			out.parts = append(out.parts, addedPart{Accepted: Accepted{Change: l.change, Span: l.span, Effective: l.effective, Hash: l.hash}})
			c.append(&out.parts[len(out.parts)-1].Accepted, l.from, parents)
			continue
		}
		c.addTyping(l, parents)
		out.parts = append(out.parts, addedPart{Accepted: Accepted{Span: l.span}, typing: l.typing, chunks: l.chunks})
	}
	c.graph.Rank()
	for _, s := range k.sigs {
		switch {
		case len(k.links) == 1 && fresh == 1 && k.links[0].change != nil:
			c.addSignature(c.infos.len-1, s) // at the one change there is
		case c.graph.Forked():
			c.addSignature(c.change(k.placed(s.Dot)), s)
		default:
			c.AddSignature(s)
		}
	}
	c.checker.begin(c, nil)
	c.checker.trim()
	return out
}

// author returns who wrote the changes of l.
func (l *link) author() causal.Actor {
	if l.change != nil {
		return l.change.Actor
	}
	return l.typing.actor
}

// placed returns where d is, an op of a change that is new.
func (k *Checked) placed(d causal.Dot) causal.LV {
	for i := range k.links {
		l := &k.links[i]
		if l.author() == d.Actor && l.span.End > 0 && l.seq <= d.Seq && d.Seq < l.end {
			return l.span.Start + causal.LV(d.Seq-l.seq)
		}
	}
	panic(fmt.Sprintf("crdt: signature at %s, where no new change ends", d))
}

// reserve makes room for the actors of the batch that was checked last, if many are new.
func (c *Chains) reserve() {
	n := 0
	for i := range c.checker.actors {
		if c.checker.actors[i].held == 0 {
			n++
		}
	}
	if n > fewActors {
		c.graph.Reserve(n)
		c.chains = slices.Grow(c.chains, n)
	}
}

// AddUnhashed adds b to c without computing or comparing a hash, for one who only wants to read what an archive of their own shows:
// from the first batch on, and c is good for nothing that takes a hash afterwards. It checks all
// else that Check does, but looks at no signature. Errors wrap ErrInvalid, are a *MissingError or ErrUnhashed, and c is as it was.
func (c *Chains) AddUnhashed(b *Batch) (*Added, error) {
	if c.Len() > 0 && !c.unhashed {
		panic("crdt: add a batch unhashed to chains with hashes")
	}
	k := &c.checker
	k.begin(c, b)
	k.bare = true
	if err := k.checkFrame(); err != nil {
		return nil, err
	}
	if err := k.checkHeld(); err != nil {
		return nil, err
	}
	if len(k.missing) > 0 {
		return nil, k.missingError()
	}
	k.out.sigs = k.out.sigs[:0]
	out, err := k.place()
	if err != nil {
		return nil, err
	}
	c.unhashed = true
	return c.Add(out), nil
}

// adoptFrom is the number of changes from which a typing's chunks become those of the chains as they are.
const adoptFrom = 128

// addTyping adds the changes of l, a typing.
func (c *Chains) addTyping(l *link, parents []causal.LV) {
	t := l.typing
	ch, ai, before := c.extend(t.actor, t.seq, l.span, l.from, parents)
	ch.last, ch.next = c.infos.len+t.n-1, t.end()
	for _, k := range l.chunks {
		n := k.len()
		if n < adoptFrom && k.bare == nil {
			for i := range k.hashes {
				in, j := c.infos.add(&k.hashes[i], k.span(i), k.time(i), k.effective(i), ai)
				in.setCount(j, ai, before, typedBytes)
				before = in.count(j)
			}
			continue
		}
		k.actor, k.before = ai, before
		c.infos.adopt(k)
		before = k.count(n - 1)
	}
}
