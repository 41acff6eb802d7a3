package main

import (
	"github.com/atollsync/atoll/crdt"
)

// maxLiveReplicas is how many agents a session may have for each to be given a replica of its own.
const maxLiveReplicas = 8

// concurrentRows are the measurements of a concurrent session's agents, each at a replica of its own.
func (h *history) concurrentRows() []measurement {
	if h.Agents > maxLiveReplicas {
		return nil
	}
	plan := h.plan()
	return []measurement{
		{
			name: "live", what: "every change its own, live replicas, encoded and decoded", goal: goal{ms: 40, only: friendsSession},
			run: func(w *stopwatch) error { return h.live(plan, true, w) },
		},
		{
			name: "live-unencoded", what: "every change its own, live replicas, handed over as they are", goal: goal{ms: 30, only: friendsSession},
			run: func(w *stopwatch) error { return h.live(plan, false, w) },
		},
	}
}

// turn is what one agent does: it receives changes, which are indexes into the log, and then makes one.
type turn struct {
	agent   int
	receive []int
	step    int // index into the log of the one it makes, -1: none, it only receives
}

// plan says, change by change, what each agent received before it made it, and what it lacks in the end.
func (h *history) plan() []turn {
	// What an agent has is told by how many changes of each it has: they are totally ordered.
	made := make([][]int, h.Agents) // indexes into the log
	at := make([]int, len(h.Txns))  // by transaction: the index of its change, -1: it made none
	for i := range at {
		at[i] = -1
	}
	saw := make([][]int, len(h.Txns)) // by transaction: what its author had then, that change included
	has := make([][]int, h.Agents)
	for i := range has {
		has[i] = make([]int, h.Agents)
	}
	for i, st := range h.steps {
		at[st.txn] = i
	}
	var turns []turn
	receive := func(agent int, wanted []int, step int) {
		t := turn{agent: agent, step: step}
		var lacked [][]int
		for other, n := range wanted {
			if n > has[agent][other] {
				lacked = append(lacked, made[other][has[agent][other]:n])
				has[agent][other] = n
			}
		}
		t.receive = mergeAscending(lacked)
		turns = append(turns, t)
	}
	for i, txn := range h.Txns {
		wanted := make([]int, h.Agents)
		for _, p := range txn.Parents {
			for other, n := range saw[p] {
				wanted[other] = max(wanted[other], n)
			}
		}
		saw[i] = wanted
		if at[i] < 0 {
			continue
		}
		receive(txn.Agent, wanted, at[i])
		made[txn.Agent] = append(made[txn.Agent], at[i])
		has[txn.Agent][txn.Agent]++
		wanted[txn.Agent]++
	}
	all := make([]int, h.Agents)
	for agent := range all {
		all[agent] = len(made[agent])
	}
	for agent := range h.Agents {
		receive(agent, all, -1)
	}
	return turns
}

// mergeAscending returns the numbers of ascending lists in ascending order.
func mergeAscending(lists [][]int) []int {
	var out []int
	for {
		least := -1
		for i, l := range lists {
			if len(l) > 0 && (least < 0 || l[0] < lists[least][0]) {
				least = i
			}
		}
		if least < 0 {
			return out
		}
		out = append(out, lists[least][0])
		lists[least] = lists[least][1:]
	}
}

// live carries out the session as it was: every agent has a replica, writes at its own version, and gets
// each change of the others as a batch of its own.
func (h *history) live(plan []turn, encode bool, w *stopwatch) error {
	replicas := make([]*benchReplica, h.Agents)
	var made []crdt.Accepted // as they are
	var encoded [][]byte
	if encode {
		encoded = make([][]byte, len(h.log))
	} else {
		made = make([]crdt.Accepted, len(h.log))
	}
	w.start()
	for i := range replicas {
		replicas[i] = newBenchReplica()
	}
	for _, t := range plan {
		r := replicas[t.agent]
		for _, i := range t.receive {
			err := error(nil)
			if encode {
				err = r.receive(encoded[i])
			} else {
				err = r.takeChange(made[i], replicas[h.Txns[h.steps[i].txn].Agent])
			}
			if err != nil {
				return err
			}
		}
		if t.step < 0 {
			continue
		}
		st := h.steps[t.step]
		tx := r.state.BeginQuietly(h.engine.actor(t.agent), st.when)
		writePatches(&tx, h.Txns[st.txn].Patches)
		var err error
		if encode {
			encoded[t.step], _, _, err = tx.CommitEncoded(nil, nil)
		} else {
			made[t.step], _, _, err = tx.Commit()
		}
		if err != nil {
			return err
		}
	}
	texts := make([]string, len(replicas))
	for i, r := range replicas {
		texts[i] = r.text()
	}
	w.stop()
	for _, text := range texts {
		if err := checkText(text, h.End); err != nil {
			return err
		}
	}
	return nil
}
