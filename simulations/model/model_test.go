package model

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var full = flag.Bool("model.full", false, "explore the larger bounds, too (some minutes; add -timeout 0)")

// TestExhaustive visits every state within the usual bounds, and with -model.full those that take longer. It prints how many
// there are.
func TestExhaustive(t *testing.T) {
	suite := Usual()
	if *full {
		suite = append(suite, Full()...)
	}
	seen := map[string]int{}
	total := 0
	for _, n := range suite {
		if raced {
			n.Bounds.MaxStates = 20_000
		}
		m, err := New(n.Bounds, "")
		if err != nil {
			t.Fatalf("%s: %v", n.Name, err)
		}
		r := Explore(m, nil)
		t.Logf("%s: %s", n.Name, r)
		if r.Violation != nil {
			t.Errorf("%s: %s", n.Name, r.Violation)
		}
		if !r.Complete && !raced {
			t.Errorf("%s: not every state was visited", n.Name)
		}
		if r.Agreed == 0 || r.Agreed == r.States {
			t.Errorf("%s: all agree in %d states of %d", n.Name, r.Agreed, r.States)
		}
		total += r.States
		for k, c := range r.Kinds {
			seen[k] += c
		}
	}
	t.Logf("visited %d states in all; steps: %v", total, seen)
	for _, name := range stepNames {
		if seen[name] == 0 {
			t.Errorf("no step was %q", name)
		}
	}
}

// mutants says for each mutation within which bounds a property is found broken, and without which others. The bounds without the
// mutation break nothing.
var mutants = []struct {
	mutation Mutation
	bounds   Bounds
	ignore   []Property
	want     Property
	steps    []string // what the counterexample tells, in this order
}{
	{SendBeforeFsync, Bounds{Quota: []int{1, 1}, Crashes: true}, nil, Durable, []string{"a commits {a1}", "to b: Changes {a1}", "not yet {a1}"}},
	// The same where only what comes of it is looked at.
	{SendBeforeFsync, Bounds{Quota: []int{1, 1}, Crashes: true}, []Property{Durable, Word}, Dots, []string{"a commits {a1}", "to b: Changes {a1}", "a crashes", "a commits {a1}"}},
	{SendBeforeFsync, Bounds{Quota: []int{1, 0}, Crashes: true}, []Property{Durable, Word, Dots}, Kept, []string{"to b: Changes {a1}", "a crashes", "b makes {a1} durable"}},
	{AckBeforeFsync, Bounds{Quota: []int{1, 1}, Crashes: true}, nil, Durable, []string{"b takes in Changes {a1}", "to a: Ack {a1}", "not yet {a1}"}},
	{AckBeforeFsync, Bounds{Quota: []int{1, 1}, Crashes: true}, []Property{Durable}, Word, []string{"to a: Ack {a1}"}},
	{AnswerBeforeFsync, Bounds{Quota: []int{1, 1}, Crashes: true}, nil, Kept, []string{"a commits {a1}", "a crashes"}},
	{ReissueAfterWipe, Bounds{Quota: []int{1, 1}, Wipe: true}, nil, Dots, []string{"a commits {a1}", "a loses its disk", "a commits {a1}"}},
	{SkipOnResume, Bounds{Quota: []int{2, 2}}, nil, Agreement, []string{"a commits {a1}", "round and round"}},
	{SkipOnResume, Bounds{Quota: []int{3, 0}, Cuts: true, Split: true}, nil, Agreement, []string{"a commits {a1}", "round and round"}},
	{DigestIgnoresTip, Bounds{Quota: []int{2, 1}, Drops: 1}, nil, Word, []string{"takes in Digest, asking {}"}},
	{DigestIgnoresTip, Bounds{Quota: []int{2, 1}, Drops: 1}, []Property{Word}, Agreement, []string{"is lost", "round and round", "sends what is due; to a: Digest {b1}"}},
	{LosePendingRetry, Bounds{Quota: []int{2, 0}, Drops: 1}, nil, Retried, []string{"Changes {a1} of a to b is lost", "b takes in Changes {a2}", "waiting {a2}"}},
	{TrustThePast, Bounds{Quota: []int{1, 1}, Wipe: true}, nil, Agreement, []string{"a loses its disk", "round and round", "b thinks a has {a1}"}},
	{NeverGiveUp, Bounds{Quota: []int{1, 1}, Drops: 1}, nil, Agreement, []string{"Changes {a1} of a to b is lost", "round and round"}},
	{NeverCompare, Bounds{Quota: []int{1, 1}, Drops: 1}, nil, Live, []string{"is lost", "b has durable"}},
}

