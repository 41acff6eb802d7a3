package crdt_test

import (
	"fmt"

	"github.com/atollsync/atoll/crdt"
)

// What a person types becomes a batch of changes, one a key, for the log and for others.
func ExampleTextView_Type() {
	chains := crdt.NewChains(crdt.StoreID{})
	state := crdt.NewState(chains)
	block := new(crdt.Batch)
	typist := state.Text("notes").Type(block, crdt.Actor{})
	for i, key := range []string{"a", "t", "o", "l", "l", "s"} {
		if err := typist.Insert(int64(i), i, key); err != nil {
			panic(err)
		}
	}
	if err := typist.Delete(6, 5, 1); err != nil {
		panic(err)
	}
	typist.Commit()
	fmt.Println(state.Text("notes").String(), block.Len(), chains.Len())
	// Output: atoll 7 7
}
