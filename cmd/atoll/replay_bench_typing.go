package main

import (
	"github.com/atollsync/atoll/crdt"
)

// typingRows are the bytes that a typed character takes.
func typingRows() ([]measurement, error) {
	return []measurement{{
		name: "typed-bytes", what: "an encoded change for one typed character, in a batch of 1,000 at typing speed",
		goal: goal{bytes: 10}, size: typedBytes,
	}}, nil
}

// typedBytes types 1,000 characters as a person does, words at 80 to 280 ms a key and a pause now and then, and
// returns what a change takes in their batch, without its signature.
func typedBytes() (float64, error) {
	const n = 1000
	random := benchRandom()
	r := newBenchReplica()
	when := int64(1_700_000_000_000)
	var typed []crdt.Accepted
	for i := range n {
		when += 80 + random.Int64N(200)
		key := string(rune('a' + random.IntN(26)))
		if random.IntN(6) == 0 {
			key = " "
		}
		if random.IntN(50) == 0 {
			when += 1000 + random.Int64N(4000)
		}
		tx := r.state.Begin(crdt.Actor{Nonce: agentNonce(0)}, when)
		tx.Text(sessionSlice).Insert(i, key)
		a, _, _, err := tx.Commit()
		if err != nil {
			return 0, err
		}
		typed = append(typed, a)
	}
	encoded := r.chains.AppendBatch(nil, typed)
	copied := newBenchReplica()
	if err := copied.receive(encoded); err != nil {
		return 0, err
	}
	return float64(len(encoded)) / n, checkText(copied.text(), r.text())
}
