package crdt

import "fmt"

// Kind says what a container is and so what its ops mean.
// Two kinds never share content, even at one path. The numbers are part of the format.
type Kind uint8

const (
	// Register holds one value: the latest of its maximal writes. Conflicts gives all of them.
	Register Kind = 1
	// Counter holds the sum of what was added, an int64 that wraps.
	Counter Kind = 2
	// Set is an add-wins set of scalars: a remove affects only the adds it saw.
	Set Kind = 3
	// RemoveWinsSet has an element if one add saw every remove of it and every clear.
	RemoveWinsSet Kind = 4
	// Map holds entries by key: edits beat concurrent deletes, whole entries only.
	Map Kind = 5
	// DeleteWinsMap is a Map in which an entry stands only by writes that saw every delete at its key.
	DeleteWinsMap Kind = 6
	// List is a sequence of places, each under the entry rules of a Map key.
	List Kind = 7
	// Text is a sequence of Unicode code points.
	Text Kind = 8
)

var kindNames = [...]string{Register: "register", Counter: "counter", Set: "set", RemoveWinsSet: "rwset",
	Map: "map", DeleteWinsMap: "dwmap", List: "list", Text: "text"}

// Known reports whether this version of the program knows k.
func (k Kind) Known() bool { return k >= Register && k <= Text }

// String returns k's name, as ParseKind reads it.
func (k Kind) String() string {
	if k.Known() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind returns the kind that String names s.
func ParseKind(s string) (Kind, error) {
	for k, name := range kindNames {
		if name == s && name != "" {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("crdt: no kind %q: one of register, counter, set, rwset, map, dwmap, list, text", s)
}

// isMap reports whether places below k are named by string keys.
func (k Kind) isMap() bool { return k == Map || k == DeleteWinsMap }

// isParent reports whether k has places below it.
func (k Kind) isParent() bool { return k.isMap() || k == List }

// MarshalText gives k's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParseKind reads.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKind(string(text))
	return err
}
