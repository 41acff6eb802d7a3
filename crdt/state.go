package crdt

import (
	"maps"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// State is what the changes of one causal history mean: the materialised value of
// a store at one version. It is built change by change, by Apply or by a Tx, and both go through
// the same code. It is not safe for concurrent use while it changes; any number of readers may
// share one that does not.
//
// Invariant: a State is a function of the set of changes it has applied. Nothing in it
// depends on their order, other than the memory it takes.
type State struct {
	chains  *Chains
	graph   *causal.Graph
	applied causal.Progress
	root    *mapContent // the slices
	opaque  map[string]bool
	stats   Stats
	// foreign counts, by slice, the void ops that name an element their author never saw. Nobody can tell of an
	// opaque slice, so there they do not count.
	foreign map[string]int
	pass    pass      // the ops being applied
	trace   trace     // of those, if somebody asks what happens
	decoder opDecoder // of those, and the last one decoded
	op      Op
	edits   []sequence.Edit // room for what an op does to a text
	spot    spot
	writing bool // a transaction is under way, with draft
	draft   draft
	told    Version // when what was applied last ended at toldAt
	toldAt  causal.LV
	// unsettled are the texts with marks to which ops have been applied since the marks were settled.
	unsettled []*textContent
}

// Stats counts ops without effect among those a State has applied.
type Stats struct {
	// Void ops are malformed, out of range, over a limit, of unknown kind, or name an element their author
	// never saw (which cannot be told, and does not count, in opaque slices). They are kept and forwarded.
	Void int
	// Unknown are the void ops that a later version of the program may understand. Their
	// slices are opaque to this one.
	Unknown int
}

// NewState returns the state before any change, for changes that c has accepted.
func NewState(c *Chains) *State {
	s := &State{chains: c, graph: c.Graph(), root: newContent(Map).(*mapContent)}
	s.pass.s = s
	return s
}

// Version returns the version s is at.
func (s *State) Version() Version { return s.graph.Version(s.applied.Heads()) }

// versionTold is Version for events, which share it: where one leads the next starts.
func (s *State) versionTold() Version {
	if end := s.applied.End(); s.toldAt != end || end == 0 {
		s.told, s.toldAt = s.Version(), end
	}
	return s.told
}

// Heads returns the same as local versions of the graph, ascending. Read-only until s changes.
func (s *State) Heads() []causal.LV { return s.applied.Heads() }

// shownRoot returns the slices for reading, with all that a transaction under way has written.
func (s *State) shownRoot() *mapContent {
	if s.writing {
		s.pass.s.play() // by way of the pass, so that for the compiler s, and with it who asks, need not outlive this
	}
	return s.root
}

// Stats returns how many ops had no effect.
func (s *State) Stats() Stats { return s.stats }

// SliceInfo describes a slice.
type SliceInfo struct {
	Name string `json:"name"`
	// Kind is that of what is shown, 0 for an opaque slice.
	Kind Kind `json:"kind"`
	// Opaque: it holds ops of a kind this version of the program does not know. It is kept and forwarded
	// but neither shown nor writable here, and in no digest.
	Opaque bool `json:"opaque,omitempty"`
}

// Slices returns the slices that stand and those that are opaque, by name.
func (s *State) Slices() []SliceInfo {
	var out []SliceInfo
	for name, p := range s.shownRoot().places {
		if e := p.shown(s); e != nil {
			out = append(out, SliceInfo{Name: name, Kind: e.kind})
		}
	}
	for name := range s.opaque {
		out = append(out, SliceInfo{Name: name, Opaque: true})
	}
	slices.SortFunc(out, func(a, b SliceInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// later reports whether a is later than b. Ops of a transaction under way, which the graph does not
// hold yet, are later than all it does.
func (s *State) later(a, b causal.LV) bool {
	if n := s.graph.Len(); a >= n || b >= n {
		return a > b
	}
	return s.chains.Later(a, b)
}

// byLatest orders the latest first.
func (s *State) byLatest(a, b causal.LV) int {
	switch {
	case a == b:
		return 0
	case s.later(a, b):
		return -1
	}
	return 1
}

// latest returns the latest of lvs, of which there must be one.
func (s *State) latest(lvs []causal.LV) causal.LV {
	best := lvs[0]
	for _, lv := range lvs[1:] {
		if s.later(lv, best) {
			best = lv
		}
	}
	return best
}

// dot returns the dot of an applied op, or of one of the transaction under way.
func (s *State) dot(lv causal.LV) causal.Dot {
	if s.writing && lv >= s.pass.base {
		return causal.Dot{Actor: s.pass.actor, Seq: s.pass.first + causal.Seq(lv-s.pass.base)}
	}
	return s.graph.Dot(lv)
}

// setOpaque makes a slice opaque from now on.
func (s *State) setOpaque(slice string) {
	if s.opaque == nil {
		s.opaque = make(map[string]bool)
	}
	s.opaque[slice] = true
	delete(s.root.places, slice)
	s.stats.Void -= s.foreign[slice]
	delete(s.foreign, slice)
}

// sortedKeys returns m's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
