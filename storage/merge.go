package storage

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

const (
	// mergeTail is how many small records the end of the log must have gathered before they are merged
	// though more are to come. Each time it is at least doubled, a block is so often
	// rewritten as its size has doubled, and no more.
	mergeTail = 16
	// mergeChanges is the most changes that are merged into one record: more than are sent at once, since in columns
	// keystrokes take so little that records would be small, and each is compressed on its own.
	mergeChanges = 8 * crdt.TargetBatchChanges
	// hotChanges is how many of the last changes are left as they are, with all their signatures: another
	// actor's change that is still on its way may depend on one, and a batch ends in a signature.
	hotChanges = 256
	// keepChanges and keepBytes are how far apart, per actor, kept signatures may be.
	keepChanges = 1000
	keepBytes   = 64 << 10
)

// Merge does one step of joining small blocks into larger ones, which compress better and need fewer
// signatures, and reports whether there is more to do. A step writes at most about crdt.TargetBatchBytes; it
// does not wait for readers, and delays appends by its own writes only. The node calls it when idle.
//
// The merged block is durable before its parts are removed. After a crash in between both are there, which
// Load accepts; the next Merge removes the parts.
func (l *Log) Merge() (more bool, err error) {
	l.merging.Lock()
	defer l.merging.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ready(); err != nil {
		return false, err
	}
	more, err = l.mergeStep()
	if err != nil {
		return false, fmt.Errorf("merge blocks of store %s: %w", l.id, err)
	}
	return more, nil
}

func (l *Log) mergeStep() (more bool, err error) {
	if err := l.removeLeftovers(); err != nil {
		return false, err
	}
	from, to := l.planMerge()
	if from == to {
		return false, nil
	}
	parts := slices.Clone(l.records[from:to])
	content, n, err := l.join(parts)
	if err != nil {
		return false, err
	}
	if n < 2 {
		l.unmerged[parts[0].first] = true
		return true, nil
	}
	parts = parts[:n]
	whole := content.describe(parts[0].first, true)
	key := whole.key(l.prefix)
	record := l.db.codec.seal(key, content.appendTo(nil), l.db.codec.small)
	if err := l.db.write(put(key, record)); err != nil {
		// It may be there or not. The parts are, so it is best gone.
		l.mu.Lock()
		l.leftovers = append(l.leftovers, key)
		l.mu.Unlock()
		return false, err
	}
	// The merged block is durable: from now on it is the one that is read.
	l.mu.Lock()
	l.records = slices.Replace(l.records, from, from+n, whole)
	for i := range parts {
		l.leftovers = append(l.leftovers, parts[i].key(l.prefix))
	}
	l.mu.Unlock()
	return true, l.removeLeftovers()
}

// removeLeftovers removes records that others cover.
func (l *Log) removeLeftovers() error {
	keys := l.leftovers
	if len(keys) == 0 {
		return nil
	}
	if err := l.db.removeAll(keys); err != nil {
		return err
	}
	l.mu.Lock()
	l.leftovers = nil
	l.mu.Unlock()
	return nil
}

// planMerge returns the range of records that are to become one, an empty one if there is none.
func (l *Log) planMerge() (from, to int) {
	limit := len(l.records)
	for hot := 0; limit > 0 && hot < hotChanges; limit-- {
		hot += int(l.records[limit-1].changes)
	}
	for i := 0; i < limit; i++ {
		if l.unmerged[l.records[i].first] || l.records[i].large() {
			continue
		}
		size, changes, largest := 0, 0, 0
		j := i
		for ; j < limit; j++ {
			r := &l.records[j]
			if size+int(r.size) > crdt.TargetBatchBytes || changes+int(r.changes) > mergeChanges {
				break
			}
			size += int(r.size)
			changes += int(r.changes)
			largest = max(largest, int(r.size))
		}
		full := j < limit
		if full && j-i >= 2 || j-i >= mergeTail && 2*largest <= size {
			return i, j
		}
	}
	return 0, 0
}

