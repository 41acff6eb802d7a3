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
			markCommands(t, d)
			undoCommands(t, d)
		})
	}
}

// version returns the version of the store, as commands take it.
func (d *device) version(store string) string {
	d.t.Helper()
	return strings.Join(decode[shown](d, "get", store).Version, ",")
}

// watchedOne returns the one event that watch prints of what came after a version.
func (d *device) watchedOne(store, since string) watched {
	d.t.Helper()
	return decode[watched](d, "watch", store, "--since", since, "--count", "1")
}

func markCommands(t *testing.T, d *device) {
	d.ok("put", "paper", "title", "Call mum about it", "--kind", "text")
	before := d.version("paper")
	d.ok("mark", "paper", "title", "0", "8", "bold")
	d.ok("mark", "paper", "title", "5", "end", "link", "https://example.org")
	d.ok("insert", "paper", "title", "8", "my")  // bold grows at its end
	d.ok("insert", "paper", "title", "end", "!") // a link does not
	d.prints(`"Call "      bold
"mummy"      bold, link="https://example.org"
" about it"  link="https://example.org"
"!"`, "get", "paper", "title", "--spans")
	out := decode[shown](d, "get", "paper", "title", "--spans")
	if len(out.Spans) != 4 || len(out.Spans[1].Marks) != 2 || string(out.Spans[0].Marks[0].Value) != "true" || string(out.Value) != `"Call mummy about it!"` {
		t.Errorf("get --spans: %+v", out)
	}
	d.prints("**Call** [**mummy** about it](https://example.org)!", "get", "paper", "title", "--markdown")
	if out := decode[shown](d, "get", "paper", "title", "--markdown", "--at", before); out.Markdown == nil || *out.Markdown != "Call mum about it" || out.Spans != nil {
		t.Errorf("get --markdown before there were marks: %+v", out)
	}
	if out := decode[shown](d, "get", "paper", "title", "--spans", "--at", before); len(out.Spans) != 1 || len(out.Spans[0].Marks) != 0 {
		t.Errorf("get --spans before there were marks: %+v", out.Spans)
	}
	if out := decode[shown](d, "get", "paper", "title"); out.Spans != nil {
		t.Errorf("get without --spans has %+v", out.Spans)
	}

	since := d.version("paper")
	d.ok("unmark", "paper", "title", "0", "end", "link")
	if e := d.watchedOne("paper", since); len(e.Edits) != 1 || len(e.Edits[0].Marks) != 1 || e.Edits[0].Marks[0].Name != "link" || e.Edits[0].Marks[0].Value != nil {
		t.Errorf("watch shows an unmark as %+v", e.Edits)
	}
	if out := d.ok("watch", "paper", "--since", since, "--count", "1"); !strings.Contains(out, "title 5 to 19 not link") {
		t.Errorf("watch prints an unmark as %q", out)
	}
	since = d.version("paper")
	d.ok("mark", "paper", "title", "0", "4", "comment:1", `{"by":"ana"}`, "--grow", "both")
	d.ok("insert", "paper", "title", "0", "Do ")
	if out := d.ok("watch", "paper", "--since", since, "--count", "1"); !strings.Contains(out, `0 to 4 comment:1={"by":"ana"}`) {
		t.Errorf("watch prints a mark as %q", out)
	}
	if out := d.ok("get", "paper", "title", "--spans"); !strings.Contains(out, `"Do "     comment:1={"by":"ana"}`) {
		t.Errorf("a mark that grows at both ends: %q", out)
	}
	if out := decode[edited](d, "mark", "paper", "title", "3", "3", "bold"); out.Dot != "" {
		t.Errorf("marking nothing made the change %s", out.Dot)
	}

	// A move shows as what goes and what comes.
	d.ok("insert", "paper", "parts", "0", "a", "b", "c", "--kind", "list")
	since = d.version("paper")
	d.ok("move", "paper", "parts/2", "0")
	if e := d.watchedOne("paper", since); len(e.Edits) != 1 || len(e.Edits[0].Splices) != 2 {
		t.Errorf("watch shows a move as %+v", e.Edits)
	}

	d.fails(exitUsage, []string{"mark", "paper", "title", "0", "4", "link"}, "its URL")
	d.fails(exitUsage, []string{"mark", "paper", "title", "0", "4", ""}, "NAME")
	d.fails(exitUsage, []string{"mark", "paper", "title", "0", "x", "bold"}, "x")
	d.fails(exitUsage, []string{"mark", "paper", "title", "0", "4", "bold", "--grow", "up"}, "--grow up")
	d.fails(exitFailed, []string{"mark", "paper", "title", "0", "99", "bold"}, "title has 23 code points: none from 0 up to 99")
	d.fails(exitFailed, []string{"mark", "paper", "authors", "0", "1", "bold"}, "authors is a list")
	d.fails(exitFailed, []string{"unmark", "paper", "nowhere", "0", "1", "bold"}, "nothing at nowhere")
	d.fails(exitFailed, []string{"get", "paper", "authors", "--spans"}, "only texts")
	d.fails(exitFailed, []string{"get", "paper", "--markdown"}, "only texts")
	d.fails(exitFailed, []string{"get", "paper", "title", "--spans", "--markdown"}, "spans markdown")
	if out := d.ok("__complete", "mark", "paper", "title", "0", "1", "bold", "--grow", ""); !strings.Contains(out, "both") {
		t.Errorf("completing --grow offers %q", out)
	}
}

