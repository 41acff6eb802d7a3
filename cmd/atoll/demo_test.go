package main

import (
	"context"
	"strings"
	"testing"
)

// TestDemo runs the demo as a user does.
func TestDemo(t *testing.T) {
	d := newDevice(t, "any")
	out := d.ok("demo")
	if !strings.HasSuffix(out, "\nconverged\n") {
		t.Errorf("the demo does not end with converged:\n%s", out)
	}
	if strings.Contains(out, "\x1b") {
		t.Error("the demo writes colours to a file")
	}
	r := decode[demoReport](d, "demo")
	if !r.Converged || len(r.Scenes) != 8 || len(r.Devices) != deviceCount || len(r.Checks) < 6 {
		t.Fatalf("demo --json: %+v", r)
	}
	kinds := map[string]bool{}
	for _, s := range r.Scenes {
		kinds[s.Kind] = true
		devices := map[string]bool{}
		for _, e := range s.Edits {
			devices[e.Device] = e.Dot != "" && e.Time > 0
		}
		if !s.OK || len(devices) != deviceCount || s.Why == "" || string(s.Begin) == string(s.Want) {
			t.Errorf("scene %+v", s)
		}
	}
	if len(kinds) != len(r.Scenes) {
		t.Errorf("the demo shows the kinds %v", kinds)
	}
}

// TestDemoNotices makes sure the demo's checks can fail: a device that missed a change, a wrong outcome
// and states that differ are each found.
func TestDemoNotices(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), demoPatience)
	defer cancel()
	var told strings.Builder
	d := &demo{tell: &narrator{w: &told}, scenes: scenes()}
	sc := &d.scenes[1]
	end := sc.end
	sc.end = func(c cast) (any, string) {
		_, why := end(c)
		return 91, why
	}
	if err := d.run(ctx); err != nil {
		t.Fatal(err)
	}
	if d.passed() {
		t.Error("a wrong sum passed")
	}
	if out := told.String(); !strings.Contains(out, "budget should be 91") || !strings.Contains(out, "expected    91") {
		t.Errorf("the demo says\n%s", out)
	}
	if c := equal("x", [deviceCount]string{"a", "a", "b"}); c.OK || !strings.Contains(c.Detail, "tablet") {
		t.Errorf("three values that differ: %+v", c)
	}
}
