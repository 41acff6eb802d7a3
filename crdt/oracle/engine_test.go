package oracle_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
)

// engine is one replica of the engine under test.
type engine struct {
	chains *crdt.Chains
	state  *crdt.State
	bulk   bool // each batch is applied as a whole, by ApplyAll
	typed  int  // batches with changes in columns so far
}

func newEngine() *engine {
	chains := crdt.NewChains(crdt.StoreID{})
	return &engine{chains: chains, state: crdt.NewState(chains)}
}

// deliver gives changes to e as one batch. What they build on is in the batch or in e.
func (e *engine) deliver(changes ...*crdt.Change) error {
	if len(changes) == 0 {
		return nil
	}
	batch := crdt.NewBatch(e.context(changes), changes, nil)
	checked, err := e.chains.Check(batch, nil)
	if err != nil {
		return err
	}
	if one := crdt.NewBatch(nil, changes[:1], nil).Items(); batch.Items() < one*(len(changes)-3) {
		e.typed++ // those in columns are no items
	}
	added := e.chains.Add(checked)
	if e.bulk {
		e.state.ApplyAll(added)
		return nil
	}
	for a := range added.All {
		e.state.Apply(a)
	}
	return nil
}

// context returns the anchors of what changes build on outside themselves.
func (e *engine) context(changes []*crdt.Change) []crdt.Anchor {
	if e.chains.Len() == 0 {
		return nil
	}
	var out []crdt.Anchor
	anchor := func(d causal.Dot) {
		hash, ok := e.chains.HashAt(d)
		if !ok || slices.ContainsFunc(out, func(a crdt.Anchor) bool { return a.Dot() == d }) {
			return
		}
		lv, _ := e.chains.Graph().LV(d)
		out = append(out, crdt.Anchor{
			Tip:  crdt.Tip{Actor: d.Actor, Seq: d.Seq, Hash: hash},
			Time: e.chains.ChangeAt(lv).Time,
		})
	}
	for _, c := range changes {
		if c.Seq > 1 {
			anchor(causal.Dot{Actor: c.Actor, Seq: c.Seq - 1})
		}
		for _, d := range c.Deps() {
			anchor(d)
		}
	}
	slices.SortFunc(out, func(a, b crdt.Anchor) int { return a.Dot().Compare(b.Dot()) })
	return out
}

// author makes a change on e, nil if do made no op.
func (e *engine) author(by causal.Actor, time int64, do func(*crdt.Tx)) (*crdt.Change, error) {
	tx := e.state.Begin(by, time)
	do(&tx)
	a, _, ok, err := tx.Commit()
	if err != nil || !ok {
		return nil, err
	}
	return a.Change, nil
}

// compare returns how what s shows differs from what the changes mean, "" if it does not.
func compare(s *crdt.State, want *oracle.Store) string {
	if len(want.Opaque) > 0 {
		return compareOpaque(s, want)
	}
	if got, want := s.JSON(), want.JSON(); got != want {
		return fmt.Sprintf("the engine shows %s\nthe oracle      %s", got, want)
	}
	if got, want := s.Stats(), (crdt.Stats{Void: want.Void, Unknown: want.Unknown}); got != want {
		return fmt.Sprintf("the engine counts %+v\nthe oracle        %+v", got, want)
	}
	return comparePlaces(s, want.Root, nil)
}

// compareOpaque is compare for stores with slices that the engine cannot show.
func compareOpaque(s *crdt.State, want *oracle.Store) string {
	var opaque []string
	for _, info := range s.Slices() {
		if info.Opaque {
			opaque = append(opaque, info.Name)
		}
	}
	if !slices.Equal(opaque, want.Opaque) {
		return fmt.Sprintf("the engine has opaque slices %q\nthe oracle %q", opaque, want.Opaque)
	}
	known := &oracle.Entry{Kind: crdt.Map}
	for _, p := range want.Root.Places {
		if !slices.Contains(opaque, p.Key) {
			known.Places = append(known.Places, p)
		}
	}
	return comparePlaces(s, known, nil)
}

