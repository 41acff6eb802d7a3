package replica

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Replicas that hold the same changes must show the same. That is what everything here is built for, so that it does not hold can only be a
// bug of this program, or of a version of it. Now and then two of them compare: once things have been quiet for a while, the one with the smaller device
// key tells the other the digests of its slices, once for every version they share. Nothing is done about a difference but
// to report it.

// States says what the slices of its sender look like.
type States struct {
	Digest crdt.Hash // of the summary they are the state of
	// Slices are sorted by name, at most MaxStates. The digest of a slice that is opaque to the sender is zero.
	Slices []crdt.SliceDigest
	// Whole: there are no others.
	Whole bool
}

// MaxStates is how many slices one States message names. Of more, another part is compared with each version.
const MaxStates = 1 << 10

// Type returns StatesType.
func (*States) Type() MessageType { return StatesType }

// String renders m on one line, with the names of a few slices.
func (m *States) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "States %s", m.Digest)
	for i, s := range m.Slices {
		if i == maxShown {
			fmt.Fprintf(&b, " and %d more", len(m.Slices)-i)
			break
		}
		fmt.Fprintf(&b, " %s", s.Name)
	}
	return b.String()
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *States) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[StatesType])
	buf = appendUint(buf, uint64(StatesType))
	buf = appendBin(buf, m.Digest[:])
	buf = appendArray(buf, 2*len(m.Slices))
	for i := range m.Slices {
		buf = appendBin(buf, []byte(m.Slices[i].Name))
		buf = appendHash(buf, m.Slices[i].Digest)
	}
	return appendBool(buf, m.Whole)
}

// states reads the slices of a States.
func (r *reader) states() []crdt.SliceDigest {
	n := r.list(2, 2, MaxStates)
	if n == 0 {
		return nil
	}
	out := make([]crdt.SliceDigest, n)
	for i := range out {
		out[i] = crdt.SliceDigest{Name: string(r.bin(crdt.MaxSliceName)), Digest: r.hashOrNone()}
		if r.err == nil && i > 0 && out[i-1].Name >= out[i].Name {
			r.fail("slices not sorted")
		}
		if r.err != nil {
			return nil
		}
	}
	return out
}

// Divergence says that a peer which holds the same changes shows something else: a bug in what one of the two runs.
type Divergence struct {
	Peer   causal.Device
	Slice  string
	Digest crdt.Hash // of the summary of both
	// Ours and Theirs are the digests of the slice, zero where it was never written to.
	Ours, Theirs crdt.Hash
}

// String renders d on one line.
func (d Divergence) String() string {
	return fmt.Sprintf("slice %q: %s here, %s at %s, with the same changes %s", d.Slice, d.Ours, d.Theirs, d.Peer, d.Digest)
}

// maxDiverged bounds how many divergences are reported.
const maxDiverged = 64

// stateTable is what is known of states.
type stateTable struct {
	lv       causal.LV // the graph's length for which digests are right
	summed   bool
	digests  []crdt.SliceDigest
	diverged []Divergence
}

// stateDigests returns the digests of all slices, those of opaque ones zero. It reads the whole state, once for each version.
func (r *Replica) stateDigests() []crdt.SliceDigest {
	t := &r.states
	if n := r.graph.Len(); !t.summed || t.lv != n {
		t.digests, t.lv, t.summed = r.state.SliceDigests(), n, true
		for _, s := range r.state.Slices() {
			if !s.Opaque {
				continue
			}
			i, ok := findSlice(t.digests, s.Name)
			if !ok {
				t.digests = slices.Insert(t.digests, i, crdt.SliceDigest{Name: s.Name})
			}
			t.digests[i].Digest = crdt.Hash{}
		}
	}
	return t.digests
}

func findSlice(list []crdt.SliceDigest, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(s crdt.SliceDigest, name string) int { return strings.Compare(s.Name, name) })
}

// statesAt returns when to compare states with p, and false if there is nothing to compare.
func (r *Replica) statesAt(p *peer) (int64, bool) {
	if !p.heard || r.self.held || r.busyWith(p) || r.cfg.Device.Compare(p.device) > 0 || !r.own.valid || r.own.lv != r.graph.Len() ||
		p.comparedAt != r.own.digest || p.statesOf == r.own.digest {
		return 0, false
	}
	return r.grownAt + r.limits.StateInterval, true
}

// makeStates returns what to tell p of the state.
func (r *Replica) makeStates(p *peer) *States {
	own := r.summary()
	p.statesOf = own.digest
	all := r.stateDigests()
	m := &States{Digest: own.digest, Slices: all, Whole: true}
	if len(all) > MaxStates {
		from := int(binary.BigEndian.Uint64(own.digest[:8]) % uint64(len(all)-MaxStates+1))
		m.Slices, m.Whole = all[from:from+MaxStates], false
	}
	return m
}

// stepStates compares a peer's state with the own one.
func (r *Replica) stepStates(p *peer, m *States) {
	own := r.summary()
	if r.self.held || m.Digest != own.digest {
		return // of another version: it means nothing
	}
	found := false
	differ := func(name string, ours, theirs crdt.Hash) {
		found = true
		d := Divergence{Peer: p.device, Slice: name, Digest: own.digest, Ours: ours, Theirs: theirs}
		same := func(e Divergence) bool { return e.Peer == d.Peer && e.Slice == d.Slice }
		if i := slices.IndexFunc(r.states.diverged, same); i >= 0 {
			r.states.diverged[i] = d // it was reported
			return
		}
		if len(r.states.diverged) < maxDiverged {
			r.states.diverged = append(r.states.diverged, d)
			r.out.diverged = append(r.out.diverged, d)
		}
	}
	none := crdt.Hash{} // in all: an opaque slice; else one that was never written to
	all := r.stateDigests()
	for _, s := range m.Slices {
		i, ok := findSlice(all, s.Name)
		switch {
		case s.Digest == none:
		case !ok:
			differ(s.Name, none, s.Digest)
		case all[i].Digest != none && all[i].Digest != s.Digest:
			differ(s.Name, all[i].Digest, s.Digest)
		}
	}
	if m.Whole {
		for _, s := range all {
			if _, ok := findSlice(m.Slices, s.Name); !ok && s.Digest != none {
				differ(s.Name, s.Digest, none)
			}
		}
	}
	// So that both report it.
	p.sayStates = p.sayStates || found && p.statesOf != own.digest
}
