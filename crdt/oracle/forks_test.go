package oracle_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// told is a change as its author sent it: a batch of its own.
type told struct {
	crdt.Accepted
	batch []byte
	saw   uint // the changes its author held
}

// hear gives e a change.
func (e *engine) hear(c *told) error {
	b, err := crdt.DecodeBatch(c.batch)
	if err != nil {
		return err
	}
	k, err := e.chains.Check(b, nil)
	if err != nil {
		return err
	}
	for a := range e.chains.Add(k).All {
		if e.bulk {
			e.state.ApplyQuietly(a)
		} else {
			e.state.Apply(a)
		}
	}
	return nil
}

// tell authors a change on e, and returns it as it is sent; nil if do made no op.
func (e *engine) tell(by causal.Actor, time int64, do func(*crdt.Tx)) (*told, error) {
	tx := e.state.Begin(by, time)
	do(&tx)
	a, _, ok, err := tx.Commit()
	if err != nil || !ok {
		return nil, err
	}
	return &told{Accepted: a, batch: e.chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil)}, nil
}

// meaning returns what the oracle says of some changes.
func meaning(made []*told, which uint) (*oracle.Store, error) {
	var set []crdt.Accepted
	for j, c := range made {
		if which>>j&1 == 1 {
			set = append(set, c.Accepted)
		}
	}
	return oracle.OfForked(crdt.StoreID{}, set)
}

// TestForkedGraphs compares the engine with the oracle on every event graph of up to 4 changes by three writers, of whom two are
// clones of one device: they write under one actor until they see each other's, and then go on as others. Each graph's changes
// are delivered in several orders.
func TestForkedGraphs(t *testing.T) {
	limit := 4
	if testing.Short() {
		limit = 3
	}
	forked := 0
	for _, kit := range kits {
		if kit.name != "list" && kit.name != "moves" && kit.name != "map" && kit.name != "register" && kit.name != "text" && kit.name != "marks" {
			continue
		}
		for _, common := range []bool{false, true} {
			var extend func(g graph)
			extend = func(g graph) {
				if len(g) == limit {
					n, err := forkedGraph(kit, g, common)
					if err != nil {
						t.Fatalf("kit %s, graph %s, a common change first: %v: %v", kit.name, g, common, err)
					}
					forked += n
					return
				}
				g.next(3, func(e event) {
					// Which op each event does follows from its place: all of a kit in turn.
					for shift := range 2 {
						e.op = (len(g)*(1+shift) + e.actor + shift) % len(kit.candidates)
						extend(append(g[:len(g):len(g)], e))
					}
				})
			}
			extend(nil)
		}
	}
	if forked < 500 {
		t.Errorf("only %d graphs had a fork", forked)
	}
}

// forkedGraph makes the changes of g, of which actors 0 and 1 are clones, and compares all who take them in, in some order, with the
// oracle. It returns 1 if a log was forked.
func forkedGraph(k kit, g graph, common bool) (forked int, err error) {
	var made []*told
	first := uint(0)
	if common {
		c, err := newEngine().tell(actor(0), 999, func(tx *crdt.Tx) { tx.List("s").Append(7, 8, 9); tx.Text("t").Insert(0, "abc") })
		if err != nil {
			return 0, err
		}
		made, first = append(made, c), 1
	}
	for n, ev := range g {
		saw := ev.saw<<len(made[:first]) | first
		if !common {
			saw = ev.saw
		}
		e := newEngine()
		for j, c := range made {
			if saw>>j&1 == 1 {
				if err := e.hear(c); err != nil {
					return 0, err
				}
			}
		}
		by := actor(ev.actor)
		if ev.actor == 1 {
			by = actor(0)
		}
		if own := e.chains.Graph().Branches(by); len(own) > 1 || ev.actor == 1 && sees(g, ev, 0) || ev.actor == 0 && sees(g, ev, 1) {
			by = actor(3 + ev.actor)
		}
		do := k.candidates[ev.op]
		var c *told
		if do.tx != nil {
			c, err = e.tell(by, 1000, func(tx *crdt.Tx) { do.tx(tx, n) })
		} else {
			c = nil
		}
		if err != nil {
			return 0, err
		}
		if c == nil {
			c, err = e.tell(by, 1000, func(tx *crdt.Tx) { tx.Counter("other").Add(1) })
			if err != nil {
				return 0, err
			}
		}
		c.saw = saw
		made = append(made, c)
	}
	all := uint(1)<<len(made) - 1
	want, err := meaning(made, all)
	if err != nil {
		return 0, err
	}
	var digest, state crdt.Hash
	for i, order := range g.orders() {
		e := newEngine()
		if common {
			if err := e.hear(made[0]); err != nil {
				return 0, err
			}
		}
		for _, j := range order {
			if err := e.hear(made[uint(j)+first]); err != nil {
				return 0, err
			}
		}
		if e.chains.Graph().Forked() {
			forked = 1
		}
		if diff := compare(e.state, want); diff != "" {
			return 0, fmt.Errorf("in order %v: %s", order, diff)
		}
		if i > 0 && (e.chains.Digest() != digest || e.state.Digest() != state) {
			return 0, fmt.Errorf("in order %v the digests are others", order)
		}
		digest, state = e.chains.Digest(), e.state.Digest()
	}
	return forked, nil
}

