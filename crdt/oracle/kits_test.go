package oracle_test

import (
	"fmt"

	"github.com/atollsync/atoll/crdt"
)

// A kit is what the events of exhaustive comparison may do, about one kind. Values differ by
// the number n of the event, so that every write can be told from every other.
type kit struct {
	name       string
	candidates []candidate // at most 6
}

// candidate is one thing an event may do: through a transaction on its author's own replica, or
// as ops of any author's making, whatever stands there.
type candidate struct {
	name string
	tx   func(tx *crdt.Tx, n int)
	raw  func(n int) []crdt.Op
}

func intent(name string, tx func(tx *crdt.Tx, n int)) candidate {
	return candidate{name: name, tx: tx}
}

func given(name string, raw func(n int) []crdt.Op) candidate {
	return candidate{name: name, raw: raw}
}

// ops gives the same ops whoever does them.
func ops(name string, o ...crdt.Op) candidate {
	return given(name, func(int) []crdt.Op { return o })
}

var kits = []kit{
	// Through transactions: births, positions and elements are those a user's program would write.
	{"register", []candidate{
		intent("put", func(tx *crdt.Tx, n int) { tx.Register("s").Put(n) }),
		intent("delete", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
		intent("touch", func(tx *crdt.Tx, n int) { tx.Register("s").Touch() }),
		intent("add as counter", func(tx *crdt.Tx, n int) { tx.Counter("s").Add(1 << n) }),
		intent("delete, put", func(tx *crdt.Tx, n int) { tx.Delete("s"); tx.Register("s").Put(n) }),
	}},
	{"counter", []candidate{
		intent("add", func(tx *crdt.Tx, n int) { tx.Counter("s").Add(1 << n) }),
		intent("delete", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
		intent("touch", func(tx *crdt.Tx, n int) { tx.Counter("s").Touch() }),
		intent("put as register", func(tx *crdt.Tx, n int) { tx.Register("s").Put(n) }),
	}},
	{"set", []candidate{
		intent("add x", func(tx *crdt.Tx, n int) { tx.Set("s").Add("x") }),
		intent("remove x", func(tx *crdt.Tx, n int) { tx.Set("s").Remove("x") }),
		intent("clear", func(tx *crdt.Tx, n int) { tx.Set("s").Clear() }),
		intent("add n, x", func(tx *crdt.Tx, n int) { tx.Set("s").Add(n, "x") }),
		intent("delete", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"rwset", []candidate{
		intent("add x", func(tx *crdt.Tx, n int) { tx.RemoveWinsSet("s").Add("x") }),
		intent("remove x", func(tx *crdt.Tx, n int) { tx.RemoveWinsSet("s").Remove("x") }),
		intent("clear", func(tx *crdt.Tx, n int) { tx.RemoveWinsSet("s").Clear() }),
		intent("add n, x", func(tx *crdt.Tx, n int) { tx.RemoveWinsSet("s").Add(n, "x") }),
		intent("delete", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"map", []candidate{
		intent("put k", func(tx *crdt.Tx, n int) { tx.Map("s").Put("k", n) }),
		intent("delete k", func(tx *crdt.Tx, n int) { tx.Map("s").Delete("k") }),
		intent("put k/n", func(tx *crdt.Tx, n int) { tx.Map("s").Map("k").Put(fmt.Sprint(n), n) }),
		intent("touch k as map", func(tx *crdt.Tx, n int) { tx.Map("s").Map("k").Touch() }),
		intent("delete k/0", func(tx *crdt.Tx, n int) { tx.Map("s").Map("k").Delete("0") }),
		intent("delete all", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"dwmap", []candidate{
		intent("put k", func(tx *crdt.Tx, n int) { tx.DeleteWinsMap("s").Put("k", n) }),
		intent("delete k", func(tx *crdt.Tx, n int) { tx.DeleteWinsMap("s").Delete("k") }),
		intent("put k/n", func(tx *crdt.Tx, n int) { tx.DeleteWinsMap("s").Map("k").Put(fmt.Sprint(n), n) }),
		intent("add to k as counter", func(tx *crdt.Tx, n int) { tx.DeleteWinsMap("s").Counter("k").Add(1 << n) }),
		intent("delete all", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"list", []candidate{
		intent("insert first", func(tx *crdt.Tx, n int) { tx.List("s").Insert(0, n) }),
		intent("insert two last", func(tx *crdt.Tx, n int) { tx.List("s").Append(n, 50+n) }),
		intent("delete first", func(tx *crdt.Tx, n int) {
			if tx.List("s").Len() > 0 {
				tx.List("s").Delete(0, 1)
			}
		}),
		intent("set first", func(tx *crdt.Tx, n int) {
			if tx.List("s").Len() > 0 {
				tx.List("s").Set(0, 10+n)
			}
		}),
		intent("put first/n", func(tx *crdt.Tx, n int) {
			if tx.List("s").Len() > 0 {
				tx.List("s").Map(0).Put(fmt.Sprint(n), n)
			}
		}),
		intent("delete all", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"moves", []candidate{
		intent("insert two first", func(tx *crdt.Tx, n int) { tx.List("s").Insert(0, n, 50+n) }),
		intent("move first last", func(tx *crdt.Tx, n int) {
			if l := tx.List("s"); l.Len() > 1 {
				l.Move(0, l.Len()-1)
			}
		}),
		intent("move last first", func(tx *crdt.Tx, n int) {
			if l := tx.List("s"); l.Len() > 1 {
				l.Move(l.Len()-1, 0)
			}
		}),
		intent("delete first", func(tx *crdt.Tx, n int) {
			if l := tx.List("s"); l.Len() > 0 {
				l.Delete(0, 1)
			}
		}),
		intent("move second, set it, insert beside it", func(tx *crdt.Tx, n int) {
			if l := tx.List("s"); l.Len() > 1 {
				l.Move(1, 0)
				l.Set(0, 10+n)
				l.Insert(1, n)
			}
		}),
		intent("move last first, delete second", func(tx *crdt.Tx, n int) {
			if l := tx.List("s"); l.Len() > 2 {
				l.Move(l.Len()-1, 0)
				l.Delete(1, 1)
			}
		}),
	}},
	{"text", []candidate{
		intent("insert first", func(tx *crdt.Tx, n int) { tx.Text("s").Insert(0, letters(n, 1)) }),
		intent("insert two last", func(tx *crdt.Tx, n int) { tx.Text("s").Append(letters(n, 2)) }),
		intent("insert second", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 1 {
				tx.Text("s").Insert(1, letters(n, 1))
			}
		}),
		intent("delete first", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 0 {
				tx.Text("s").Delete(0, 1)
			}
		}),
		intent("delete second and third, insert there", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 2 {
				tx.Text("s").Delete(1, 2)
				tx.Text("s").Insert(1, letters(n, 1))
			}
		}),
		intent("delete all", func(tx *crdt.Tx, n int) { tx.Delete("s") }),
	}},
	{"marks", []candidate{
		intent("insert two first", func(tx *crdt.Tx, n int) { tx.Text("s").Insert(0, letters(n, 2)) }),
		intent("insert second", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 0 {
				tx.Text("s").Insert(1, letters(n, 1))
			}
		}),
		intent("delete second", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 1 {
				tx.Text("s").Delete(1, 1)
			}
		}),
		intent("link the first two", func(tx *crdt.Tx, n int) {
			tx.Text("s").Mark(0, min(2, tx.Text("s").Len()), crdt.MarkLink, n, crdt.GrowNone)
		}),
		intent("grow over the second", func(tx *crdt.Tx, n int) {
			if tx.Text("s").Len() > 1 {
				tx.Text("s").Mark(1, 2, crdt.MarkLink, 10+n, crdt.GrowBoth)
			}
		}),
		intent("unmark the second and after", func(tx *crdt.Tx, n int) {
			if l := tx.Text("s").Len(); l > 1 {
				tx.Text("s").Unmark(1, l, crdt.MarkLink, crdt.GrowEnd)
			}
		}),
	}},
	// Ops of anybody's making: births that are no deletes or have not been seen, elements that nobody
	// inserted, positions out of range, writes where another kind stands.
	{"raw register", []candidate{
		given("put", func(n int) []crdt.Op { return []crdt.Op{put("s:register", n)} }),
		given("put in an entry born of A1", func(n int) []crdt.Op { return []crdt.Op{put("s:register@A1", n)} }),
		ops("delete", remove("s")),
		ops("touch", touch("s:register")),
	}},
	{"raw counter", []candidate{
		given("add", func(n int) []crdt.Op { return []crdt.Op{add("s:counter", 1<<n)} }),
		given("add in an entry born of B1", func(n int) []crdt.Op { return []crdt.Op{add("s:counter@B1", 1<<n)} }),
		ops("delete", remove("s")),
		given("put as register", func(n int) []crdt.Op { return []crdt.Op{put("s:register", n)} }),
	}},
	{"raw set", []candidate{
		ops("add x", inSet(crdt.CodeSetAdd, "s:set", "x")),
		given("add n, x", func(n int) []crdt.Op {
			return []crdt.Op{inSet(crdt.CodeSetAdd, "s:set", n), inSet(crdt.CodeSetAdd, "s:set", "x")}
		}),
		ops("remove x", inSet(crdt.CodeSetRemove, "s:set", "x")),
		ops("clear", crdt.Op{Code: crdt.CodeSetClear, Len: 1, Path: at("s:set")}),
	}},
	{"raw rwset", []candidate{
		ops("add x", inSet(crdt.CodeRWSetAdd, "s:rwset", "x")),
		given("add n, x", func(n int) []crdt.Op {
			return []crdt.Op{inSet(crdt.CodeRWSetAdd, "s:rwset", n), inSet(crdt.CodeRWSetAdd, "s:rwset", "x")}
		}),
		ops("remove x", inSet(crdt.CodeRWSetRemove, "s:rwset", "x")),
		ops("clear", crdt.Op{Code: crdt.CodeRWSetClear, Len: 1, Path: at("s:rwset")}),
	}},
	{"raw map", []candidate{
		given("put k", func(n int) []crdt.Op { return []crdt.Op{put("s:map/k:register", n)} }),
		given("put k/n", func(n int) []crdt.Op { return []crdt.Op{put(fmt.Sprintf("s:map/k:map/%d:register", n), n)} }),
		given("put k/n in an entry born of A1", func(n int) []crdt.Op {
			return []crdt.Op{put(fmt.Sprintf("s:map/k:map@A1/%d:register", n), n)}
		}),
		ops("delete k", remove("s:map/k")),
	}},
	{"raw dwmap", []candidate{
		given("put k", func(n int) []crdt.Op { return []crdt.Op{put("s:dwmap/k:register", n)} }),
		given("put k/n", func(n int) []crdt.Op { return []crdt.Op{put(fmt.Sprintf("s:dwmap/k:map/%d:register", n), n)} }),
		ops("delete k", remove("s:dwmap/k")),
		ops("delete k, touch it", remove("s:dwmap/k"), touch("s:dwmap/k:map")),
	}},
	{"raw list", []candidate{
		given("insert two at 1", func(n int) []crdt.Op { return []crdt.Op{insert("s:list", 1, n, 50+n)} }),
		ops("delete two at 1", cut("s:list", 1, 2)),
		given("put A1/n", func(n int) []crdt.Op { return []crdt.Op{put(fmt.Sprintf("s:list/[A1]:map/%d:register", n), n)} }),
		given("delete what A2 holds, put B1", func(n int) []crdt.Op {
			return []crdt.Op{remove("s:list/[A2]"), put("s:list/[B1]:register", 10+n)}
		}),
	}},
	{"raw moves", []candidate{
		given("insert two at 1", func(n int) []crdt.Op { return []crdt.Op{insert("s:list", 1, n, 50+n)} }),
		ops("move A1 to 1", move("s:list", "A1", 1)),
		ops("move A2 to 0, delete there", move("s:list", "A2", 0), cut("s:list", 0, 1)),
		ops("delete at 0, move B1 beyond the end", cut("s:list", 0, 1), move("s:list", "B1", 9)),
	}},
	{"raw text", []candidate{
		given("insert two at 0", func(n int) []crdt.Op { return []crdt.Op{typed("s:text", 0, letters(n, 2))} }),
		given("insert at 1", func(n int) []crdt.Op { return []crdt.Op{typed("s:text", 1, letters(n, 1))} }),
		given("insert at 3", func(n int) []crdt.Op { return []crdt.Op{typed("s:text", 3, letters(n, 1))} }),
		ops("delete two at 1", erased("s:text", 1, 2)),
	}},
	{"raw marks", []candidate{
		given("insert three at 0, mark the second", func(n int) []crdt.Op {
			return []crdt.Op{typed("s:text", 0, letters(n, 2)), marked("s:text", 1, 1, "m", n, crdt.GrowEnd)}
		}),
		ops("delete the second, insert there", erased("s:text", 1, 1), typed("s:text", 1, "-")),
		given("mark two at 1, growing", func(n int) []crdt.Op { return []crdt.Op{marked("s:text", 1, 2, "m", n, crdt.GrowBoth)} }),
		ops("unmark at 0 and beyond the end", unmarked("s:text", 0, 1, "m", crdt.GrowNone), unmarked("s:text", 2, 9, "m", crdt.GrowStart)),
	}},
}

// letters returns k letters that no other event types.
func letters(n, k int) string {
	s := ""
	for i := range k {
		s += string(rune('a' + 2*n + i))
	}
	return s
}
