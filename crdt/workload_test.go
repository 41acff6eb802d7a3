package crdt

import (
	"fmt"

	"pgregory.net/rapid"
)

// A workload is what random tests let users do: any intent on any kind, at a handful of
// names, so that devices meet on the same ones and replace each other's kinds.

// doSomething does a few random things in tx.
func doSomething(t *rapid.T, tx *Tx, most int) {
	for range rapid.IntRange(1, most).Draw(t, "intents") {
		slice := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"}).Draw(t, "slice")
		if rapid.IntRange(0, 19).Draw(t, "deleteSlice") == 0 {
			tx.Delete(slice)
			continue
		}
		kind := Kind(slice[0]-'a') + Register
		if rapid.IntRange(0, 9).Draw(t, "otherKind") == 0 {
			kind = drawKind(t)
		}
		edit(t, tx, rootHandle(tx, slice, kind), 0)
	}
}

func drawKind(t *rapid.T) Kind { return Kind(rapid.IntRange(1, 8).Draw(t, "kind")) }

func rootHandle(tx *Tx, slice string, kind Kind) any {
	switch kind {
	case Register:
		return tx.Register(slice)
	case Counter:
		return tx.Counter(slice)
	case Set:
		return tx.Set(slice)
	case RemoveWinsSet:
		return tx.RemoveWinsSet(slice)
	case Map:
		return tx.Map(slice)
	case DeleteWinsMap:
		return tx.DeleteWinsMap(slice)
	case List:
		return tx.List(slice)
	}
	return tx.Text(slice)
}

// edit does one random thing to the container that handle is.
func edit(t *rapid.T, tx *Tx, handle any, depth int) {
	scalar := rapid.SampledFrom([]any{0, 1, 1.0, "x", true, nil})
	switch h := handle.(type) {
	case *TxRegister:
		if rapid.IntRange(0, 9).Draw(t, "touch") == 0 {
			h.Touch()
			return
		}
		h.Put(rapid.SampledFrom([]any{0, 1, "x", nil, []any{1, "y"}, map[string]any{"z": 1}}).Draw(t, "value"))
	case *TxCounter:
		h.Add(rapid.Int64Range(-3, 3).Draw(t, "delta"))
	case *TxSet:
		switch rapid.IntRange(0, 9).Draw(t, "setOp") {
		case 0:
			h.Clear()
		case 1, 2, 3:
			h.Remove(scalar.Draw(t, "member"))
		default:
			h.Add(scalar.Draw(t, "member"))
		}
	case *TxMap:
		key := rapid.SampledFrom([]string{"k", "l"}).Draw(t, "key")
		switch rapid.IntRange(0, 9).Draw(t, "mapOp") {
		case 0, 1:
			h.Delete(key)
		case 2:
			h.Touch()
		case 3, 4, 5:
			h.Put(key, scalar.Draw(t, "value"))
		default:
			if depth < 3 {
				edit(t, tx, mapHandle(h, key, drawKind(t)), depth+1)
			}
		}
	case *TxList:
		n := h.Len()
		op := rapid.IntRange(0, 11).Draw(t, "listOp")
		switch {
		case op == 0 && n > 0:
			i := rapid.IntRange(0, n-1).Draw(t, "index")
			h.Delete(i, rapid.IntRange(1, n-i).Draw(t, "n"))
		case op <= 2 && n > 0:
			h.Set(rapid.IntRange(0, n-1).Draw(t, "index"), scalar.Draw(t, "value"))
		case op <= 5 && n > 0 && depth < 3:
			edit(t, tx, listHandle(h, rapid.IntRange(0, n-1).Draw(t, "index"), drawKind(t)), depth+1)
		case op >= 10 && n > 0:
			h.Move(rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to"))
		case op == 6:
			h.InsertNew(rapid.IntRange(0, n).Draw(t, "index"), drawKind(t))
		case op == 7 && depth < 3:
			edit(t, tx, h.InsertMap(rapid.IntRange(0, n).Draw(t, "index")), depth+1)
		default:
			values := make([]any, rapid.IntRange(1, 3).Draw(t, "n"))
			for i := range values {
				values[i] = scalar.Draw(t, "value")
			}
			h.Insert(rapid.IntRange(0, n).Draw(t, "index"), values...)
		}
	case *TxText:
		n := h.Len()
		if n > 0 && rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
			i := rapid.IntRange(0, n-1).Draw(t, "pos")
			h.Delete(i, rapid.IntRange(1, n-i).Draw(t, "n"))
			return
		}
		h.Insert(rapid.IntRange(0, n).Draw(t, "pos"), rapid.SampledFrom([]string{"a", "bc", "dé😀"}).Draw(t, "text"))
	default:
		panic(fmt.Sprintf("no handle: %T", h))
	}
}

func mapHandle(m *TxMap, key string, kind Kind) any {
	switch kind {
	case Register:
		return m.Register(key)
	case Counter:
		return m.Counter(key)
	case Set:
		return m.Set(key)
	case RemoveWinsSet:
		return m.RemoveWinsSet(key)
	case Map:
		return m.Map(key)
	case DeleteWinsMap:
		return m.DeleteWinsMap(key)
	case List:
		return m.List(key)
	}
	return m.Text(key)
}

func listHandle(l *TxList, i int, kind Kind) any {
	switch kind {
	case Register:
		return l.Register(i)
	case Counter:
		return l.Counter(i)
	case Set:
		return l.SetAt(i)
	case RemoveWinsSet:
		return l.RemoveWinsSet(i)
	case Map:
		return l.Map(i)
	case DeleteWinsMap:
		return l.DeleteWinsMap(i)
	case List:
		return l.List(i)
	}
	return l.Text(i)
}