// sees reports whether e's history has an event of an actor.
func sees(g graph, e event, actor int) bool {
	for j := range g {
		if e.saw>>j&1 == 1 && g[j].actor == actor {
			return true
		}
	}
	return false
}

// TestForkedRandom compares the engine with the oracle where clones of one device write under one actor, others build on any of the branches and
// on several, branches are forked again, and replicas meet in any order. What is passed on is cut from the chains anew.
func TestForkedRandom(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		const replicas = 4
		var made []*told
		engines, knows := make([]*engine, replicas), make([]uint, replicas)
		by := make([]causal.Actor, replicas)
		for n := range engines {
			engines[n] = newEngine()
			by[n] = actor(n / 3) // all but the last are clones
		}
		engines[0].bulk = true
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		check := func(n int) {
			want, err := meaning(made, knows[n])
			must(err)
			if diff := compare(engines[n].state, want); diff != "" {
				t.Fatalf("replica %d: %s", n, diff)
			}
		}
		others := actor(10)
		// meet gives n all that m holds, cut from m's chains.
		meet := func(n, m int) {
			log := source{}
			for j, c := range made {
				if knows[m]>>j&1 == 1 {
					lv, ok, err := engines[m].chains.Find(crdt.Tip{Actor: c.Actor, Seq: c.Dot().Seq, Hash: c.Hash})
					must(err)
					if !ok {
						t.Fatalf("replica %d lost %v", m, c.Dot())
					}
					a := c.Accepted
					a.Span = causal.Span{Start: lv + 1 - causal.LV(c.Len()), End: lv + 1}
					log = append(log, a)
				}
			}
			slices.SortFunc(log, func(a, b crdt.Accepted) int { return int(a.Span.Start - b.Span.Start) })
			var missing []causal.Span
			for _, a := range log {
				if held, err := engines[n].chains.Holds(crdt.Tip{Actor: a.Actor, Seq: a.Dot().Seq, Hash: a.Hash}); err != nil || !held {
					missing = causal.AppendSpan(missing, a.Span)
				}
			}
			for len(missing) > 0 {
				b, rest, err := engines[m].chains.Cut(log, missing, 0, rapid.IntRange(0, 3).Draw(t, "changes"))
				must(err)
				if b == nil {
					t.Fatalf("nothing of %v can be sent", missing)
				}
				decoded, err := crdt.DecodeBatch(b.AppendTo(nil))
				must(err)
				k, err := engines[n].chains.Check(decoded, func(causal.Device, []byte, []byte) bool { return true })
				must(err)
				engines[n].state.ApplyAll(engines[n].chains.Add(k))
				missing = rest
				seen["batches"]++
			}
			knows[n] |= knows[m]
			check(n)
		}
		for range rapid.IntRange(4, 24).Draw(t, "steps") {
			n := rapid.IntRange(0, replicas-1).Draw(t, "replica")
			if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				meet(n, (n+rapid.IntRange(1, replicas-1).Draw(t, "with"))%replicas)
				continue
			}
			e := engines[n]
			if len(e.chains.Graph().Branches(by[n])) > 1 {
				seen["went on as another"]++
				if rapid.Bool().Draw(t, "clone") {
					others.Nonce[7]++ // an actor of its own; otherwise it shares one with whoever else goes on
				}
				if by[n] = others; len(e.chains.Graph().Branches(by[n])) > 1 {
					others.Nonce[7]++
					by[n] = others
				}
			}
			c, err := e.tell(by[n], 1000+rapid.Int64Range(0, 2).Draw(t, "time"), func(tx *crdt.Tx) { (&writer{t: t, tx: tx}).write() })
			must(err)
			if c == nil || len(made) == maxEvents {
				continue
			}
			e.chains.AddSignature(crdt.Signature{Dot: c.Dot()})
			c.saw = knows[n]
			made = append(made, c)
			knows[n] |= 1 << (len(made) - 1)
			if c.Branches != nil {
				seen["named branches"]++
			}
			check(n)
		}
		for n := range engines {
			for m := range engines {
				meet(n, m)
			}
		}
		for n := range engines {
			meet(n, replicas-1)
		}
		for n, e := range engines {
			if e.chains.Digest() != engines[0].chains.Digest() || e.state.Digest() != engines[0].state.Digest() {
				t.Fatalf("replicas 0 and %d have other digests: %v %v, %v %v\n%v\n%v", n, e.chains.Digest(), engines[0].chains.Digest(), e.state.Digest(), engines[0].state.Digest(), e.chains.Tips(), engines[0].chains.Tips())
			}
		}
		for _, a := range engines[0].chains.Graph().Actors() {
			if n := len(engines[0].chains.Graph().Branches(a)); n > 1 {
				seen[fmt.Sprintf("%d branches", min(n, 3))]++
			}
		}
	})
	t.Log(seen)
	for _, what := range []string{"2 branches", "3 branches", "named branches", "went on as another"} {
		if seen[what] == 0 && !t.Failed() {
			t.Errorf("%s: never happened", what)
		}
	}
}
