package simulations

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sessions"
)

// turn is how many transactions of a session that one person typed a device makes before it is another's turn.
const turn = 25

// sessionWorkload is a recorded editing session split over devices. Of a session with several people each is one of the devices, in turn; one
// that a single person typed is cut into stretches of 25 transactions, each of them the next device's.
//
// What was recorded is where somebody edited a text that others had edited; a device may have seen less of that, or more. So
// a position is counted from the nearer end of the recorded text, and from the same end of what the device shows.
type sessionWorkload struct {
	pace
	all  int // transactions
	done int
	txns []sessions.Txn
	keys []string
	// length is that of the recorded text before the transaction at hand, in code points.
	length  int
	people  int
	current sessions.Txn
}

func newSessionWorkload(w *Workload, p pace) (*sessionWorkload, error) {
	recorded, err := sessions.Read(w.Session)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	txns := recorded.Txns
	if start := recorded.StartContent; start != "" {
		txns = append([]sessions.Txn{{Patches: []sessions.Patch{{Inserted: start}}}}, txns...)
	}
	if w.Ops > 0 {
		txns = txns[:min(w.Ops, len(txns))]
	}
	for i := range txns {
		if txns[i].Agent < 0 {
			return nil, fmt.Errorf("session %s: transaction %d is by agent %d", w.Session, i, txns[i].Agent)
		}
		for _, patch := range txns[i].Patches {
			if patch.Pos < 0 || patch.Deleted < 0 || !utf8.ValidString(patch.Inserted) {
				return nil, fmt.Errorf("session %s: transaction %d: no such edit: [%d, %d, %q]", w.Session, i, patch.Pos, patch.Deleted, clip(patch.Inserted, 40))
			}
		}
	}
	name := w.Text
	if name == "" {
		name = "notes"
	}
	keys, err := crdt.ParsePointer(name)
	if err != nil || len(keys) == 0 {
		return nil, fmt.Errorf("session: text %q: %w", name, err)
	}
	return &sessionWorkload{pace: p, all: len(txns), txns: txns, keys: keys, people: recorded.NumAgents}, nil
}

func (s *sessionWorkload) next() (time.Duration, int, bool) {
	for _, p := range s.current.Patches {
		s.length += utf8.RuneCountInString(p.Inserted) - min(p.Deleted, s.length)
	}
	if s.done == s.all {
		return 0, 0, false
	}
	s.current = s.txns[s.done]
	at := s.begin + time.Duration(float64(s.end-s.begin)*float64(s.done)/float64(s.all))
	who := s.current.Agent
	if s.people < 2 {
		who = s.done / turn
	}
	s.done++
	return at, s.devices[who%len(s.devices)], true
}

func (s *sessionWorkload) op(d *Device, _ Rand) (Op, error) { return s.opFor(d.View()), nil }

// opFor returns the transaction at hand for what state shows.
func (s *sessionWorkload) opFor(state *crdt.State) Op {
	shown := 0
	if place := state.Path(s.keys...); place.Kind() == crdt.Text {
		shown = place.Text().Len()
	}
	recorded := s.length
	var commands []*command
	for _, p := range s.current.Patches {
		at := p.Pos
		if p.Pos > recorded/2 {
			at = shown - (recorded - p.Pos)
		}
		at = min(max(at, 0), shown)
		if n := min(p.Deleted, shown-at); n > 0 {
			commands = append(commands, &command{verb: "delete", keys: s.keys, at: []int{at, n}})
			shown -= n
		}
		if p.Inserted != "" {
			commands = append(commands, &command{verb: "insert", keys: s.keys, at: []int{at}, values: []crdt.Value{text(p.Inserted)}, kind: crdt.Text})
			shown += utf8.RuneCountInString(p.Inserted)
		}
		recorded += utf8.RuneCountInString(p.Inserted) - min(p.Deleted, recorded)
	}
	if len(commands) == 0 { // it deletes what the device does not show
		commands = append(commands, &command{verb: "delete", keys: s.keys, at: []int{0, 1}})
	}
	return opOf(commands...)
}
