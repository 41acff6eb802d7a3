package storage_test

import (
	"bufio"
	"bytes"
	"errors"
	"expvar"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// childEnv makes the test binary, run by one of its tests, a process that writes to the directory it names.
const childEnv = "ATOLL_STORAGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := writeForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childHistory is what the child writes: blocks of all sizes, some of megabytes, so that it is mostly killed
// in the middle of a write.
var childHistory = sync.OnceValue(func() *storagetest.History {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 7)
	for i := range 32 {
		size := 1 + i
		if i%4 == 3 {
			size = 200_000 + 100_000*(i%8)
		}
		h.Add(1, size)
	}
	return h
})

// writeForever appends childHistory from where the log ends, says what is durable, and merges now and then, until its
// input is closed.
func writeForever(dir string) error {
	db, err := storage.Open(dir)
	if err != nil {
		return err
	}
	if err := db.PutStore(storage.StoreInfo{ID: storagetest.Store(1), Name: "x", Actor: causal.Actor{Device: db.Device()}}); err != nil {
		return err
	}
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		return err
	}
	if err := l.Load(nil); err != nil {
		return err
	}
	for _, b := range childHistory().Blocks {
		if b.First < l.Len() {
			continue
		}
		fmt.Println("writing", l.Len())
		if err := l.Append(b); err != nil {
			return err
		}
		fmt.Println("durable", l.Len())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestKill kills a process that writes, again and again. Every time all that it was told is durable is
// there, and what is there is a beginning of what it wrote.
func TestKill(t *testing.T) {
	h := childHistory()
	dir := t.TempDir()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	if s := os.Getenv("ATOLL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed, rng = n, rand.New(rand.NewPCG(n, 0))
	}
	t.Logf("ATOLL_SEED=%d go test -run TestKill ./storage", seed)
	midWrite, survived, torn := 0, 0, 0
	for round := 0; ; round++ {
		acked, writing, end := runChild(t, dir, 1+rng.IntN(7))
		if writing {
			midWrite++
		}
		db, err := storage.Open(dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		torn += len(db.Notices())
		if db.Notices() != nil {
			if stores, err := db.Stores(); err != nil || len(stores) != 1 || !stores[0].Actor.IsZero() {
				t.Errorf("round %d: a write was cut off, but the actor goes on: %v, %v", round, stores, err)
			}
		}
		l, err := db.Log(storagetest.Store(1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := storagetest.Read(l)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if l.Len() < acked {
			t.Fatalf("round %d: %d ops of %d acknowledged ones", round, l.Len(), acked)
		}
		if l.Len() > acked {
			survived++
		}
		if storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes[:len(got)]) {
			t.Fatalf("round %d: what is there is not what was written", round)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if end {
			break
		}
	}
	t.Logf("killed %d times in mid-write; %d unacknowledged writes survived, %d were cut off", midWrite, survived, torn)
	if midWrite < 3 {
		t.Error("the kills did not hit a write")
	}
}

// runChild lets a child write to dir and kills it right after it says the n-th time that it begins to write. It
// returns the ops that are acknowledged, whether the child was killed while writing, and whether all was written.
func runChild(t *testing.T, dir string, n int) (acked causal.LV, writing, end bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	total := childHistory().Chains.Graph().Len()
	killed := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		word, number, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		switch word {
		case "writing":
			writing = true
			if n--; n == 0 {
				killed = true
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		case "durable":
			acked, writing = causal.LV(v), false
			if acked == total && !killed {
				end = true
				if err := stdin.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := cmd.Wait(); (err == nil) == killed {
		t.Fatalf("the child ended with %v: %s", err, &stderr)
	}
	return acked, writing, end
}

// TestInUse opens a directory twice, in one process and from another one.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	db, err := storage.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = storage.Open(dir)
	if !errors.Is(err, storage.ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("opened twice: %v", err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("%s is held by process %d", dir, os.Getpid()); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("another process: %v: %s; want %q", err, out, want)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = storage.Open(dir)
	if err != nil {
		t.Fatalf("once closed: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestIdentityFile checks the key's file: its mode, and what is refused.
func TestIdentityFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "identity")
	if err := os.WriteFile(path+".tmp", []byte("left by a crash"), 0o644); err != nil {
		t.Fatal(err)
	}
	open := func() (causal.Device, error) {
		db, err := storage.Open(dir)
		if err != nil {
			return causal.Device{}, err
		}
		return db.Device(), db.Close()
	}
	device, err := open()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file: %v", err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good)-1; at++ {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := open()
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Record != "file identity" || corrupt.Dir != dir {
			t.Fatalf("byte %d flipped: device %s, %v", at, got, err)
		}
		if strings.Contains(err.Error(), string(bad[25:50])) {
			t.Fatalf("the error shows the key: %v", err)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := open(); err != nil || again != device {
		t.Errorf("device %s became %s, %v", device, again, err)
	}
}

// TestNewKeyNewActor removes the key: the device is a new one, and does not go on as the old one's actors.
func TestNewKeyNewActor(t *testing.T) {
	dir := t.TempDir()
	db, err := storage.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutStore(storage.StoreInfo{ID: storagetest.Store(1), Actor: causal.Actor{Device: db.Device()}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "identity")); err != nil {
		t.Fatal(err)
	}
	if db, err = storage.Open(dir); err != nil {
		t.Fatal(err)
	}
	if stores, err := db.Stores(); err != nil || len(stores) != 1 || !stores[0].Actor.IsZero() || len(db.Notices()) != 1 {
		t.Errorf("%+v, %v, %v", stores, err, db.Notices())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOneWritePerCommit counts what badger, which writes with O_DSYNC, writes to its value log: an append
// of many blocks is one write, so one sync.
func TestOneWritePerCommit(t *testing.T) {
	db, err := storage.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		t.Fatal(err)
	}
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	writes := expvar.Get("badger_disk_writes_total").(*expvar.Int)
	for _, n := range []int{1, 64, 1, 200} {
		for range n {
			h.Add(1, 10)
		}
		if err := l.PutPeer(causal.Device{1}, fmt.Append(nil, n, len(h.Blocks))); err != nil {
			t.Fatal(err)
		}
		before := writes.Value()
		if err := l.Append(h.Blocks[len(h.Blocks)-n:]...); err != nil {
			t.Fatal(err)
		}
		if got := writes.Value() - before; got != 1 {
			t.Errorf("an append of %d blocks took %d writes", n, got)
		}
	}
}