// large reports whether r is large enough to be left alone.
func (r *blockRecord) large() bool {
	return 2*int(r.size) > crdt.TargetBatchBytes || 2*int(r.changes) > mergeChanges
}

// join makes one record content of the first n of parts: of all of them, unless a batch
// cannot hold so much.
func (l *Log) join(parts []blockRecord) (content *recordContent, n int, err error) {
	deps, err := l.depIndex()
	if err != nil {
		return nil, 0, err
	}
	var batches []*crdt.Batch
	blocks, items := uint64(0), 0
	for ; n < len(parts); n++ {
		read, err := l.readRecord(parts[n])
		if err != nil {
			return nil, 0, err
		}
		decoded, err := l.decode(parts[n], read)
		if err != nil {
			return nil, 0, err
		}
		for _, b := range decoded {
			items += b.Items()
		}
		if items > crdt.MaxBatchActors/2 || slices.ContainsFunc(decoded, deps.mentionsForked) {
			break
		}
		batches = append(batches, decoded...)
		blocks += parts[n].last - parts[n].first + 1
	}
	if n < 2 {
		return nil, n, nil
	}
	merged := joinBatches(batches, deps.needs)
	data := merged.AppendTo(nil)
	if err := sameChanges(batches, data); err != nil {
		return nil, 0, err
	}
	stored := storedBatch{ops: merged.Ops(), changes: merged.Len(), data: data}
	return &recordContent{position: parts[0].span.Start, blocks: blocks, batches: []storedBatch{stored}}, n, nil
}

// sameChanges checks that data holds the changes of batches: what is about to be
// removed must be there, whatever mistake was made.
func sameChanges(batches []*crdt.Batch, data []byte) error {
	got, err := crdt.DecodeBatch(data)
	if err != nil {
		return fmt.Errorf("the merged batch: %w", err)
	}
	next, stop := iter.Pull(got.All)
	defer stop()
	for _, b := range batches {
		for want := range b.All {
			have, ok := next()
			if !ok {
				return errors.New("the merged batch lacks changes")
			}
			if have.Dot() != want.Dot() || have.Seq != want.Seq || !bytes.Equal(have.HashedBytes(nil, 0), want.HashedBytes(nil, 0)) {
				return fmt.Errorf("the merged batch changes %s", want.Dot())
			}
		}
	}
	if _, more := next(); more {
		return errors.New("the merged batch has more changes")
	}
	return nil
}

// joinBatches returns the batch of all changes of parts, which follow one another in a log. needed says which
// changes other actors' changes depend on.
func joinBatches(parts []*crdt.Batch, needed func(causal.Dot) bool) *crdt.Batch {
	out := new(crdt.Batch)
	inside := make(map[causal.Dot]bool)
	sigs := make(map[causal.Dot]crdt.Signature)
	for _, b := range parts {
		for _, a := range b.Context {
			if !inside[a.Dot()] {
				out.Context = append(out.Context, a)
			}
		}
		for ch := range b.All {
			inside[ch.Dot()] = true
			out.Append(ch)
		}
		for _, s := range b.Sigs {
			sigs[s.Dot] = s
		}
	}
	slices.SortFunc(out.Context, func(a, b crdt.Anchor) int { return a.Dot().Compare(b.Dot()) })
	out.Context = slices.CompactFunc(out.Context, func(a, b crdt.Anchor) bool { return a.Dot() == b.Dot() })
	for _, d := range keptSignatures(out, func(d causal.Dot) bool { _, ok := sigs[d]; return ok }, needed) {
		out.Sigs = append(out.Sigs, sigs[d])
	}
	return out
}