func undoCommands(t *testing.T, d *device) {
	d.ok("create", "draft")
	d.fails(exitFailed, []string{"undo", "draft"}, "written nothing", "DOT")
	d.ok("put", "draft", "text", "one two", "--kind", "text")
	first := decode[logged](d, "log", "draft").Dot
	d.ok("insert", "draft", "text", "3", " and")
	out := decode[undone](d, "undo", "draft")
	d.prints("one two", "get", "draft", "text")
	if out.Dot == "" || out.Undone == first || out.Time == 0 {
		t.Errorf("undo: %+v", out)
	}
	if out := d.ok("undo", "draft"); !strings.Contains(out, "took back") { // the undoing, that is
		t.Errorf("undo prints %q", out)
	}
	d.prints("one and two", "get", "draft", "text")

	d.ok("delete", "draft", "text", "0", "4")
	d.ok("add", "draft", "visits", "5")
	d.ok("undo", "draft", decode[logged](d, "log", "draft", "--limit", "1").Dot)
	d.fails(exitFailed, []string{"get", "draft", "visits"}, "nothing at visits") // it made the counter too
	logs := decodeLines[logged](d, "log", "draft")
	d.ok("undo", "draft", logs[len(logs)-3].Dot) // the deletion
	d.prints("one and two", "get", "draft", "text")

	before := d.version("draft")
	d.ok("mark", "draft", "text", "0", "3", "bold")
	d.prints("text 0 to 3 bold", "diff", "draft", "text", before)
	d.ok("undo", "draft")
	d.prints(`"one and two"`, "get", "draft", "text", "--spans")
	d.ok("undo", "draft")
	d.prints("**one** and two", "get", "draft", "text", "--markdown")

	// What is gone already cannot be taken back.
	d.ok("put", "draft", "title", "A")
	title := decodeLines[logged](d, "log", "draft", "--limit", "1")[0].Dot
	d.ok("put", "draft", "title", "B")
	if out := decode[undone](d, "undo", "draft", title); out.Dot != "" || out.Undone != title {
		t.Errorf("undoing what does not show: %+v", out)
	}
	if out := d.ok("undo", "draft", title); !strings.Contains(out, "nothing shows") {
		t.Errorf("undoing what does not show prints %q", out)
	}

	d.fails(exitFailed, []string{"undo", "draft", strings.Repeat("ab", 40) + ":7"}, "no change abab", "atoll log")
	d.fails(exitUsage, []string{"undo", "draft", "yesterday"}, "yesterday")
	d.fails(exitUsage, []string{"undo", "draft", ""}, "empty DOT")
	d.fails(exitFailed, []string{"undo", "nowhere"}, "no store")
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
