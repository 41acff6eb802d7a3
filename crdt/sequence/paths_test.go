package sequence_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
	"github.com/atollsync/atoll/crdt/sessions"
)

// stranger is what one types whom no other ever sees. Beside it everything is concurrent with something, so
// that a document which begins with it never takes the fast path, nor forgets its tracker, whose base is the start.
const stranger = '☒'

// slowDocument returns a document that begins with a stranger's change.
func slowDocument(t *testing.T) *document {
	d := newDocument()
	span, err := d.g.Add(agentActor(1<<30), 1, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := d.applied.Take(&d.g, span)
	d.times = append(d.times, stamp{span.End, 0})
	d.runes[span.Start] = stranger
	at := d.seq.Insert(&d.g, h, span.Start, 0, 1)
	d.play([]sequence.Edit{{Pos: at, Inserted: 1, LV: span.Start}})
	return d
}

// TestFastAgainstSlow replays the recorded sessions on the fast path and, as far as something is concurrent, by a tracker that
// begins at the last version all share; by a tracker that begins at the start and does everything; and, those
// of one author, on a plain slice. At many versions all must have the same text.
func TestFastAgainstSlow(t *testing.T) {
	dir := tracesDir(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil || len(paths) < 4 {
		t.Fatalf("%d sessions, %v", len(paths), err)
	}
	orders, err := filepath.Glob(filepath.Join(dir, "order", "*.json"))
	if err != nil || len(orders) < 201 {
		t.Fatalf("%d order graphs, %v", len(orders), err)
	}
	tracked, untracked, versions := 0, 0, 0
	for _, path := range append(paths, orders...) {
		tr := loadTrace(t, path)
		changes := tr.changes()
		alone := tr.Kind != "concurrent"
		if alone {
			for i := range changes[1:] {
				changes[i+1].parents = []int{i}
			}
		}
		var plain sessions.Text
		fast, slow := newDocument(), slowDocument(t)
		for i := range changes {
			fast.apply(t, changes, i)
			slow.apply(t, changes, i)
			if fast.seq.Tracks() {
				tracked++
			} else {
				untracked++
			}
			switch {
			case !slow.seq.Tracks():
				t.Fatalf("%s: change %d of the slow replay was applied without a tracker", path, i)
			case alone && fast.seq.Tracks():
				t.Fatalf("%s: change %d of one author needed a tracker", path, i)
			}
			if alone {
				for _, o := range changes[i].ops {
					plain.Edit(sessions.Patch{Pos: o.pos, Deleted: o.n, Inserted: string(o.text)})
				}
			}
			if i < len(changes)-1 && i%(1+len(changes)/50) != 0 {
				continue
			}
			versions++
			want := fast.rope.String()
			if got := strings.Replace(slow.rope.String(), string(stranger), "", 1); got != want {
				t.Fatalf("%s: after change %d, slow against fast: %s", path, i, diffAt(got, want))
			}
			if alone {
				if got := plain.String(); got != want {
					t.Fatalf("%s: after change %d, plain against fast: %s", path, i, diffAt(got, want))
				}
			}
		}
		if got := fast.rope.String(); got != tr.EndContent {
			t.Errorf("%s: %s", path, diffAt(got, tr.EndContent))
		}
	}
	t.Logf("%d versions compared; fast, %d changes left a tracker and %d none", versions, tracked, untracked)
	if tracked == 0 || untracked == 0 {
		t.Error("the fast replays never or always had a tracker")
	}
}

// TestOrdersOfDelivery replays the concurrent session up to a number of versions from scratch, in orders in which one author's
// branch comes before the other's, and expects what the replay as it was recorded shows there.
func TestOrdersOfDelivery(t *testing.T) {
	tr := loadTrace(t, filepath.Join(tracesDir(t), "friendsforever.json.gz"))
	changes := tr.changes()
	const versions = 8
	as := newDocument()
	for i := range changes {
		as.apply(t, changes, i)
		if i == 0 || i%(len(changes)/versions) != 0 {
			continue
		}
		for name, before := range map[string]func(a, b causal.Actor) bool{
			"first": func(a, b causal.Actor) bool { return a.Compare(b) < 0 },
			"last":  func(a, b causal.Actor) bool { return a.Compare(b) > 0 },
		} {
			d := newDocument()
			for _, j := range causalOrder(changes[:i+1], func(a, b int) bool { return before(changes[a].actor, changes[b].actor) }) {
				d.apply(t, changes, j)
			}
			if got, want := d.rope.String(), as.rope.String(); got != want {
				t.Fatalf("after change %d, %s actor's branch first: %s", i, name, diffAt(got, want))
			}
		}
	}
}
