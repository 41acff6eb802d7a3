package causal

import (
	"slices"
	"strings"
)

// VersionVector summarises a causal history: for each actor the highest Seq of
// its ops in it. It is sorted by actor and holds no zero Seq. The zero value
// is the empty history. A VersionVector is a value: methods return new ones.
type VersionVector []Dot

// Get returns the highest Seq of a in v, 0 if there is none.
func (v VersionVector) Get(a Actor) Seq {
	i, ok := v.find(a)
	if !ok {
		return 0
	}
	return v[i].Seq
}

// Contains reports whether d is in the history v summarises.
func (v VersionVector) Contains(d Dot) bool { return d.Seq <= v.Get(d.Actor) }

// Covers reports whether every op of w is in v.
func (v VersionVector) Covers(w VersionVector) bool {
	i := 0
	for _, d := range w {
		for i < len(v) && v[i].Actor.Compare(d.Actor) < 0 {
			i++
		}
		if i == len(v) || v[i].Actor != d.Actor || v[i].Seq < d.Seq {
			return false
		}
	}
	return true
}

// With returns v joined with the single-actor history that ends in d.
func (v VersionVector) With(d Dot) VersionVector {
	i, ok := v.find(d.Actor)
	if ok && v[i].Seq >= d.Seq || d.Seq == 0 {
		return v
	}
	out := slices.Clone(v)
	if ok {
		out[i] = d
		return out
	}
	return slices.Insert(out, i, d)
}

// Join returns the smallest history that covers both.
func (v VersionVector) Join(w VersionVector) VersionVector {
	out := make(VersionVector, 0, max(len(v), len(w)))
	i, j := 0, 0
	for i < len(v) || j < len(w) {
		switch {
		case j == len(w) || i < len(v) && v[i].Actor.Compare(w[j].Actor) < 0:
			out = append(out, v[i])
			i++
		case i == len(v) || w[j].Actor.Compare(v[i].Actor) < 0:
			out = append(out, w[j])
			j++
		default:
			out = append(out, Dot{v[i].Actor, max(v[i].Seq, w[j].Seq)})
			i++
			j++
		}
	}
	return out
}

// Equal reports whether v and w summarise the same history.
func (v VersionVector) Equal(w VersionVector) bool { return slices.Equal(v, w) }

// String returns the short forms of its dots in braces.
func (v VersionVector) String() string { return formatDots(v) }

func (v VersionVector) find(a Actor) (int, bool) {
	return slices.BinarySearchFunc(v, a, func(d Dot, a Actor) int { return d.Actor.Compare(a) })
}

// Version names a causal history by its heads: the dots of its last ops, none
// in another's history, sorted. The zero value is the empty history.
type Version []Dot

// Equal reports whether v and w name the same history.
func (v Version) Equal(w Version) bool { return slices.Equal(v, w) }

// String returns the short forms of its dots in braces.
func (v Version) String() string { return formatDots(v) }

func formatDots(dots []Dot) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, d := range dots {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(d.String())
	}
	b.WriteByte('}')
	return b.String()
}
