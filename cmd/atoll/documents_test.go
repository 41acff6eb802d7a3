package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
)

func TestImportReduxPersist(t *testing.T) {
	d := newDevice(t, "any")
	d.ok("create", "app")
	dump := `{"todos":"[{\"id\":7,\"title\":\"milk\",\"done\":false}]","filter":"\"all\"","count":"12345678901","_persist":"{\"version\":-1,\"rehydrated\":true}"}`
	want := `{"count":12345678901,"filter":"all","todos":[{"done":false,"id":7,"title":"milk"}]}`
	file := filepath.Join(t.TempDir(), "dump.json")
	for name, doc := range map[string]string{
		"as redux-persist serialises it":    dump,
		"as localStorage holds it":          `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dump) + `"`,
		"unwrapped, with the _persist left": strings.TrimSuffix(want, "}") + `,"_persist":{"version":-1}}`,
	} {
		if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		store := strings.Fields(name)[1]
		d.ok("create", store)
		d.ok("import", store, file)
		if got := strings.TrimSpace(d.ok("export", "--compact", store)); got != want {
			t.Errorf("%s: imported as %s, want %s", name, got, want)
		}
	}
	// Importing again changes nothing, and deletes nothing that came since.
	d.ok("put", "app", "mine", "1")
	d.ok("import", "app", file)
	d.prints("1", "get", "app", "mine")
	if got := decode[edited](d, "import", "app", file); got.Dot != "" {
		t.Errorf("importing the same again made %s", got.Dot)
	}
	for doc, word := range map[string]string{`[1]`: "object", `{"a":`: "not JSON", `{"_persist":"{}","a":"no JSON"}`: "a:"} {
		if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		d.fails(exitFailed, []string{"import", "app", file}, word)
	}
	cmd := d.command("import", "app", "-")
	cmd.Stdin = strings.NewReader(`{"from":"standard input"}`)
	if out, errOut, status := d.finish(cmd); status != exitOK {
		t.Fatalf("import -: %d %s%s", status, out, errOut)
	}
	d.prints("standard input", "get", "app", "from")
}

// TestPlainDocumentForced reads a dump that does not say what it is.
func TestPlainDocumentForced(t *testing.T) {
	doc := []byte(`{"a":"[1]"}`)
	for format, want := range map[string]string{formatAuto: `{"a":"[1]"}`, formatJSON: `{"a":"[1]"}`, formatRedux: `{"a":[1]}`} {
		got, err := plainDocument(doc, format)
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", format, got, err, want)
		}
	}
	if _, err := plainDocument(doc, "yaml"); err == nil {
		t.Error("a format nobody knows was accepted")
	}
}

// FuzzDocument: what comes out of any dump is an object the engine can read, or an error.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"todos":"[{\"id\":7}]","_persist":"{}"}`))
	f.Add([]byte(`"{\"a\":1}"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := plainDocument(b, formatAuto)
		if err != nil {
			return
		}
		s := crdt.NewState(crdt.NewChains(crdt.StoreID{}))
		tx := s.Begin(crdt.Actor{Nonce: agentNonce(0)}, 0)
		tx.Import(doc)
		tx.Rollback()
	})
}
