package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// copyDir copies a data directory. A copy of one in use is what a process that is killed leaves behind: whatever
// badger has acknowledged is in its files.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "identity"), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// writeDir fills a directory with the first n blocks of h, and calls atEnd before it is closed.
func writeDir(t *testing.T, dir string, h *storagetest.History, n int, atEnd func(l *storage.Log)) {
	t.Helper()
	db, err := storage.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutStore(storage.StoreInfo{ID: storagetest.Store(1), Name: "x", Actor: causal.Actor{Device: db.Device(), Nonce: [8]byte{1}}}); err != nil {
		t.Fatal(err)
	}
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Load(nil); err != nil {
		t.Fatal(err)
	}
	for _, b := range h.Blocks[:n] {
		if b.First < l.Len() {
			continue
		}
		if err := l.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if atEnd != nil {
		atEnd(l)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// readDir opens dir and returns how many blocks of h it holds. It is an error if that is not a beginning of h.
func readDir(dir string, h *storagetest.History) (blocks int, notices []string, err error) {
	db, err := storage.Open(dir)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	stores, err := db.Stores()
	if err != nil {
		return 0, nil, err
	}
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		return 0, nil, err
	}
	got, err := storagetest.Read(l)
	if err != nil {
		return 0, nil, err
	}
	if len(stores) != 1 || storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes[:len(got)]) {
		return 0, nil, fmt.Errorf("UNNOTICED: %d stores, and changes that nobody wrote", len(stores))
	}
	if cut := db.Notices() != nil; cut != stores[0].Actor.IsZero() {
		return 0, nil, fmt.Errorf("UNNOTICED: notices %v, actor %s", db.Notices(), stores[0].Actor)
	}
	for blocks < len(h.Blocks) && h.Blocks[blocks].First < l.Len() {
		blocks++
	}
	return blocks, db.Notices(), nil
}

// damageHistory has blocks small and large: badger keeps those above 64 kB apart.
func damageHistory() *storagetest.History {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 3)
	for i := range 12 {
		h.Add(1, 5+200_000*(i%4/3))
	}
	return h
}

