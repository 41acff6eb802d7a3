package simulations_test

import (
	"os"
	"strings"
	"testing"
)

// The first code in README.md is that of ExampleNode, which go test compiles and runs.
func TestReadmeCodeIsTheExample(t *testing.T) {
	readme := read(t, "../README.md")
	_, after, ok := strings.Cut(readme, "```go\n")
	block, _, closed := strings.Cut(after, "```")
	if !ok || !closed {
		t.Fatal("README.md has no block of Go code")
	}
	parts := strings.Split(read(t, "../peer/example_test.go"), "\t// README\n")
	if len(parts) != 3 {
		t.Fatalf("example_test.go has %d marks, want 2", len(parts)-1)
	}
	var want strings.Builder
	for line := range strings.Lines(parts[1]) {
		want.WriteString(strings.TrimPrefix(line, "\t"))
	}
	if block != want.String() {
		t.Errorf("README.md shows\n%s\nand peer/example_test.go has\n%s", block, want.String())
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
