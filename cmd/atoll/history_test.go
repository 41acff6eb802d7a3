package main

import (
	"strings"
	"testing"
)

// TestHistory puts the commands about the past through their paces, on a directory where no node runs and through a
// running node: both must do the same.
func TestHistory(t *testing.T) {
	for _, running := range []bool{false, true} {
		name := "offline"
		if running {
			name = "running"
		}
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, name)
			if running {
				defer d.start().stop()
			}
			d.ok("create", "paper")
			blameCommands(t, d)
			diffCommands(t, d)
		})
	}
}

// version returns the version of the store, as commands take it.
func (d *device) version(store string) string {
	d.t.Helper()
	return strings.Join(decode[shown](d, "get", store).Version, ",")
}

func blameCommands(t *testing.T, d *device) {
	d.ok("insert", "paper", "body", "0", "first third", "--kind", "text")
	before := d.version("paper")
	d.ok("insert", "paper", "body", "6", "second ")
	out := decode[blamed](d, "blame", "paper", "body", "--pause", "0s")
	var texts []string
	for i, r := range out.Runs {
		texts = append(texts, r.Text)
		if r.Len != len(r.Text) || r.Actor == "" || r.Dot == "" || r.Time == 0 || r.Until != r.Time || i > 0 && r.Pos != out.Runs[i-1].Pos+out.Runs[i-1].Len {
			t.Errorf("blame: run %+v", r)
		}
	}
	if got := strings.Join(texts, "|"); got != "first |second |third" || out.Kind != "text" {
		t.Errorf("blame gives the runs %q of a %s", got, out.Kind)
	}
	if out := decode[blamed](d, "blame", "paper", "body", "--at", before); len(out.Runs) != 1 || out.Runs[0].Text != "first third" {
		t.Errorf("blame --at an earlier version: %+v", out)
	}
	if out := d.ok("blame", "paper", "body"); !strings.Contains(out, `"second "`) || len(strings.Split(strings.TrimSpace(out), "\n")) != 3 {
		t.Errorf("blame prints %q", out)
	}
	d.ok("insert", "paper", "authors", "0", "ana", "bo", "--kind", "list")
	list := decode[blamed](d, "blame", "paper", "authors")
	if len(list.Runs) != 1 || list.Runs[0].Len != 2 || string(list.Runs[0].Values[1]) != `"bo"` {
		t.Errorf("blame of a list: %+v", list)
	}
	if out := d.ok("blame", "paper", "authors"); !strings.Contains(out, `["ana","bo"]`) {
		t.Errorf("blame of a list prints %q", out)
	}
	d.ok("add", "paper", "reads")
	d.fails(exitFailed, []string{"blame", "paper", "reads"}, "reads is a counter", "texts and lists")
	d.fails(exitFailed, []string{"blame", "paper", "nowhere"}, "nothing at nowhere")
	d.fails(exitUsage, []string{"blame", "paper", "body", "--pause", "-1s"}, "--pause")
	d.fails(exitUsage, []string{"blame", "paper", "body", "--at", "x"}, "x")
}

func diffCommands(t *testing.T, d *device) {
	one := d.version("paper")
	d.ok("delete", "paper", "body", "0", "6")
	d.ok("insert", "paper", "body", "end", "!")
	two := d.version("paper")
	d.ok("insert", "paper", "authors", "1", "cy")
	d.ok("put", "paper", "about/year", "2026")

	d.prints(`body at 0 -6, at 12 +1 "!"`, "diff", "paper", "body", one)
	d.prints(`body at 0 +6 "first ", at 18 -1`, "diff", "paper", "body", two, one)
	d.prints("no difference", "diff", "paper", "body", two)
	d.prints(`authors at 1 +1 "cy"`, "diff", "paper", "authors", one)
	d.prints(`about/year = 2026`, "diff", "paper", "about/year", "start")
	d.prints(`about/year is gone (was 2026)`, "diff", "paper", "about/year", d.version("paper"), "start")
	d.prints("no difference", "diff", "paper", "about/month", "start")
	if out := d.ok("diff", "paper", "", one); strings.Count(out, "\n") != 3 {
		t.Errorf("diff of the whole store prints %q", out)
	}
	out := decode[changed](d, "diff", "paper", "body", one, two)
	if len(out.Edits) != 1 || len(out.Edits[0].Splices) != 2 || out.Edits[0].Splices[0].Deleted != 6 || strings.Join(out.To, ",") != two {
		t.Errorf("diff --json: %+v", out)
	}
	d.fails(exitFailed, []string{"diff", "paper", "body", strings.Repeat("ab", 40) + ":7"}, "version", "atoll log --json")
	d.fails(exitUsage, []string{"diff", "paper", "body", "yesterday"}, "yesterday")
	d.fails(exitUsage, []string{"diff", "paper", "body", ""}, "FROM-VERSION")
	d.fails(exitUsage, []string{"diff", "paper", "body"}, "usage: atoll diff")
}
