package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// TestCommands puts every subcommand that works on a device through its paces, twice: on a directory where no
// node runs, and through a running node. Both must do the same.
func TestCommands(t *testing.T) {
	t.Run("offline", func(t *testing.T) {
		exercise(t, newDevice(t, "offline"), newDevice(t, "other"))
	})
	t.Run("running", func(t *testing.T) {
		d := newDevice(t, "running")
		p := d.start()
		exercise(t, d, newDevice(t, "other"))
		p.stop()
		if p.log.Len() == 0 {
			t.Error("the node logged nothing")
		}
	})
	t.Run("deep directory", func(t *testing.T) {
		d := newDevice(t, "deep")
		d.dir = filepath.Join(d.dir, strings.Repeat("deep", 20), strings.Repeat("down", 20))
		p := d.start()
		d.ok("create", "groceries")
		if info, err := os.Stat(filepath.Join(d.dir, socketName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the control socket: %v, %v", info, err)
		}
		p.stop()
		d.prints("groceries", "stores", "--names")
	})
}

// exercise runs each command on d. other is a device that never meets it.
func exercise(t *testing.T, d, other *device) {
	d.ok("create", "groceries")
	d.fails(exitFailed, []string{"create", "groceries"}, "groceries", "atoll stores")
	d.fails(exitFailed, []string{"get", "grocery"}, `no store "grocery"`, "groceries")

	// Registers, by path, of every type of value.
	for arg, want := range map[string]string{"2": "2", "-2.5": "-2.5", "true": "true", "null": "null", "oats": `"oats"`, `"7"`: `"7"`, "two words": `"two words"`,
		`[1,{"a":null}]`: `[1,{"a":null}]`, "1.0": "1.0", "-": `"-"`, "-5 apples": `"-5 apples"`} {
		d.ok("put", "groceries", "items/milk~1oat/qty", arg)
		if got := decode[shown](d, "get", "groceries", "items/milk~1oat/qty"); string(got.Value) != want || got.Kind != "register" {
			t.Errorf("put %s: get gives %s, a %s, want %s", arg, got.Value, got.Kind, want)
		}
	}
	d.fails(exitUsage, []string{"put", "groceries", "x", `{"a":`}, "looks like JSON")
	d.fails(exitUsage, []string{"put", "groceries", "x", "99999999999999999999"})
	d.fails(exitUsage, []string{"put", "groceries", "x~2", "1"}, "x~2", "atoll put STORE PATH VALUE")
	d.ok("put", "groceries", "-1", "minus one") // a key, not a flag
	d.prints("minus one", "get", "groceries", "-1")
	d.ok("delete", "groceries", "-1")
	// More than one change holds.
	huge := filepath.Join(t.TempDir(), "huge.json")
	if err := os.WriteFile(huge, []byte(`{"huge":"`+strings.Repeat("x", crdt.MaxChangeBytes)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.fails(exitFailed, []string{"import", "groceries", huge}, "too large", "in parts")
	d.ok("put", "groceries", "items/milk~1oat/qty", "3")
	d.prints(`{
  "items": {
    "milk/oat": {
      "qty": 3
    }
  }
}`, "get", "groceries")
	d.fails(exitFailed, []string{"get", "groceries", "items/milk"}, "nothing at items/milk", "items has milk~1oat")
	d.fails(exitFailed, []string{"get", "groceries", "item"}, "the store has items")
	d.fails(exitFailed, []string{"put", "groceries", "items", "1"}, "items is a map", "--kind register")

	// Counters.
	d.ok("add", "groceries", "visits")
	d.ok("add", "groceries", "visits", "41")
	d.ok("add", "groceries", "visits", "-2")
	d.prints("40", "get", "groceries", "visits")
	d.fails(exitFailed, []string{"add", "groceries", "visits", "much"}, "counter")
	d.fails(exitUsage, []string{"put", "groceries", "x", "much", "--kind", "counter"}, "counter")
	d.fails(exitFailed, []string{"put", "groceries", "visits", "1"}, "visits is a counter", "atoll add")
	d.ok("put", "groceries", "from", "10", "--kind", "counter")
	d.ok("add", "groceries", "from", "5")
	d.prints("15", "get", "groceries", "from")

	// Sets.
	d.ok("add", "groceries", "tags", "food", "home", "7")
	d.ok("remove", "groceries", "tags", "home", "absent")
	d.prints(`[7,"food"]`, "get", "groceries", "tags", "--compact")
	d.ok("remove", "groceries", "tags", "--all")
	d.prints("[]", "get", "groceries", "tags", "--compact")
	d.ok("add", "groceries", "banned", "mallory", "--kind", "rwset")
	d.ok("remove", "groceries", "banned", "trudy")
	d.prints(`["mallory"]`, "get", "groceries", "banned", "--compact")
	d.fails(exitFailed, []string{"add", "groceries", "banned", "x", "--kind", "set"}, "banned is a rwset, not a set")
	d.fails(exitFailed, []string{"remove", "groceries", "nowhere", "x"}, "nothing at nowhere")
	d.fails(exitUsage, []string{"remove", "groceries", "tags"}, "--all")
	d.ok("put", "groceries", "crew", `["bo","ana"]`, "--kind", "set")
	d.prints(`["ana","bo"]`, "get", "groceries", "crew", "--compact")

	// Lists and what is below them.
	d.fails(exitFailed, []string{"insert", "groceries", "steps", "0", "bake"}, "--kind list")
	d.ok("insert", "groceries", "steps", "0", "bake", "eat", "--kind", "list")
	d.ok("insert", "groceries", "steps", "end", "sleep")
	d.ok("insert", "groceries", "steps", "1", "cool")
	d.ok("put", "groceries", "steps/2", "feast")
	d.ok("delete", "groceries", "steps", "0")
	d.prints(`["cool","feast","sleep"]`, "get", "groceries", "steps", "--compact")
	d.prints("feast", "get", "groceries", "steps/1")
	d.ok("delete", "groceries", "steps/0")
	d.ok("delete", "groceries", "steps", "0", "2")
	d.prints("[]", "get", "groceries", "steps", "--compact")
	d.fails(exitFailed, []string{"get", "groceries", "steps/0"}, "steps is a list of 0 elements")
	d.fails(exitFailed, []string{"insert", "groceries", "steps", "7", "x"}, "no place 7")
	d.fails(exitUsage, []string{"insert", "groceries", "steps", "first", "x"}, "first")

	d.ok("insert", "groceries", "steps", "0", "bake", "cool", "eat")
	d.ok("move", "groceries", "steps/2", "0")
	d.prints(`["eat","bake","cool"]`, "get", "groceries", "steps", "--compact")
	d.ok("move", "groceries", "steps/0", "end")
	d.prints(`["bake","cool","eat"]`, "get", "groceries", "steps", "--compact")
	if out := decode[edited](d, "move", "groceries", "steps/1", "1"); out.Dot != "" {
		t.Errorf("moving an element to where it stands made the change %s", out.Dot)
	}
	d.fails(exitFailed, []string{"move", "groceries", "steps/1", "3"}, "steps has 2 elements beside that one: no place 3")
	d.fails(exitFailed, []string{"move", "groceries", "steps/3", "0"}, "steps is a list of 3 elements")
	d.fails(exitFailed, []string{"move", "groceries", "steps", "0"}, "steps is no element of a list", "steps/3")
	d.fails(exitUsage, []string{"move", "groceries", "steps/1", "-1"}, "-1")

	// Texts: positions are code points.
	d.ok("insert", "groceries", "notes", "0", "çall mum", "--kind", "text")
	d.ok("insert", "groceries", "notes", "1", "…")
	d.ok("insert", "groceries", "notes", "end", "!")
	d.ok("delete", "groceries", "notes", "1")
	d.prints("çall mum!", "get", "groceries", "notes")
	d.ok("put", "groceries", "notes", "call mum now!")
	d.prints("call mum now!", "get", "groceries", "notes")
	d.fails(exitFailed, []string{"delete", "groceries", "notes", "10", "10"}, "13 code points", "cannot delete 10 at 10")
	d.ok("put", "groceries", "letter", "Dear all", "--kind", "text")
	d.prints("Dear all", "get", "groceries", "letter")

	// Maps of both sorts, and deleting.
	d.ok("put", "groceries", "people", `{"ana":{"age":3},"bo":1}`, "--kind", "dwmap")
	d.ok("put", "groceries", "people/cy", "2")
	d.ok("delete", "groceries", "people/bo")
	d.prints(`{"ana":{"age":3},"cy":2}`, "get", "groceries", "people", "--compact")
	d.ok("put", "groceries", "empty", "{}", "--kind", "map")
	d.prints("{}", "get", "groceries", "empty")
	d.ok("delete", "groceries", "empty")
	d.fails(exitFailed, []string{"delete", "groceries", "empty"}, "nothing at empty")
	d.fails(exitUsage, []string{"put", "groceries", "x", "1", "--kind", "heap"}, "no kind", "counter")

	if got := decode[[]conflict](d, "conflicts", "groceries"); len(got) != 0 {
		t.Errorf("conflicts of a single device: %+v", got)
	}

	// The log has every change with its ops; get --at shows the past; watch --since start replays it.
	changes := decodeLines[logged](d, "log", "groceries")
	if len(changes) < 30 || changes[0].Seq != 1 || len(changes[0].Ops) == 0 || changes[0].Time == 0 {
		t.Fatalf("the log has %d changes, the first %+v", len(changes), changes[0])
	}
	if last := decodeLines[logged](d, "log", "groceries", "--limit", "2"); len(last) != 2 || last[1].Dot != changes[len(changes)-1].Dot {
		t.Errorf("log --limit 2: %+v", last)
	}
	if text := d.ok("log", "groceries"); !strings.Contains(text, "put items/milk~1oat/qty") {
		t.Errorf("the log is\n%s", text)
	}
	i := slices.IndexFunc(changes, func(l logged) bool { return strings.Contains(l.Ops[0].Op, "visits") })
	d.prints("1", "get", "groceries", "visits", "--at", changes[i].Dot)
	d.fails(exitUsage, []string{"get", "groceries", "--at", "7:x"}, "version")
	d.fails(exitUsage, []string{"watch", "groceries", "--since", "7:x"}, "version")
	seen := 0
	for _, e := range decodeLines[watched](d, "watch", "groceries", "--since", "start", "--count", watchCount(d, changes)) {
		seen += len(e.Changes)
	}
	if seen == 0 || seen > len(changes) {
		t.Errorf("watch --since start told of %d changes of %d", seen, len(changes))
	}

	// Names, tickets, joining.
	d.ok("rename", "groceries", "shopping")
	d.fails(exitFailed, []string{"get", "groceries"}, "shopping")
	d.ok("create", "second")
	d.fails(exitFailed, []string{"rename", "second", "shopping"}, "shopping")
	if got := d.ok("stores", "--names"); got != "second\nshopping\n" {
		t.Errorf("stores --names printed %q", got)
	}
	if got := decode[[]storeListing](d, "stores"); len(got) != 2 || got[1].Name != "shopping" || got[1].Changes != len(changes) {
		t.Errorf("stores: %+v", got)
	}
	ticket := strings.TrimSpace(d.ok("ticket", "shopping"))
	other.ok("join", ticket)
	other.ok("join", ticket, "--name", "again") // a member already: nothing new
	other.prints("shopping", "stores", "--names")
	other.prints("{}", "get", "shopping")
	other.ok("put", "shopping", "hello", "there")
	other.fails(exitUsage, []string{"join", "atoll1nonsense"}, "atoll ticket")
	other.fails(exitFailed, []string{"forget", "shopping"}, "no other device", "--force")
	other.ok("forget", "shopping", "--force")
	other.fails(exitFailed, []string{"get", "shopping"}, "atoll create")
	d.fails(exitFailed, []string{"connect", "nowhere"})

	for _, name := range []string{"..", ".", "a/b?c#%20 é", "-1"} {
		d.ok("create", name)
		d.ok("put", name, "x", "1")
		d.prints("1", "get", name, "x")
		d.ok("forget", name, "--force")
	}

	// Status and peers.
	st := decode[deviceStatus](d, "status")
	if st.Device == "" || st.Dir != d.dir || st.Disk == 0 || len(st.Stores) != 2 || st.Stores[1].Outbox == 0 {
		t.Errorf("status: %+v", st)
	}
	if text := d.ok("status"); !strings.Contains(text, "shopping") || !strings.Contains(text, d.dir) {
		t.Errorf("status printed\n%s", text)
	}
	if got := decode[[]peerListing](d, "peers"); len(got) != 0 {
		t.Errorf("peers: %+v", got)
	}

	// Verify agrees with what is shown.
	found := 0
	for _, v := range decodeLines[verified](d, "verify") {
		if !v.OK {
			t.Errorf("verify: %+v", v)
		}
		if v.Store == "shopping" && v.Changes == len(changes) && v.Digest != "" {
			found++
		}
	}
	if found != 1 {
		t.Error("verify did not check the store")
	}

	// Export, import, backup.
	doc := d.ok("export", "shopping")
	file := filepath.Join(t.TempDir(), "doc.json")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	d.ok("import", "second", file)
	if got := d.ok("export", "second"); got != doc {
		t.Errorf("imported %s and exported %s", doc, got)
	}
	if out := decode[edited](d, "import", "second", file); out.Dot != "" {
		t.Errorf("importing the same again made the change %s", out.Dot)
	}
	copied := &device{t, "backup", filepath.Join(t.TempDir(), "backup")}
	d.ok("backup", copied.dir)
	d.fails(exitFailed, []string{"backup", copied.dir}, copied.dir)
	if got := copied.ok("export", "shopping"); got != doc {
		t.Errorf("the backup holds %s, not %s", got, doc)
	}
	copied.ok("verify")
	copied.ok("put", "shopping", "from", "the backup", "--kind", "register")
	if a, b := decode[deviceStatus](copied, "status").Device, st.Device; a == b {
		t.Error("the backup writes with this device's key")
	}
}

// watchCount returns how many events watch must print where it would not end by itself: one, since a watcher that starts
// late gets few large events.
func watchCount(d *device, changes []logged) string {
	if len(changes) == 0 {
		return "0"
	}
	return "1"
}

func TestUsage(t *testing.T) {
	d := newDevice(t, "any")
	for _, args := range [][]string{{"frobnicate"}, {"-1"}, {"stores", "-1"}, {"--dir", "", "stores"}, {"watch", "s", "--count", "-1"}, {"log", "s", "--limit", "-1"},
		{"insert", "s", "l", "-1", "x"}, {"connect", "x", "--timeout", "-1s"}, {"get"}, {"get", "--frob", "x"}, {"put", "a"}, {"replay"}, {"log", "s", "--limit", "many"}, {"start", "--log-level", "loud"}} {
		d.fails(exitUsage, args, "atoll: ")
	}
	d.fails(exitUsage, []string{"frobnicate"}, "--help")
	d.fails(exitUsage, []string{"create"}, "usage: atoll create NAME")
	d.fails(exitFailed, []string{"verify"}, d.dir) // looking at a directory that is not there does not make it
	d.ok("__complete", "get", "")
	if _, err := os.Stat(d.dir); err == nil {
		t.Errorf("%s was made", d.dir)
	}
	_, errOut, _ := d.run("get", "nothing", "--json")
	var f failure
	if err := json.Unmarshal([]byte(errOut), &f); err != nil || f.Message == "" || f.Hint == "" {
		t.Errorf("get --json of a missing store says %q", errOut)
	}
	if out := d.ok(); !strings.Contains(out, "demo") {
		t.Errorf("atoll alone prints %q", out)
	}
	if out := d.ok("completion", "bash"); !strings.Contains(out, "atoll") {
		t.Errorf("completion bash prints %.80q", out)
	}
	if v := decode[build](d, "version"); v.Format != crdt.FormatVersion || v.Go == "" {
		t.Errorf("version: %+v", v)
	}
	d.ok("create", "alpha")
	if out := d.ok("__complete", "get", ""); !strings.Contains(out, "alpha") {
		t.Errorf("completing a store offers %q", out)
	}
}

// TestNoHome makes sure that only what needs a data directory asks for one.
func TestNoHome(t *testing.T) {
	homeless := func(args ...string) (string, int) {
		d := newDevice(t, "homeless")
		cmd := d.command(args...)
		cmd.Args = slices.Concat(cmd.Args[:1], args) // without --dir
		cmd.Env = []string{"HOME=", "XDG_DATA_HOME="}
		out, errOut, status := d.finish(cmd)
		return out + errOut, status
	}
	if out, status := homeless("version"); status != exitOK {
		t.Errorf("version: exit status %d: %s", status, out)
	}
	if out, status := homeless("stores"); status != exitFailed || !strings.Contains(out, "--dir") {
		t.Errorf("stores: exit status %d: %s", status, out)
	}
}

// TestImportInterrupted makes sure that waiting for a document that never ends can be ended.
func TestImportInterrupted(t *testing.T) {
	d := newDevice(t, "d")
	cmd := d.command("import", "s", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: once it is written, the command reads.
	if _, err := in.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(errOut.String(), "interrupted") {
		t.Errorf("%s: %s", cmd.ProcessState, errOut.String())
	}
}

// TestHelp makes sure that every command says what it is for, and fits a terminal.
func TestHelp(t *testing.T) {
	a := &app{}
	for _, group := range a.commands() {
		for _, c := range group.commands {
			if c.Short == "" || c.Args == nil {
				t.Errorf("%s lacks a short text or says nothing of its arguments", c.Name())
			}
			checkWidth(t, c)
		}
	}
}

func checkWidth(t *testing.T, c *cobra.Command) {
	for line := range strings.Lines(c.Long + "\n" + c.Example) {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("%s: a line of help has %d characters: %q", c.Name(), n, line)
		}
	}
}

// TestDefaultDir makes sure that the data goes where the XDG specification says.
func TestDefaultDir(t *testing.T) {
	t.Setenv("HOME", "/home/ana")
	t.Setenv("XDG_DATA_HOME", "/data")
	if got, err := defaultDir(); got != "/data/atoll" || err != nil {
		t.Errorf("with XDG_DATA_HOME: %s, %v", got, err)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	if got, err := defaultDir(); got != "/home/ana/.local/share/atoll" || err != nil {
		t.Errorf("without: %s, %v", got, err)
	}
}