// keptSignatures returns, sorted, the changes of a batch whose signatures are kept: those that other actors'
// changes depend on, each actor's last, and of the others as many as it takes for an actor's to be no further
// apart than keepChanges and keepBytes.
func keptSignatures(b *crdt.Batch, signed, needed func(causal.Dot) bool) []causal.Dot {
	type progress struct {
		changes, bytes int // since the last one kept
		candidate      causal.Dot
		// Since the candidate.
		changesAfter, bytesAfter int
	}
	actors := make(map[causal.Actor]*progress)
	var out []causal.Dot
	for ch := range b.All {
		p := actors[ch.Actor]
		if p == nil {
			p = new(progress)
			actors[ch.Actor] = p
		}
		size := 0
		for i := range ch.Groups {
			size += len(ch.Groups[i].Slice) + len(ch.Groups[i].Ops)
		}
		p.changes, p.changesAfter = p.changes+1, p.changesAfter+1
		p.bytes, p.bytesAfter = p.bytes+size, p.bytesAfter+size
		if !p.candidate.IsZero() && (p.changes > keepChanges || p.bytes > keepBytes) {
			out = append(out, p.candidate)
			p.changes, p.bytes = p.changesAfter, p.bytesAfter
			p.candidate = causal.Dot{}
		}
		d := ch.Dot()
		if !signed(d) {
			continue
		}
		if needed(d) {
			out = append(out, d)
			*p = progress{}
			continue
		}
		p.candidate, p.changesAfter, p.bytesAfter = d, 0, 0
	}
	for _, p := range actors {
		if !p.candidate.IsZero() {
			out = append(out, p.candidate) // the actor's last signature
		}
	}
	slices.SortFunc(out, causal.Dot.Compare)
	return out
}

// depIndex holds the changes that other actors' changes depend on, by their last dots.
type depIndex struct {
	seqs   map[causal.Actor][]causal.Seq
	sorted bool
	next   map[causal.Actor]causal.Seq // after the last op of each
	forked map[causal.Actor]bool       // whose logs have several branches
}

// mentionsForked reports whether b has changes of an actor whose log is forked, or builds on some. It is left as it is: which branch is
// meant follows from what else is in a batch.
func (x *depIndex) mentionsForked(b *crdt.Batch) bool {
	if len(x.forked) == 0 {
		return false
	}
	for run := range b.Runs {
		if x.forked[run.Actor] {
			return true
		}
	}
	return slices.ContainsFunc(b.Context, func(a crdt.Anchor) bool { return x.forked[a.Actor] })
}

// depIndex returns the log's, which it makes the first time. The caller holds l.writing.
func (l *Log) depIndex() (*depIndex, error) {
	if l.deps != nil {
		return l.deps, nil
	}
	deps := &depIndex{seqs: make(map[causal.Actor][]causal.Seq), next: make(map[causal.Actor]causal.Seq), forked: make(map[causal.Actor]bool)}
	for _, r := range l.records {
		content, err := l.readRecord(r)
		if err != nil {
			return nil, err
		}
		batches, err := l.decode(r, content)
		if err != nil {
			return nil, err
		}
		deps.add(batches)
	}
	l.deps = deps
	return deps, nil
}

func (x *depIndex) add(batches []*crdt.Batch) {
	for _, b := range batches {
		for run := range b.Runs {
			if run.Seq < x.next[run.Actor] {
				x.forked[run.Actor] = true
			}
			x.next[run.Actor] = max(x.next[run.Actor], run.End)
		}
		for ch := range b.All {
			for _, r := range ch.Refs {
				if r.Seq == 0 {
					continue
				}
				seqs := x.seqs[r.Actor]
				if n := len(seqs); n == 0 || seqs[n-1] != r.Seq {
					x.seqs[r.Actor] = append(seqs, r.Seq)
					x.sorted = false
				}
			}
		}
	}
}

func (x *depIndex) needs(d causal.Dot) bool {
	if !x.sorted {
		for a, seqs := range x.seqs {
			slices.Sort(seqs)
			x.seqs[a] = slices.Compact(seqs)
		}
		x.sorted = true
	}
	_, ok := slices.BinarySearch(x.seqs[d.Actor], d.Seq)
	return ok
}