// TestMutations plants each fault and sees that it is found, by the property that it breaks and with the steps that lead there.
func TestMutations(t *testing.T) {
	found := map[Property]bool{}
	for _, x := range mutants {
		sound, err := New(x.bounds, "")
		if err != nil {
			t.Fatal(err)
		}
		if r := Explore(sound, nil); r.Violation != nil || !r.Complete {
			t.Errorf("without %q: %s", x.mutation, r)
		}
		m, err := New(x.bounds, x.mutation)
		if err != nil {
			t.Fatal(err)
		}
		r := Explore(m, nil, x.ignore...)
		if r.Violation == nil || r.Violation.Property != x.want {
			t.Errorf("%s: %s, want broken: %s", x.mutation, r, x.want)
			continue
		}
		found[x.want] = true
		trace := r.Violation.String()
		t.Logf("%s, after %d states: %s", x.mutation, r.States, trace)
		rest := trace
		for _, step := range x.steps {
			_, after, ok := strings.Cut(rest, step)
			if !ok {
				t.Errorf("%s: the steps do not tell %q after what comes before it:\n%s", x.mutation, step, trace)
			}
			rest = after
		}
	}
	for _, p := range []Property{Durable, Dots, Kept, Word, Retried, Live, Agreement} {
		if !found[p] {
			t.Errorf("no mutation breaks: %s", p)
		}
	}
}

// TestKeys walks at random and sees that every state comes back from its key, that renaming devices changes neither
// its canonical key nor what is possible, and that nothing but names tells states with one key apart.
func TestKeys(t *testing.T) {
	for _, n := range append(Usual(), Full()...) {
		m, err := New(n.Bounds, "")
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		renamed := 0
		for range 50 {
			var s State
			for range 100 {
				k := m.pack(&s)
				var back State
				if m.unpack(&k, &back); back != s {
					t.Fatalf("%s: %+v\ncame back as\n%+v", n.Name, s, back)
				}
				next := successors(m, &s)
				for i := range m.symmetry {
					var other State
					m.symmetry[i].apply(m, &s, &other)
					if a, b := m.canonical(&s), m.canonical(&other); a != b {
						t.Fatalf("%s: %+v\nand renamed\n%+v\nhave canonical keys %v and %v", n.Name, s, other, a, b)
					}
					if a, b := canonicals(m, next), canonicals(m, successors(m, &other)); !sameKeys(a, b) {
						t.Fatalf("%s: %+v\nand renamed\n%+v\nlead to other states", n.Name, s, other)
					}
					if other != s {
						renamed++
					}
				}
				if len(next) == 0 {
					break
				}
				s = next[rng.IntN(len(next))]
			}
		}
		if len(m.symmetry) > 0 && renamed == 0 {
			t.Errorf("%s: no state was renamed", n.Name)
		}
	}
}

func successors(m *Model, s *State) []State {
	var out []State
	m.each(s, func(_ step, next *State, _ Property) { out = append(out, *next) })
	return out
}

func canonicals(m *Model, states []State) map[key]int {
	out := map[key]int{}
	for i := range states {
		out[m.canonical(&states[i])]++
	}
	return out
}

func sameKeys(a, b map[key]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if b[k] == 0 {
			return false
		}
	}
	return true
}

// TestBounds sees that what cannot be explored is refused.
func TestBounds(t *testing.T) {
	for _, x := range []struct {
		bounds Bounds
		want   string
	}{
		{Bounds{Quota: []int{1}}, "1 devices"},
		{Bounds{Quota: []int{1, 1, 1, 1}}, "4 devices"},
		{Bounds{Quota: []int{3, 2}}, "5 changes"},
		{Bounds{Quota: []int{-1, 2}}, "negative"},
		{Bounds{Quota: []int{1, 1}, Queue: 9}, "Queue is 9"},
		{Bounds{Quota: []int{1, 1}, Drops: 4}, "0 to 3"},
		{Bounds{Quota: []int{2, 1, 1}, Queue: 4}, "lower Queue"},
	} {
		if _, err := New(x.bounds, ""); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, want %q", x.bounds, err, x.want)
		}
	}
}
