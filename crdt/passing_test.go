package crdt

import "testing"

// Two authors put the same into the same element, in changes that differ in nothing but who made them. Read one after the other into the same
// memory, as when a log is replayed, they are still two.
func TestPassingChangesOfTwoAuthors(t *testing.T) {
	store := StoreID{1}
	author := func(i byte) (a Actor) {
		a.Device[0] = i
		return a
	}
	take := func(c *Chains, s *State, d *BatchDecoder, block []byte) {
		t.Helper()
		b, err := d.Decode(block)
		if err != nil {
			t.Fatal(err)
		}
		k, err := c.Check(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.ApplyAll(c.Add(k))
	}
	commit := func(c *Chains, s *State, a Actor, f func(*Tx)) []byte {
		t.Helper()
		tx := s.Begin(a, 1)
		f(&tx)
		acc, _, _, err := tx.Commit()
		if err != nil {
			t.Fatal(err)
		}
		c.AddSignature(Signature{Dot: acc.Dot()})
		return c.BatchOf([]Accepted{acc}).AppendTo(nil)
	}
	replica := func() (*Chains, *State) {
		c := NewChains(store)
		return c, NewState(c)
	}
	c, s := replica()
	blocks := [][]byte{commit(c, s, author(1), func(tx *Tx) { tx.List("list").Insert(0, "x") })}
	for i := byte(2); i <= 3; i++ {
		c, s := replica()
		take(c, s, new(BatchDecoder), blocks[0])
		blocks = append(blocks, commit(c, s, author(i), func(tx *Tx) { tx.List("list").Map(0).Put("k", 0) }))
	}
	var digests [2]Hash
	for i, passing := range []bool{false, true} {
		c, s := replica()
		d := &BatchDecoder{Passing: passing}
		for _, block := range blocks {
			take(c, s, d, block)
		}
		digests[i] = s.Digest()
	}
	if digests[0] != digests[1] {
		t.Error("changes that were read into the same memory have another effect than those that were not")
	}
}
