package crdt

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// written is text as ops inserted it, read from the log: deleted text, or that of another version, is nowhere else.
type written []writtenPiece

// writtenPiece is what one op inserted, or part of it.
type writtenPiece struct {
	causal.Span
	text string
}

// readGap is how many ops between two that are wanted are read rather than looked for apart.
const readGap = 1024

// readWritten reads what the ops in spans, all of them text inserts, inserted. spans may be in any order.
func readWritten(src Source, spans []causal.Span) (written, error) {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b causal.Span) int { return cmp.Compare(a.Start, b.Start) })
	var out written
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].Start-spans[n-1].End < readGap {
			n++
		}
		var err error
		if out, err = out.read(src, spans[:n]); err != nil {
			return nil, err
		}
		spans = spans[n:]
	}
	return out, nil
}

// read appends what the ops in spans, ascending, inserted.
func (w written) read(src Source, spans []causal.Span) (written, error) {
	first, done := len(w), causal.LV(0)
	if first > 0 {
		done = w[first-1].End // a long insert may be wanted again
		first--
	}
	err := src.Changes(causal.Span{Start: spans[0].Start, End: spans[len(spans)-1].End}, func(a Accepted) bool {
		i := sort.Search(len(spans), func(i int) bool { return spans[i].End > a.Span.Start })
		if i == len(spans) || spans[i].Start >= a.Span.End {
			return true
		}
		a.Ops(func(seq causal.Seq, _ string, op *Op) bool {
			lv := a.Span.Start + causal.LV(seq-a.Seq)
			end := lv + causal.LV(op.Len)
			for i < len(spans) && spans[i].End <= lv {
				i++
			}
			if op.Code == CodeTextInsert && i < len(spans) && spans[i].Start < end && lv >= done {
				w = append(w, writtenPiece{causal.Span{Start: lv, End: end}, op.Text})
			}
			return true
		})
		return true
	})
	if err != nil {
		return w, err
	}
	for i, k := 0, first; i < len(spans); {
		if k == len(w) || w[k].Start > spans[i].Start {
			return w, fmt.Errorf("crdt: the inserts [%d, %d) are missing from the log", spans[i].Start, spans[i].End)
		}
		if w[k].End > spans[i].Start {
			if spans[i].Start = min(spans[i].End, w[k].End); spans[i].Start == spans[i].End {
				i++
				continue
			}
		}
		k++
	}
	return w, nil
}

// appendTo appends what the ops in span, which have been read, inserted.
func (w written) appendTo(buf []byte, span causal.Span) []byte {
	i := sort.Search(len(w), func(i int) bool { return w[i].End > span.Start })
	for ; i < len(w) && w[i].Start < span.End; i++ {
		p := &w[i]
		from, to := max(span.Start, p.Start)-p.Start, min(span.End, p.End)-p.Start
		buf = append(buf, sliceRunes(p.text, int(from), int(to))...)
	}
	return buf
}

// sliceRunes returns the code points [from, to) of s.
func sliceRunes(s string, from, to int) string {
	start := 0
	for range from {
		_, n := utf8.DecodeRuneInString(s[start:])
		start += n
	}
	end := start
	for range to - from {
		_, n := utf8.DecodeRuneInString(s[end:])
		end += n
	}
	return s[start:end]
}
