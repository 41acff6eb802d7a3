// Package simulations_test holds the tests that are about the whole module.
package simulations_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/atollsync/atoll"

// layers says, for each package, which of the module's own packages it may
// import. Imports run one way, so a package can be read knowing only those it names.
var layers = map[string][]string{
	"internal/planted":    {},
	"crdt/causal":         {"internal/planted"},
	"crdt/sequence":       {"crdt/causal"},
	"crdt/sessions":       {},
	"crdt":                {"crdt/causal", "crdt/sequence", "internal/planted"},
	"crdt/oracle":         {"crdt", "crdt/causal"},
	"storage":             {"crdt", "crdt/causal"},
	"storage/storagetest": {"crdt", "crdt/causal", "storage"},
	"peer/replica":        {"crdt", "crdt/causal", "internal/planted"},
	"peer":                {"crdt", "crdt/causal", "peer/replica", "storage"},
	// What the tests of peer put real hosts on; no other package may import it.
	"peer/internal/packetnet": {},
	"simulations":             {"crdt", "crdt/causal", "crdt/oracle", "crdt/sessions", "internal/planted", "peer/replica", "storage"},
	"simulations/report":      {"crdt", "crdt/causal", "simulations"},
	"simulations/model":       {},
	// crdt/sequence for its rope alone, which benchmarks measure everything else against.
	"cmd/atoll": {"crdt", "crdt/causal", "crdt/sequence", "peer", "storage", "simulations", "simulations/report"},
}

// pure lists the packages that are functions of their inputs.
var pure = []string{"crdt", "crdt/causal", "crdt/sequence", "crdt/oracle", "peer/replica"}

// impure lists what a pure package must not import: it would bring a clock, a
// goroutine, randomness, I/O, a logger or a lock within reach.
var impure = []string{"bufio", "context", "crypto/rand", "embed", "io", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net",
	"os", "path/filepath", "plugin", "runtime", "sync", "sync/atomic", "syscall", "testing", "time", "unsafe"}

// pureThirdParty is what pure packages may import from outside the standard library.
const pureThirdParty = "github.com/vmihailenco/msgpack/v5"

type goPackage struct {
	Dir        string
	ImportPath string
	Imports    []string
	GoFiles    []string
}

// problems returns what is wrong with p, a sentence each.
func problems(p goPackage) []string {
	var out []string
	name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	allowed, known := layers[name]
	if !known {
		if len(p.GoFiles) == 0 {
			return nil
		}
		return []string{name + ": a package without a place in the layers; add it to them"}
	}
	isPure := slices.Contains(pure, name)
	for _, path := range p.Imports {
		own, isOwn := strings.CutPrefix(path, module+"/")
		switch {
		case isOwn && !slices.Contains(allowed, own):
			out = append(out, name+" imports "+own+", which its layer does not know")
		case path == "testing" && name != "storage/storagetest" || strings.HasPrefix(path, "testing/"):
			out = append(out, name+" ships with "+path)
		case isPure && slices.Contains(impure, path):
			out = append(out, name+" is pure and imports "+path)
		case isPure && !isOwn && strings.Contains(strings.Split(path, "/")[0], ".") && path != pureThirdParty:
			out = append(out, name+" is pure and imports "+path)
		}
	}
	if !isPure {
		return out
	}
	for _, file := range p.GoFiles {
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
				out = append(out, name+" is pure and uses goroutines or channels at "+files.Position(n.Pos()).String())
			}
			return true
		})
	}
	return out
}

func TestArchitecture(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Imports,GoFiles", module+"/...")
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(stdout))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")] = true
		for _, problem := range problems(p) {
			t.Error(problem)
		}
	}
	for name := range layers {
		if !seen[name] {
			t.Errorf("%s has a place in the layers and is not there", name)
		}
	}
}

// The checks themselves find what they are there to find.
func TestArchitectureFindsViolations(t *testing.T) {
	tests := []struct{ pkg, source, want string }{
		{"crdt", "package crdt\nimport \"time\"\nvar now = time.Now\n", "is pure and imports time"},
		{"crdt/causal", "package causal\nimport \"github.com/libp2p/go-libp2p\"\nvar _ = libp2p.New\n", "is pure and imports github.com/libp2p/go-libp2p"},
		{"peer/replica", "package replica\nfunc f() { go f() }\n", "uses goroutines"},
		{"peer/replica", "package replica\nvar c chan int\n", "uses goroutines"},
		{"crdt/sequence", "package sequence\nimport _ \"" + module + "/crdt\"\n", "which its layer does not know"},
		{"storage", "package storage\nimport _ \"" + module + "/peer\"\n", "which its layer does not know"},
		{"peer", "package peer\nimport \"testing\"\nvar _ testing.TB\n", "ships with testing"},
		{"util", "package util\n", "without a place in the layers"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(tt.source), 0o600); err != nil {
			t.Fatal(err)
		}
		tree, err := parser.ParseFile(token.NewFileSet(), "", tt.source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		p := goPackage{Dir: dir, ImportPath: module + "/" + tt.pkg, GoFiles: []string{"a.go"}}
		for _, i := range tree.Imports {
			p.Imports = append(p.Imports, strings.Trim(i.Path.Value, `"`))
		}
		if got := strings.Join(problems(p), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s with\n%s: problems %q, want %q", tt.pkg, tt.source, got, tt.want)
		}
	}
}
