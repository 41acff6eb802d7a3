package causal

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func drawVector(t *rapid.T, label string) VersionVector {
	var v VersionVector
	for i := range 4 {
		v = v.With(Dot{testActor(i + 1), Seq(rapid.IntRange(0, 3).Draw(t, label))})
	}
	return v
}

// Join is the least upper bound under Covers, and Covers is Contains for every dot.
func TestVersionVectorLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := drawVector(t, "v"), drawVector(t, "w")
		j := v.Join(w)
		for i := range 5 {
			for s := Seq(1); s < 5; s++ {
				d := Dot{testActor(i), s}
				if got, want := j.Contains(d), v.Contains(d) || w.Contains(d); got != want {
					t.Fatalf("%v join %v = %v: contains %v = %v, want %v", v, w, j, d, got, want)
				}
			}
		}
		if !j.Covers(v) || !j.Covers(w) || !j.Equal(w.Join(v)) {
			t.Fatalf("%v join %v = %v", v, w, j)
		}
		covers := true
		for _, d := range w {
			covers = covers && v.Contains(d)
		}
		if v.Covers(w) != covers {
			t.Fatalf("%v covers %v = %v, want %v", v, w, !covers, covers)
		}
		if covers != j.Equal(v) {
			t.Fatalf("%v covers %v = %v, but their join is %v", v, w, covers, j)
		}
	})
}

func TestTextRoundTrips(t *testing.T) {
	d := Dot{testActor(7), 1<<53 + 1}
	got, err := ParseDot(d.Text())
	if err != nil || got != d {
		t.Fatalf("ParseDot(%q) = %v, %v", d.Text(), got, err)
	}
	text, err := json.Marshal(map[Dot]Dot{d: d})
	if err != nil {
		t.Fatal(err)
	}
	var back map[Dot]Dot
	if err := json.Unmarshal(text, &back); err != nil || back[d] != d {
		t.Fatalf("through JSON %s: %v, %v", text, back, err)
	}
	for _, bad := range []string{"", ":", "x:1", d.Actor.Text(), d.Actor.Text() + ":", d.Actor.Text() + ":0",
		d.Actor.Text() + ":-1", d.Actor.Text() + ":1x", d.Actor.Text() + ":12345678901234567890", "ab:1"} {
		if got, err := ParseDot(bad); err == nil {
			t.Errorf("ParseDot(%q) = %v, want an error", bad, got)
		}
	}
}
