package crdt

import (
	"cmp"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// shownSpan is elements that are shown, and where.
type shownSpan struct {
	causal.Span
	pos int
}

// order tells where elements of a sequence belong that are not shown. Those that were brought back stand where they are only to
// what came later: to what is older, they stand where the first of those did that they stand for, since
// in its place, among what was deleted with it, they were put at random.
type order struct {
	lineage standIns
	index   []indexedSpan // of all elements of the sequence, by name
	plain   []indexedSpan // those shown that stand for nothing, in order
	copies  []placedCopy
	there   map[causal.LV]bool // what something shown stands for
}

type indexedSpan struct {
	causal.Span
	index, pos int
}

// placedCopy is an element that stands for others.
type placedCopy struct {
	lv         causal.LV
	pos        int
	own, first int // the index of itself, -1 if it is in another sequence, and of the first that it stands for
}

func (u *undoer) orderOf(index []indexedSpan, shown []shownSpan) *order {
	o := &order{lineage: u.lineage.elems, index: index, there: make(map[causal.LV]bool)}
	slices.SortStableFunc(o.index, func(a, b indexedSpan) int { return cmp.Compare(a.Start, b.Start) })
	for _, s := range shown {
		for s.Start < s.End {
			_, k, copied := o.lineage.of(s.Start, s.Len())
			if !copied {
				o.addPlain(causal.Span{Start: s.Start, End: s.Start + causal.LV(k)}, s.pos)
			}
			for i := 0; copied && i < k; i++ {
				lv := s.Start + causal.LV(i)
				o.lineage.ancestors(lv, func(of causal.LV) { o.there[of] = true })
				if first, ok := o.find(o.first(lv)); ok {
					c := placedCopy{lv: lv, pos: s.pos + i, own: -1, first: first}
					if own, ok := o.find(lv); ok {
						c.own = own
					}
					o.copies = append(o.copies, c)
				}
			}
			s.Start, s.pos = s.Start+causal.LV(k), s.pos+k
		}
	}
	slices.SortFunc(o.plain, func(a, b indexedSpan) int { return cmp.Compare(a.index, b.index) })
	return o
}

// addPlain adds what is shown at pos, as far as it is in the sequence.
func (o *order) addPlain(s causal.Span, pos int) {
	for s.Start < s.End {
		i := sort.Search(len(o.index), func(i int) bool { return o.index[i].End > s.Start })
		if i == len(o.index) || o.index[i].Start > s.Start {
			return
		}
		x := &o.index[i]
		k := min(x.End, s.End) - s.Start
		o.plain = append(o.plain, indexedSpan{causal.Span{Start: s.Start, End: s.Start + k}, x.index + int(s.Start-x.Start), pos})
		s.Start, pos = s.Start+k, pos+int(k)
	}
}

// find returns the index of an element in the sequence.
func (o *order) find(lv causal.LV) (int, bool) {
	i := sort.Search(len(o.index), func(i int) bool { return o.index[i].End > lv })
	if i == len(o.index) || o.index[i].Start > lv {
		return 0, false
	}
	return o.index[i].index + int(lv-o.index[i].Start), true
}

// first returns the first element of the sequence that lv stands for, by way of others, itself if it stands for none.
func (o *order) first(lv causal.LV) causal.LV {
	first := lv
	o.lineage.ancestors(lv, func(of causal.LV) {
		if _, ok := o.find(of); ok {
			first = of
		}
	})
	return first
}

// gap returns the position in what is shown where an element belongs that is not.
func (o *order) gap(lv causal.LV) int {
	own, _ := o.find(lv)
	first, _ := o.find(o.first(lv))
	return o.gapAt(lv, own, first)
}

// gapAt is gap for an element that belongs to index own, and to index first where it is told from what was brought back since.
func (o *order) gapAt(lv causal.LV, own, first int) int {
	gap := 0
	if i := sort.Search(len(o.plain), func(i int) bool { return o.plain[i].index > own }); i > 0 {
		p := &o.plain[i-1]
		gap = p.pos + min(p.Len(), own-p.index)
	}
	for i := range o.copies {
		c := &o.copies[i]
		if c.lv < lv && c.own >= 0 && c.own < own || (c.lv > lv || c.own < 0) && c.first < first {
			gap = max(gap, c.pos+1)
		}
	}
	return gap
}

// leave forgets where an element stands, which will not stay there.
func (o *order) leave(lv causal.LV) {
	o.copies = slices.DeleteFunc(o.copies, func(c placedCopy) bool { return c.lv == lv })
	for i, p := range o.plain {
		if !p.Contains(lv) {
			continue
		}
		k := int(lv - p.Start)
		rest := indexedSpan{causal.Span{Start: lv + 1, End: p.End}, p.index + k + 1, p.pos + k + 1}
		o.plain[i].End = lv
		if rest.Start < rest.End {
			o.plain = slices.Insert(o.plain, i+1, rest)
		}
		if k == 0 {
			o.plain = slices.Delete(o.plain, i, i+1)
		}
		return
	}
}
