package simulations_test

import (
	"os"
	"strings"
	"testing"
)

// The Go code in README.md is that of tests, which go test compiles and runs.
func TestReadmeCodeIsTested(t *testing.T) {
	blocks := strings.Split(read(t, "../README.md"), "```go\n")[1:]
	tests := []string{"../peer/example_test.go", "sim_test.go"}
	if len(blocks) != len(tests) {
		t.Fatalf("README.md has %d blocks of Go code, %d are known", len(blocks), len(tests))
	}
	for i, file := range tests {
		block, _, closed := strings.Cut(blocks[i], "```")
		parts := strings.Split(read(t, file), "\t// README\n")
		if !closed || len(parts) != 3 {
			t.Fatalf("%s has %d marks, want 2", file, len(parts)-1)
		}
		var want strings.Builder
		for line := range strings.Lines(parts[1]) {
			want.WriteString(strings.TrimPrefix(line, "\t"))
		}
		if block != want.String() {
			t.Errorf("README.md shows\n%s\nand %s has\n%s", block, file, want.String())
		}
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