// comparePlaces compares all places in e, which keys lead to.
func comparePlaces(s *crdt.State, e *oracle.Entry, keys []string) string {
	for i, p := range e.Places {
		key := p.Key
		if e.Kind == crdt.List {
			key = strconv.Itoa(i)
		}
		keys := append(keys[:len(keys):len(keys)], key)
		got, shown := s.Path(keys...), p.Shown()
		if got.Exists() != (shown != nil) {
			return fmt.Sprintf("%q: exists in the engine: %v", keys, got.Exists())
		}
		if diff := compareConflicts(got.Conflicts(), p); diff != "" {
			return fmt.Sprintf("%q: %s", keys, diff)
		}
		if shown == nil {
			continue
		}
		if got.Kind() != shown.Kind {
			return fmt.Sprintf("%q: the engine shows a %s, the oracle a %s", keys, got.Kind(), shown.Kind)
		}
		if shown.Kind == crdt.Text {
			if got, want := textSpans(got.Spans()), spans(shown.Text, shown.Marks); got != want {
				return fmt.Sprintf("%q: the engine shows %s\nthe oracle %s", keys, got, want)
			}
		}
		if shown.Set != nil {
			want := make([]any, len(shown.Set))
			for i, v := range shown.Set {
				want[i] = v
			}
			if got.Value() != value(want) { // as JSON, bytes could be taken for a string
				return fmt.Sprintf("%q: the engine has the elements %s, the oracle %s", keys, got.Value(), value(want))
			}
		}
		if diff := comparePlaces(s, shown, keys); diff != "" {
			return diff
		}
	}
	return ""
}

// compareConflicts returns how the conflicts at a place differ from what stands there, "" if they do not:
// of a Register each maximal write, of other entries the value and the latest write.
func compareConflicts(got []crdt.Conflict, p *oracle.Place) string {
	i, same := 0, true
	check := func(kind crdt.Kind, dot causal.Dot, equal func(crdt.Value) bool) {
		same = same && i < len(got) && got[i].Kind == kind && got[i].Dot == dot && got[i].Actor == dot.Actor &&
			got[i].Shown == (i == 0) && equal(got[i].Value)
		i++
	}
	for _, e := range p.Standing {
		for _, w := range e.Writes {
			check(e.Kind, w.Dot, func(v crdt.Value) bool { return v == w.Value })
		}
		if len(e.Writes) == 0 {
			check(e.Kind, e.Latest, func(v crdt.Value) bool { return v.String() == string(e.AppendJSON(nil)) })
		}
	}
	if same && i == len(got) {
		return ""
	}
	var b strings.Builder
	b.WriteString("the engine has the conflicts\n")
	for _, c := range got {
		fmt.Fprintf(&b, "  %s by %s: %s, shown: %v\n", c.Kind, brief(c.Dot), c.Value, c.Shown)
	}
	b.WriteString("the oracle, the first shown\n")
	for _, e := range p.Standing {
		for _, w := range e.Writes {
			fmt.Fprintf(&b, "  %s by %s: %s\n", e.Kind, brief(w.Dot), w.Value)
		}
		if len(e.Writes) == 0 {
			fmt.Fprintf(&b, "  %s by %s: %s\n", e.Kind, brief(e.Latest), e.AppendJSON(nil))
		}
	}
	return b.String()
}

// breach returns where a change that a transaction made breaks the rules of the Map about which entry a write
// goes to, given what its author saw; "" if it follows them.
func breach(change *crdt.Change, saw []*crdt.Change) string {
	var out string
	var before []crdt.Op
	change.Ops(func(_ causal.Seq, _ string, op *crdt.Op) bool {
		if op.Void {
			out = fmt.Sprintf("a transaction authored a void op\n%s", describe([]*crdt.Change{change}))
			return false
		}
		if op.Code.Class() == crdt.ClassWrite {
			seen := saw
			if len(before) > 0 {
				seen = append(slices.Clip(saw), newChange(change.Actor, change.Seq, change.Time, change.Deps(), before...))
			}
			store, err := oracle.Of(seen)
			if err != nil {
				out = err.Error()
				return false
			}
			if want, ok := store.Enter(op.Path); !ok || !slices.Equal(want, op.Path) {
				out = fmt.Sprintf("%s goes to %s\nthe rules say %s (and what stands there as another kind is deleted: %v)\nin%s",
					op, births(op.Path), births(want), ok, describe([]*crdt.Change{change}))
				return false
			}
		}
		before = append(before, *op)
		return true
	})
	return out
}

func births(p crdt.Path) string {
	s := ""
	for _, step := range p {
		s += "/" + step.Key
		if !step.Elem.IsZero() {
			s += brief(step.Elem)
		}
		s += fmt.Sprintf(":%s@%s", step.Kind, brief(step.Birth))
	}
	return s
}
