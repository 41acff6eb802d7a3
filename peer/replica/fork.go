package replica

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Fork is two histories under one actor's name: two changes with overlapping dots and different
// hashes. The actor's device is at fault, or was restored from a backup. The branch that came
// first stays; the other, and all that builds on it, is refused; the exchange of everything else goes on.
type Fork struct {
	Actor        causal.Actor
	Ours, Theirs crdt.Tip
	// From is the device that showed it, zero if that is no longer known.
	From causal.Device
	// By is the actor whose signature stands for Theirs: Actor itself, who then signed both branches,
	// or one that says it saw Theirs. Zero: it was only claimed, in a summary, by From.
	By causal.Actor
	// Evidence is the batch, encoded, whose signatures show it. Empty if only claimed, or too large to keep.
	Evidence []byte
}

// Claimed reports whether nothing but From's word stands for f.
func (f Fork) Claimed() bool { return f.By.IsZero() }

// String renders f on one line.
func (f Fork) String() string {
	by := "claimed by " + f.From.String()
	if !f.Claimed() {
		by = "signed by " + f.By.String()
	}
	return fmt.Sprintf("%s: ours %d, theirs %d, %s", f.Actor, f.Ours.Seq, f.Theirs.Seq, by)
}

// maxEvidence is the size up to which the batch that shows a fork is kept.
const maxEvidence = 256 << 10

// maxProof bounds what is sent to one peer to show it forks, since that is not under the credit window.
const maxProof = 1 << 20

// forkTable holds one fork per actor, sorted by actor.
type forkTable struct {
	limit int
	forks []Fork
}

// weight orders what stands for forks: a claim, another author's signature, the actor's own.
func (f Fork) weight() int {
	switch {
	case f.Claimed():
		return 0
	case f.By != f.Actor:
		return 1
	}
	return 2
}

// noteFork reports a fork, once for each actor, and again when more stands for it.
func (r *Replica) noteFork(f Fork) {
	if len(f.Evidence) > maxEvidence {
		f.Evidence = nil
	}
	t := &r.forks
	i, ok := slices.BinarySearchFunc(t.forks, f.Actor, func(f Fork, a causal.Actor) int { return f.Actor.Compare(a) })
	switch {
	case ok && f.weight() <= t.forks[i].weight():
		return
	case ok:
		t.forks[i] = f
	case len(t.forks) < t.limit:
		t.forks = slices.Insert(t.forks, i, f)
	default:
		// Full: a signed one takes the place of a claim.
		claim := slices.IndexFunc(t.forks, Fork.Claimed)
		if f.Claimed() || claim < 0 {
			return
		}
		t.forks = slices.Delete(t.forks, claim, claim+1)
		i, _ = slices.BinarySearchFunc(t.forks, f.Actor, func(f Fork, a causal.Actor) int { return f.Actor.Compare(a) })
		t.forks = slices.Insert(t.forks, i, f)
	}
	r.out.forks = append(r.out.forks, f)
}

// checkTip compares a tip that a peer said it has with the actor's chain, as far as that is held.
func (r *Replica) checkTip(p *peer, t crdt.Tip) {
	if t.Seq > r.graph.Last(t.Actor) || r.isUnsent(t.Dot()) {
		return
	}
	if held, err := r.chains.Holds(t); held || err != nil {
		return // with a log that cannot be read, nobody is accused
	}
	r.part(p, t.Dot())
	ours, _ := r.chains.Tip(t.Actor)
	r.noteFork(Fork{Actor: t.Actor, Ours: ours, Theirs: t, From: p.device})
}

// part notes that a peer holds another branch of an actor's log than the one held here, at d at the latest.
func (r *Replica) part(p *peer, d causal.Dot) {
	if p.forked == nil {
		p.forked = make(map[causal.Actor]causal.Seq)
	}
	if seq, ok := p.forked[d.Actor]; ok && seq <= d.Seq {
		return
	}
	p.forked[d.Actor] = d.Seq
	if !p.proved[d.Actor] && len(p.proved) < r.limits.MaxForks {
		p.proved[d.Actor] = true
		p.proofs = append(p.proofs, d)
	}
}

