package model

import (
	"fmt"
	"slices"
)

// Result is what an exploration came to.
type Result struct {
	States int            // different states, but for the names of interchangeable devices
	Steps  int            // steps between them
	Depth  int            // the most steps to any state, at least
	Agreed int            // states in which all devices hold the same
	Kinds  map[string]int // steps by kind
	// Complete says that every state within the bounds was visited.
	Complete bool
	// Violation is the first property found broken, with the shortest way there; nil if there is none.
	Violation *Violation
}

// String renders r on one line.
func (r Result) String() string {
	s := fmt.Sprintf("%d states, %d steps, depth %d, in %d states all agree", r.States, r.Steps, r.Depth, r.Agreed)
	if !r.Complete {
		s += ", not all visited"
	}
	if r.Violation != nil {
		s += ", broken: " + string(r.Violation.Property)
	}
	return s
}

// explorer is one exploration under way.
type explorer struct {
	m      *Model
	ignore map[Property]bool
	states *states
	result Result
	kinds  [doOvertake + 1]int
}

// Explore visits every state of m breadth first, until it has seen all or a property is broken that is not among those to
// ignore. progress, if it is not nil, is called now and then with the number of states so far.
func Explore(m *Model, progress func(states int), ignore ...Property) Result {
	x := &explorer{m: m, ignore: map[Property]bool{}, states: newStates()}
	for _, p := range ignore {
		x.ignore[p] = true
	}
	x.visitAll(progress)
	if x.result.Violation == nil && x.result.Complete && !x.ignore[Agreement] {
		x.checkAgreement()
	}
	x.result.States = x.states.n
	x.result.Kinds = map[string]int{}
	for k, n := range x.kinds {
		x.result.Steps += n
		x.result.Kinds[stepNames[k]] = n
	}
	return x.result
}

// visitAll finds every state, and checks all properties but Agreement.
func (x *explorer) visitAll(progress func(int)) {
	var s State
	k := x.m.canonical(&s)
	x.states.add(&k, 0)
	last := 1 // states up to here were reached in Depth steps
	for i := 0; i < x.states.n; i++ {
		if i == last {
			x.result.Depth++
			last = x.states.n
		}
		if progress != nil && i%(1<<20) == 0 {
			progress(x.states.n)
		}
		if x.states.n >= x.m.bounds.MaxStates {
			return
		}
		x.m.unpack(x.states.at(i), &s)
		live := false
		x.m.each(&s, func(p step, next *State, wrong Property) {
			if x.result.Violation != nil {
				return
			}
			x.kinds[p.kind]++
			live = live || x.m.progress(p)
			k := x.m.canonical(next)
			if wrong != "" && !x.ignore[wrong] {
				x.fail(wrong, i, &k)
				return
			}
			if _, fresh := x.states.add(&k, i); fresh {
				if wrong := x.m.broken(next, x.ignore); wrong != "" {
					x.fail(wrong, i, &k)
				}
			}
		})
		agree := x.m.agree(&s)
		if agree {
			x.result.Agreed++
		}
		if !live && !agree && !x.ignore[Live] && x.result.Violation == nil {
			x.fail(Live, i, nil)
		}
		if x.result.Violation != nil {
			return
		}
	}
	x.result.Complete = true
}

// fail notes that a property is broken in state i, or by the step from it to the state with key next.
func (x *explorer) fail(p Property, i int, next *key) {
	way := x.way(i)
	if next != nil {
		way = append(way, *next)
	}
	x.result.Violation = &Violation{Property: p, Trace: x.trace(way)}
}

// failToAgree notes that no agreement can be reached from state i, and shows what the protocol does instead.
func (x *explorer) failToAgree(i int, path []int) {
	way := x.way(i)
	n := len(way)
	for _, j := range path[1:] {
		way = append(way, *x.states.at(j))
	}
	trace := x.trace(way)
	trace = slices.Insert(trace, n, "from here no steps of the protocol alone lead to agreement; it goes round and round:")
	x.result.Violation = &Violation{Property: Agreement, Trace: trace}
}

// checkAgreement looks for states from which no steps but the protocol's own lead to agreement. From each it follows the one
// step that seems to lead there most directly, to a state that is known to be good; only where that goes
// round in circles are all ways tried.
func (x *explorer) checkAgreement() {
	good := make([]uint64, x.states.n/64+1)
	isGood := func(i int) bool { return good[i/64]>>(i%64)&1 != 0 }
	var path []int
	onPath := map[int]bool{}
	for start := range x.states.n {
		path = path[:0]
		clear(onPath)
		for i := start; !isGood(i); {
			if onPath[i] {
				found := x.search(start, isGood)
				if found == nil {
					x.failToAgree(start, path)
					return
				}
				path = found
				break
			}
			path = append(path, i)
			onPath[i] = true
			next, agree := x.direct(i)
			if agree {
				break
			}
			if next < 0 {
				next = i
			}
			i = next
		}
		for _, i := range path {
			good[i/64] |= 1 << (i % 64)
		}
	}
}

// direct returns the state that the most promising of the protocol's own steps leads to from state i, or -1 if
// there is none, and whether i is one of agreement.
func (x *explorer) direct(i int) (int, bool) {
	var s State
	x.m.unpack(x.states.at(i), &s)
	if x.m.agree(&s) {
		return -1, true
	}
	best, next := hopeless, key{}
	x.m.each(&s, func(p step, n *State, _ Property) {
		if r := x.m.rank(p, &s); x.m.progress(p) && r < best {
			best, next = r, x.m.canonical(n)
		}
	})
	if best == hopeless {
		return -1, false
	}
	return x.states.find(&next), false
}

const hopeless = 9

// rank orders steps by how directly they lead to agreement; hopeless ones lead nowhere.
func (m *Model) rank(p step, s *State) int {
	differ := func(l int) bool { return s.durable[m.links[l][0]] != s.durable[m.links[l][1]] }
	switch p.kind {
	case doFsync, doSend:
		return 0
	case doTake, doNotice:
		return 1
	case doConnect:
		if differ(p.at) {
			return 2
		}
	case doForward:
		return 3
	case doAck:
		return 4
	case doCompare:
		if differ(p.at / 2) {
			return 5
		}
	case doCut:
		if !differ(p.at / 2) {
			return 6
		}
	}
	return hopeless
}

// search returns the states on the way from one to agreement or to a good one, or nil if none of the protocol's own steps
// lead to any.
func (x *explorer) search(start int, isGood func(int) bool) []int {
	from := map[int]int{start: start}
	for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
		i := queue[0]
		var s State
		x.m.unpack(x.states.at(i), &s)
		if isGood(i) || x.m.agree(&s) {
			var path []int
			for ; i != start; i = from[i] {
				path = append(path, i)
			}
			return append(path, start)
		}
		x.m.each(&s, func(p step, n *State, _ Property) {
			if !x.m.progress(p) {
				return
			}
			k := x.m.canonical(n)
			j := x.states.find(&k)
			if _, ok := from[j]; !ok {
				from[j] = i
				queue = append(queue, j)
			}
		})
	}
	return nil
}
