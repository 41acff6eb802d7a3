package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// writer writes to one store of a running node, one change after the other, and remembers which were acknowledged.
type keyWriter struct {
	d     *device
	store string
	mu    sync.Mutex
	acked []int // numbers n for which NAME/n = n was acknowledged
}

// put writes NAME/n = n through the node's socket.
func (w *keyWriter) put(ctx context.Context, n int) error {
	c := dialNode(ctx, w.d.dir)
	if c == nil {
		return errNoNode
	}
	defer c.close()
	in := edit{Do: "put", Path: fmt.Sprintf("log/%s-%d", w.d.name, n), Values: []json.RawMessage{json.RawMessage(strconv.Itoa(n))}}
	var out edited
	if err := c.call(ctx, http.MethodPost, storePath(w.store, "edit"), in, &out); err != nil {
		return err
	}
	if out.Dot == "" {
		return fmt.Errorf("put %d changed nothing", n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, n)
	return nil
}

func (w *keyWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// view is what a device shows of the shared store.
type view struct {
	value   string
	version []string
}

func (d *device) view(store string) view {
	d.t.Helper()
	v := decode[shown](d, "get", store)
	return view{string(v.Value), v.Version}
}

func (v view) equal(o view) bool { return v.value == o.value && slices.Equal(v.version, o.version) }

// TestThreeProcesses runs three nodes as real processes. Each writes while it is alone, one is killed while it writes, and
// all three are never up at once: they meet in pairs. In the end each holds every change that was
// acknowledged to anybody, and all show the same.
func TestThreeProcesses(t *testing.T) {
	const store = "shared"
	a, b, c := newDevice(t, "anna"), newDevice(t, "bert"), newDevice(t, "cleo")
	all := []*device{a, b, c}
	a.ok("create", store)
	ticket := strings.TrimSpace(a.ok("ticket", store))
	b.ok("join", ticket)
	c.ok("join", ticket)

	// Each alone. All of them write to the same places too.
	writers := map[*device]*keyWriter{}
	for _, d := range all {
		writers[d] = &keyWriter{d: d, store: store}
	}
	alone := func(d *device, how func(p *process)) {
		t.Helper()
		p := d.start()
		if peers := decode[[]peerListing](d, "peers"); len(peers) != 0 {
			t.Fatalf("%s is not alone: %+v", d.name, peers)
		}
		d.ok("put", store, "title", d.name)
		d.ok("add", store, "visits", "1")
		d.ok("add", store, "names", d.name)
		d.ok("insert", store, "notes", "end", "I am "+d.name+". ", "--kind", "text")
		d.ok("insert", store, "list", "end", d.name, d.name, "--kind", "list")
		how(p)
	}
	finite := func(p *process) {
		for n := range 40 {
			if err := writers[p.d].put(context.Background(), n); err != nil {
				t.Fatal(err)
			}
		}
		p.stop()
	}
	alone(a, finite)
	alone(b, func(p *process) {
		// Four clients write as fast as they can until the node dies under them.
		var wg sync.WaitGroup
		w := writers[b]
		for i := range 4 {
			wg.Go(func() {
				for n := i; w.put(context.Background(), n) == nil; n += 4 {
				}
			})
		}
		wait(t, "enough was written", func() bool { return w.count() >= 100 })
		p.kill()
		wg.Wait()
		if c := dialNode(context.Background(), b.dir); c != nil {
			t.Fatal("the killed node answers")
		}
	})
	alone(c, finite)

	// In pairs: two nodes run, the third does not.
	meet := func(x, y *device, connect bool) {
		t.Helper()
		px := x.start()
		addr := px.addr()
		var py *process
		if connect {
			py = y.start()
			y.ok("connect", addr)
		} else {
			py = y.start("--bootstrap", addr)
		}
		wait(t, x.name+" and "+y.name+" show the same", func() bool { return x.view(store).equal(y.view(store)) && len(decode[[]peerListing](x, "peers")) > 0 })
		if peers, device := decode[[]peerListing](x, "peers"), decode[deviceStatus](y, "status").Device; len(peers) != 1 || peers[0].Device != device {
			t.Errorf("%s has the peers %+v, not %s alone", x.name, peers, device)
		}
		py.stop()
		px.stop()
	}
	meet(a, b, true)
	meet(b, c, false)
	meet(c, a, true)

	want := a.view(store)
	var doc struct {
		Log    map[string]int `json:"log"`
		Title  string         `json:"title"`
		Visits int            `json:"visits"`
		Names  []string       `json:"names"`
		Notes  string         `json:"notes"`
		List   []string       `json:"list"`
	}
	if err := json.Unmarshal([]byte(want.value), &doc); err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for _, d := range all {
		if got := d.view(store); !got.equal(want) {
			t.Errorf("%s shows %+v\nanna shows %+v", d.name, got, want)
		}
		for _, v := range decodeLines[verified](d, "verify") {
			if !v.OK {
				t.Errorf("%s: verify: %+v", d.name, v)
			}
			if v.Store == store {
				digests[v.Digest] = true
			}
		}
		for _, n := range writers[d].acked {
			if got, ok := doc.Log[fmt.Sprintf("%s-%d", d.name, n)]; !ok || got != n {
				t.Errorf("%s was told that %d is durable, and it is %d, %t", d.name, n, got, ok)
			}
		}
		if strings.Count(doc.Notes, "I am "+d.name+". ") != 1 || !slices.Contains(doc.Names, d.name) {
			t.Errorf("%s is missing in %+v", d.name, doc)
		}
		if i := slices.Index(doc.List, d.name); i < 0 || doc.List[i+1] != d.name {
			t.Errorf("the two elements of %s are not together in %v", d.name, doc.List)
		}
	}
	if len(digests) != 1 {
		t.Errorf("the states recomputed from the logs have %d digests", len(digests))
	}
	if doc.Visits != len(all) || len(doc.List) != 2*len(all) || doc.Title != c.name {
		t.Errorf("visits %d, list %v, title %q", doc.Visits, doc.List, doc.Title)
	}
	if got := decode[[]conflict](a, "conflicts", store, "title"); len(got) != 1 || len(got[0].Values) != len(all) || !got[0].Values[0].Shown {
		t.Errorf("conflicts at the title: %+v", got)
	}
	if n := writers[b].count(); len(doc.Log) < 80+n {
		t.Errorf("%d keys, with %d acknowledged by bert alone", len(doc.Log), n)
	}
	// Everything is delivered, and everybody knows.
	for _, d := range []*device{a, c} { // bert last met cleo before cleo met anna
		for _, s := range decode[deviceStatus](d, "status").Stores {
			if s.Outbox != 0 {
				t.Errorf("%s has %d ops in its outbox", d.name, s.Outbox)
			}
		}
	}
}

// TestWatchRunning follows a store through a running node while another device's changes come in.
func TestWatchRunning(t *testing.T) {
	x, y := newDevice(t, "x"), newDevice(t, "y")
	x.ok("create", "s")
	y.ok("join", strings.TrimSpace(x.ok("ticket", "s")))
	px := x.start()
	py := y.start("--bootstrap", px.addr())
	c := dialNode(t.Context(), x.dir)
	if c == nil {
		t.Fatal("no node")
	}
	defer c.close()
	// Each change is written when the one before it was seen.
	seen := 0
	edits := []string{}
	step := func() {
		d := []*device{x, y}[seen%2]
		d.ok("put", "s", "n", strconv.Itoa(seen))
	}
	step()
	err := lines(t.Context(), c, http.MethodGet, storePath("s", "watch", "since", "start"), nil, func(e watched) error {
		for _, n := range e.Changes {
			if n.Dot == "" || n.Len < 1 {
				t.Errorf("change %+v", n)
			}
		}
		for _, d := range e.Edits {
			edits = append(edits, d.describe())
		}
		if seen += len(e.Changes); seen >= 6 {
			return errEnough
		}
		step()
		return nil
	})
	if err != errEnough {
		t.Fatal(err)
	}
	if want := []string{"n = 0", "n = 1 (was 0)", "n = 2 (was 1)", "n = 3 (was 2)", "n = 4 (was 3)", "n = 5 (was 4)"}; !slices.Equal(edits, want) {
		t.Errorf("watch told of %q, want %q", edits, want)
	}
	body, err := c.do(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	metrics, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(metrics), "\natoll_") {
		t.Errorf("/metrics: %v, %.200q", err, metrics)
	}
	py.stop()
	px.stop()
}

// TestBackupWhileRunning backs a node up while clients write to it. The backup holds all that
// was acknowledged before, and is a device of its own that converges with the first.
func TestBackupWhileRunning(t *testing.T) {
	const store = "s"
	d := newDevice(t, "source")
	d.ok("create", store)
	p := d.start()
	w := &keyWriter{d: d, store: store}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for n := i; ctx.Err() == nil; n += 2 {
				if err := w.put(ctx, n); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait(t, "something was written", func() bool { return w.count() >= 50 })
	w.mu.Lock()
	before := slices.Clone(w.acked)
	w.mu.Unlock()
	copied := &device{t, "copy", t.TempDir() + "/copy"}
	d.ok("backup", copied.dir)
	during := w.count()
	stop()
	wg.Wait()
	copied.ok("verify")
	var doc struct{ Log map[string]int }
	if err := json.Unmarshal([]byte(copied.view(store).value), &doc); err != nil {
		t.Fatal(err)
	}
	for _, n := range before {
		if _, ok := doc.Log[fmt.Sprintf("source-%d", n)]; !ok {
			t.Errorf("%d was acknowledged before the backup, which lacks it", n)
		}
	}
	t.Logf("%d acknowledged before the backup, %d when it was done, %d in it", len(before), during, len(doc.Log))
	copied.ok("put", store, "from", "the copy")
	q := copied.start("--bootstrap", p.addr())
	wait(t, "the backup and its source show the same", func() bool { return d.view(store).equal(copied.view(store)) })
	d.prints("the copy", "get", store, "from")
	for _, s := range decode[deviceStatus](d, "status").Stores {
		if len(s.Forks) != 0 {
			t.Errorf("forks: %+v", s.Forks)
		}
	}
	q.stop()
	p.stop()
}

// TestSecondNode: a directory has one node, and the second is told where the first is.
func TestSecondNode(t *testing.T) {
	d := newDevice(t, "d")
	p := d.start()
	d.fails(exitFailed, []string{"start", "--no-mdns"}, d.dir, strconv.Itoa(p.cmd.Process.Pid))
	p.kill()
	d.ok("create", "afterwards") // the socket a killed node leaves behind is in nobody's way
	d.start().stop()
}

// TestVerifyFindsDamage flips a byte of what is on disk.
func TestVerifyFindsDamage(t *testing.T) {
	d := newDevice(t, "damaged")
	d.ok("create", "s")
	// Text that does not compress well, so that it is most of what is on disk.
	var long strings.Builder
	for n := range 200 {
		fmt.Fprintf(&long, "%x", sha256.Sum256([]byte{byte(n)}))
	}
	d.ok("put", "s", "title", long.String())
	d.ok("verify")
	files, err := filepath.Glob(filepath.Join(d.dir, "*", "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables in %s: %v", d.dir, err)
	}
	size := func(file string) int64 {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(size(b), size(a)) })
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0x20
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, status := d.run("verify")
	if status != exitFailed || !strings.Contains(out+errOut, d.dir) {
		t.Errorf("verify of a damaged directory: exit status %d\n%s%s", status, out, errOut)
	}
	// Nothing works on it as if nothing were wrong.
	d.fails(exitFailed, []string{"get", "s", "title"}, d.dir)
}