// proof returns the branch of an actor's log that is held here, from the change with op d on, for a peer that
// holds another: it can check the signatures and so knows of the fork as well. nil if that would be large.
func (r *Replica) proof(d causal.Dot) (*Changes, error) {
	lv, ok := r.graph.LV(d)
	if !ok {
		return nil, nil
	}
	from := r.graph.Dot(r.chains.ChangeAt(lv).Span.Start).Seq
	b, _, err := r.chains.Cut(&r.source, r.graph.ActorSpans(d.Actor, from, r.graph.Last(d.Actor)+1), 1, 1)
	if err != nil || b == nil {
		return nil, err
	}
	batch := b.AppendTo(nil)
	if len(batch) > maxEvidence {
		return nil, nil
	}
	return &Changes{Batch: batch}, nil
}

// sound returns spans without what the peer would refuse: changes of actors of whose log it holds another
// branch, and everything that builds on them.
func (r *Replica) sound(p *peer, spans []causal.Span) []causal.Span {
	if len(p.forked) == 0 {
		return spans
	}
	behind := func(lv causal.LV) bool {
		i, _ := slices.BinarySearchFunc(p.behind, lv, func(s causal.Span, lv causal.LV) int {
			if s.End <= lv {
				return -1
			}
			return 1
		})
		if i < len(p.behind) && p.behind[i].Contains(lv) {
			return true
		}
		d := r.graph.Dot(lv)
		from, ok := p.forked[d.Actor]
		return ok && d.Seq >= from
	}
	var out []causal.Span
	for _, s := range spans {
		r.graph.Runs(s, func(run causal.Run) bool {
			if behind(run.Start) || slices.ContainsFunc(run.Parents, behind) {
				p.behind = causal.AppendSpan(p.behind, run.Span)
			} else {
				out = causal.AppendSpan(out, run.Span)
			}
			return true
		})
	}
	return out
}

// prune returns b without the change that holds or follows dot in its actor's log, and without all that
// builds on what is taken out. Each actor's part ends in a signature again.
func prune(b *crdt.Batch, dot causal.Dot) *crdt.Batch {
	end := make(map[causal.Actor]causal.Seq) // of each actor: the first seq that is out
	end[dot.Actor] = dot.Seq
	signed := make(map[causal.Dot]bool, len(b.Sigs))
	for i := range b.Sigs {
		signed[b.Sigs[i].Dot] = true
	}
	out := func(d causal.Dot) bool {
		e, ok := end[d.Actor]
		return ok && d.Seq >= e
	}
	for again := true; again; {
		again = false
		last := make(map[causal.Actor]causal.Seq) // the last signature of what is left
		for ch := range b.All {
			d := ch.Dot()
			if out(d) {
				continue
			}
			if slices.ContainsFunc(ch.Deps(), out) {
				end[ch.Actor] = ch.Seq
				again = true
				continue
			}
			if signed[d] {
				last[ch.Actor] = d.Seq
			}
		}
		for ch := range b.All {
			if d := ch.Dot(); !out(d) && d.Seq > last[ch.Actor] {
				end[ch.Actor] = ch.Seq
				again = true
			}
		}
	}
	rest := &crdt.Batch{}
	first := make(map[causal.Actor]causal.Seq)
	needed := make(map[causal.Dot]bool)
	for ch := range b.All {
		if out(ch.Dot()) {
			continue
		}
		rest.Append(ch)
		if _, ok := first[ch.Actor]; !ok {
			first[ch.Actor] = ch.Seq
			needed[causal.Dot{Actor: ch.Actor, Seq: ch.Seq - 1}] = true
		}
		for _, d := range ch.Deps() {
			needed[d] = true
		}
	}
	for _, a := range b.Context {
		if f, ok := first[a.Actor]; needed[a.Dot()] && (!ok || a.Seq < f) {
			rest.Context = append(rest.Context, a)
		}
	}
	for _, s := range b.Sigs {
		if _, ok := first[s.Dot.Actor]; ok && !out(s.Dot) {
			rest.Sigs = append(rest.Sigs, s)
		}
	}
	return rest
}