// TestBadgerDamage flips bytes in, cuts, zeroes and removes each of the files of a data directory, of one that was closed
// and of one whose process was killed. Each time either all is there or Open or Load refuses with an
// error that names the directory. Nothing is ever lost in silence.
func TestBadgerDamage(t *testing.T) {
	h := damageHistory()
	closed, killed := filepath.Join(t.TempDir(), "closed"), filepath.Join(t.TempDir(), "killed")
	writeDir(t, closed, h, 6, nil)
	writeDir(t, closed, h, len(h.Blocks), func(*storage.Log) { copyDir(t, closed, killed) })
	rng := rand.New(rand.NewPCG(5, 0))
	for _, image := range []string{closed, killed} {
		refused, harmless := 0, 0
		if err := filepath.WalkDir(image, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(image, path)
			for what, damaged := range damages(data, rng) {
				dir := filepath.Join(t.TempDir(), "copy")
				copyDir(t, image, dir)
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
				if damaged != nil {
					if err := os.WriteFile(filepath.Join(dir, name), damaged, 0o600); err != nil {
						return err
					}
				}
				blocks, _, err := readDir(dir, h)
				var corrupt *storage.CorruptError
				switch {
				case errors.As(err, &corrupt) && corrupt.Dir == dir && strings.Contains(err.Error(), dir):
					refused++
				case err != nil:
					t.Errorf("%s: %s %s: %v", filepath.Base(image), name, what, err)
				case blocks != len(h.Blocks):
					t.Errorf("%s: %s %s: %d of %d blocks, and no error", filepath.Base(image), name, what, blocks, len(h.Blocks))
				default:
					harmless++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d kinds of damage refused, %d harmless", filepath.Base(image), refused, harmless)
		if refused < 20 {
			t.Errorf("%s: only %d kinds of damage were noticed", filepath.Base(image), refused)
		}
	}
}

// TestDamagedTable damages a table that holds nothing but a newer version of a record: badger would open without it, and
// give the older version.
func TestDamagedTable(t *testing.T) {
	dir := t.TempDir()
	for session := range 3 {
		db, err := storage.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.PutStore(storage.StoreInfo{ID: storagetest.Store(1), Name: fmt.Sprint(session)}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tables, err := filepath.Glob(filepath.Join(dir, "log", "*.sst"))
	if err != nil || len(tables) < 3 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		bad := append([]byte{}, data...)
		bad[len(bad)/2] ^= 1
		for what, content := range map[string][]byte{"flipped": bad, "cut": data[:len(data)-1], "removed": nil} {
			if content == nil {
				err = os.Remove(table)
			} else {
				err = os.WriteFile(table, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err := storage.Open(dir)
			var corrupt *storage.CorruptError
			if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, "table "+filepath.Base(table)) {
				t.Errorf("%s %s: %v", filepath.Base(table), what, err)
			}
		}
		if err := os.WriteFile(table, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := storage.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stores, err := db.Stores(); err != nil || len(stores) != 1 || stores[0].Name != "2" {
		t.Errorf("once repaired: %v, %v", stores, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// damages returns ways to damage a file; nil is to remove it.
func damages(data []byte, rng *rand.Rand) map[string][]byte {
	out := map[string][]byte{"removed": nil}
	if len(data) == 0 {
		return out
	}
	out["emptied"] = []byte{}
	for range 4 {
		at := rng.IntN(len(data))
		flipped := append([]byte{}, data...)
		flipped[at] ^= 1 << rng.IntN(8)
		out[fmt.Sprintf("flipped at %d of %d", at, len(data))] = flipped
	}
	for range 2 {
		at := rng.IntN(len(data))
		out[fmt.Sprintf("cut at %d of %d", at, len(data))] = append([]byte{}, data[:at]...)
	}
	at := rng.IntN(len(data))
	zeroed := append([]byte{}, data...)
	clear(zeroed[at:])
	out[fmt.Sprintf("zeroed from %d of %d", at, len(data))] = zeroed
	return out
}

// TestTornWrite cuts the last, unacknowledged write of a killed process at every kind of place. The
// directory opens with everything before it, says so, keeps what it cut, and the device goes on as a new actor.
func TestTornWrite(t *testing.T) {
	h := damageHistory()
	dir := filepath.Join(t.TempDir(), "dir")
	before, after := filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
	writeDir(t, dir, h, 7, func(*storage.Log) { copyDir(t, dir, before) })
	// The same again, and one block more.
	dir = filepath.Join(t.TempDir(), "dir")
	copyDir(t, before, dir)
	if err := os.Remove(filepath.Join(dir, "holder")); err != nil {
		t.Fatal(err)
	}
	writeDir(t, dir, h, 8, func(*storage.Log) { copyDir(t, dir, after) })

	vlog := newest(t, before)
	short, err := os.ReadFile(filepath.Join(before, vlog))
	if err != nil {
		t.Fatal(err)
	}
	long, err := os.ReadFile(filepath.Join(after, vlog))
	if err != nil {
		t.Fatal(err)
	}
	if len(long) <= len(short) || string(long[:len(short)]) != string(short) {
		t.Fatalf("the value log grew from %d to %d bytes, and not only at its end", len(short), len(long))
	}
	cuts := 0
	for _, part := range []int{1, 10, 17, 18, 30, 60, 90, 5000, len(long) - len(short) - 200, len(long) - len(short) - 60, len(long) - len(short) - 3, len(long) - len(short) - 1} {
		for _, zeros := range []int{0, 100} {
			torn := append(append([]byte{}, long[:len(short)+part]...), make([]byte, zeros)...)
			image := filepath.Join(t.TempDir(), "torn")
			copyDir(t, before, image)
			if err := os.WriteFile(filepath.Join(image, vlog), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			blocks, notices, err := readDir(image, h)
			var corrupt *storage.CorruptError
			if errors.As(err, &corrupt) && zeros > 0 {
				continue // may be a damaged write that was acknowledged: refused
			}
			if err != nil || blocks != 7 || len(notices) != 1 {
				t.Errorf("%d bytes of the last write, and %d zeros: %d blocks, %v, %v", part, zeros, blocks, notices, err)
				continue
			}
			cuts++
			kept, err := filepath.Glob(filepath.Join(image, "torn", "*.bytes"))
			if err != nil || len(kept) != 1 {
				t.Errorf("kept %v, %v", kept, err)
			} else if data, err := os.ReadFile(kept[0]); err != nil || len(data) == 0 || string(data) != string(torn[len(torn)-len(data):]) {
				t.Errorf("kept %d bytes of %d, %v", len(data), part+zeros, err)
			}
			// It goes on, and the next time nothing is to be said.
			writeDir(t, image, h, len(h.Blocks), nil)
			if blocks, notices, err := readDir(image, h); err != nil || blocks != len(h.Blocks) || notices != nil {
				t.Errorf("going on: %d blocks, %v, %v", blocks, notices, err)
			}
		}
	}
	if cuts < 12 {
		t.Errorf("only %d torn writes were cut off", cuts)
	}

	// The same torn write, but the block had been acknowledged: this is damage.
	image := filepath.Join(t.TempDir(), "acknowledged")
	copyDir(t, after, image)
	if err := os.WriteFile(filepath.Join(image, vlog), long[:len(short)+30], 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = readDir(image, h)
	var corrupt *storage.CorruptError
	if !errors.As(err, &corrupt) || !strings.HasPrefix(corrupt.Record, "blocks 7 to 7") {
		t.Errorf("an acknowledged block cut off: %v", err)
	}
}

// newest returns the path of badger's newest value log in a data directory.
func newest(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.vlog"))
	if err != nil || len(files) == 0 {
		t.Fatalf("value logs: %v, %v", files, err)
	}
	return filepath.Join("log", filepath.Base(files[len(files)-1]))
}

// TestOlderLog puts an older copy of badger's folder in place of the present one: the log's lost end is noticed.
func TestOlderLog(t *testing.T) {
	h := damageHistory()
	dir, old := filepath.Join(t.TempDir(), "dir"), filepath.Join(t.TempDir(), "old")
	writeDir(t, dir, h, 6, nil)
	copyDir(t, dir, old)
	writeDir(t, dir, h, 9, nil)
	for _, what := range []string{"older", "empty"} {
		if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
		if what == "older" {
			copyDir(t, filepath.Join(old, "log"), filepath.Join(dir, "log"))
		}
		_, _, err := readDir(dir, h)
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("an %s log: %v", what, err)
		}
	}
}
