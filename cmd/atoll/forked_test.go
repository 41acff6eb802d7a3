package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// The log of some other device is forked: every command that reads a store shows both branches, finds nothing wrong with them, and says that
// they are two. A backup has both, and so has whoever joins.
func TestForkedStore(t *testing.T) {
	d := newDevice(t, "d")
	d.ok("create", "s")
	db, err := storage.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	stores, err := db.Stores()
	if err != nil || len(stores) != 1 {
		t.Fatal(stores, err)
	}
	blocks, err := storagetest.Forked(stores[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	log, err := db.Log(stores[0].ID)
	if err == nil {
		err = log.Append(blocks...)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	d.readsForked(t, 7)
	p := d.start()
	d.readsForked(t, 7)

	other := newDevice(t, "other")
	other.ok("join", strings.TrimSpace(d.ok("ticket", "s")))
	q := other.start()
	wait(t, "the other device has all", func() bool {
		out, _, _ := other.run("export", "s", "--compact")
		return strings.TrimSpace(out) == storagetest.ForkedShows
	})
	other.ok("put", "s", "more", "1")
	other.ok("undo", "s")
	other.readsForked(t, 9)
	wait(t, "what the other device wrote is here", func() bool { return len(decodeLines[logged](d, "log", "s")) == 9 })
	q.stop()
	p.stop()

	backup := filepath.Join(t.TempDir(), "backup")
	d.ok("backup", backup)
	(&device{t, "restored", backup}).readsForked(t, 9)
}

// readsForked reads the forked store s, which holds so many changes, in every way.
func (d *device) readsForked(t *testing.T, changes int) {
	t.Helper()
	d.prints(storagetest.ForkedShows, "export", "s", "--compact")
	d.prints(`true`, "get", "s", "seen/merged")
	for _, v := range decodeLines[verified](d, "verify") {
		if !v.OK || v.Store != "" && v.Changes != changes {
			t.Errorf("%s: verify: %+v", d.name, v)
		}
	}
	all := decodeLines[logged](d, "log", "s")
	if len(all) != changes || len(decodeLines[logged](d, "log", "s", "--limit", "2")) != 2 {
		t.Fatalf("%s: the log has %d changes", d.name, len(all))
	}
	// Two changes share a name, and not a hash, which is that of the one that is meant.
	var first []logged
	for _, l := range all {
		if l.Dot == all[1].Dot {
			first = append(first, l)
		}
	}
	if len(first) != 2 || first[0].Hash == first[1].Hash || first[0].Ops[0].Op == first[1].Ops[0].Op {
		t.Errorf("%s: of one name are %+v", d.name, first)
	}
	var st storeStatus
	for _, s := range decode[deviceStatus](d, "status").Stores {
		st = s
	}
	if len(st.Forks) != 1 || st.Changes != changes || st.Pending > 0 || st.Problem != "" || st.Error != "" {
		t.Fatalf("%s: status: %+v", d.name, st)
	}
	f := st.Forks[0]
	hashes := []string{f.Ours.Hash, f.Theirs.Hash}
	if !f.Proven || hashes[0] == hashes[1] || !slices.ContainsFunc(all, func(l logged) bool { return l.Hash == hashes[0] && l.Dot == f.Ours.Dot }) ||
		!slices.ContainsFunc(all, func(l logged) bool { return l.Hash == hashes[1] && l.Dot == f.Theirs.Dot }) {
		t.Errorf("%s: the fork is %+v", d.name, f)
	}
	if out := d.ok("status"); !strings.Contains(out, "FORK: ") || !strings.Contains(out, "proven by its own signatures") {
		t.Errorf("%s: status says\n%s", d.name, out)
	}
	for _, args := range [][]string{{"log", "s"}, {"verify"}, {"conflicts", "s"}, {"blame", "s", "right"}, {"watch", "s", "--since", "start", "--count", "1"}} {
		d.ok(args...)
	}
	// What it showed where a change had been made is shown again, whichever branch that is on.
	for _, l := range all {
		if l.Actor == all[1].Actor {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(d.ok("get", "s", "--at", l.Dot)), &value); err != nil {
			t.Errorf("%s: at %s: %v", d.name, l.Dot, err)
		}
	}
}
