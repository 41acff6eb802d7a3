package simulations

import (
	"math/rand/v2"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// liar is what makes a device lie. The device is a real one, with a replica that does what replicas do; the lies are beside that. They end when everything
// heals: then honest devices must come to agree whatever they were told.
type liar struct {
	d    *Device
	lies []Lie
	rng  *rand.Rand
	// said are messages that the device sent, to be sent again.
	said []replica.Message
	// silent is until when the device sends no changes.
	silent time.Duration
}

var lieFaults = map[LieKind]fault{Forge: faultForge, Fork: faultFork, Withhold: faultWithhold, Garbage: faultGarbage, Flood: faultFlood, Replay: faultReplay}

// lieReasons are what honest devices refuse or blame a lie for, if they do.
var lieReasons = map[replica.Reason]fault{replica.Malformed: faultGarbage, replica.BadSignature: faultForge, replica.Withheld: faultWithhold, replica.Flood: faultFlood}

const (
	lieEvery  = time.Minute
	floodSize = 2_000 // messages
	saidSize  = 64
	replayed  = 32
	// withheldFor is longer than a peer may take to show what it says to hold.
	withheldFor = 90 * time.Second
	// maxScratch is up to how many changes a liar's lies build on what it holds, and not on nothing.
	maxScratch = 2_000
)

func newLiar(d *Device, lies []Lie) *liar {
	return &liar{d: d, lies: lies, rng: d.sim.source("liar " + d.name)}
}

// schedule plans the lies that come again and again.
func (l *liar) schedule() {
	s := l.d.sim
	for _, lie := range l.lies {
		s.faults.ask(lieFaults[lie.Kind])
		every := lie.Every
		if every <= 0 {
			every = lieEvery
		}
		var tell func()
		tell = func() {
			if !s.healing {
				s.lie(l.d, lie.Kind)
				s.after(every, tell)
			}
		}
		s.after(every, tell)
	}
}

// noticed counts that somebody refused what the liar sent, or blames it.
func (l *liar) noticed(reason replica.Reason, s *Sim) {
	if f, ok := lieReasons[reason]; ok {
		s.faults.saw(f)
	}
}

// keepsBack reports whether the liar does not send a message that its replica wants sent.
func (l *liar) keepsBack(_ *link, m replica.Message) bool {
	if len(l.said) < saidSize {
		l.said = append(l.said, m)
	} else {
		l.said[l.rng.IntN(saidSize)] = m
	}
	s := l.d.sim
	if _, changes := m.(*replica.Changes); changes && s.now < l.silent && !s.healing {
		s.faults.saw(faultWithhold)
		return true
	}
	return false
}

// lie makes a device lie once, if it runs and somebody is there to listen.
func (s *Sim) lie(d *Device, kind LieKind) {
	l := d.liar
	var to []*link
	for _, link := range d.links {
		if link.up {
			to = append(to, link)
		}
	}
	if d.r == nil || d.syncing || len(to) == 0 {
		return
	}
	s.trace.note(s.now, markLie, d.number, int(lieFaults[kind]), len(to), func() string { return d.name + " lies: " + string(kind) })
	switch kind {
	case Forge:
		victim := to[l.rng.IntN(len(to))].peer(d)
		l.tell(kind, to, l.batch(l.newActor(victim.id), "forged", 1, 0))
	case Fork:
		actor := l.newActor(d.id)
		half := (len(to) + 1) / 2
		l.tell(kind, to[:half], l.batch(actor, "one side", 2, 0))
		l.tell(kind, to[half:], l.batch(actor, "the other side", 2, 0))
	case Withhold:
		// What is told builds on what never is; and what the replica writes from now on is announced, and not sent.
		l.tell(kind, to, l.batch(l.newActor(d.id), "withheld", 2, 1))
		l.silent = s.now + withheldFor
		if op, err := ParseOp("put withheld " + d.name + " --kind register"); err == nil {
			d.input(input{op: op.do, done: func(error) {}})
		}
	case Garbage:
		for _, link := range to {
			l.send(kind, link, nil, l.garbage())
		}
	case Flood:
		for range floodSize / len(to) {
			for _, link := range to {
				m := &replica.Digest{Ask: true}
				for i := range m.Digest {
					m.Digest[i] = byte(l.rng.Uint32())
				}
				l.send(kind, link, m, nil)
			}
		}
	case Replay:
		for range min(replayed, len(l.said)) {
			l.send(kind, to[l.rng.IntN(len(to))], l.said[l.rng.IntN(len(l.said))], nil)
		}
		if n := len(d.disk.blocks); n > 0 {
			l.tell(kind, to, d.disk.batch(l.rng.IntN(n)))
		}
	}
}

// newActor returns an actor of a device, which need not be the liar's own.
func (l *liar) newActor(of causal.Device) causal.Actor {
	a := causal.Actor{Device: of}
	for i := range a.Nonce {
		a.Nonce[i] = byte(l.rng.Uint32())
	}
	return a
}

// batch returns an encoded batch of n changes by an actor, the first of which is the same whatever they say, without the first few of them. The liar
// signs them, whoever's they are.
func (l *liar) batch(actor causal.Actor, says string, n, without int) []byte {
	s := l.d.sim
	chains := crdt.NewChains(s.store)
	state := crdt.NewState(chains)
	if len(l.d.disk.first(maxScratch+1)) <= maxScratch {
		for i := range l.d.disk.blocks {
			b, err := s.common.decode(l.d.disk.batch(i))
			if err != nil {
				return nil
			}
			k, err := chains.Check(b, nil)
			if err != nil {
				return nil
			}
			state.ApplyAll(chains.Add(k))
		}
	}
	var made []crdt.Accepted
	for i := range n {
		tx := state.Begin(actor, l.d.now())
		word := says
		if i == 0 && n > 1 {
			word = "a lie begins"
		}
		tx.Register("lies").Put(word)
		a, _, ok, err := tx.Commit()
		if err != nil || !ok {
			return nil
		}
		made = append(made, a)
	}
	last := made[n-1]
	sig := crdt.Signature{Dot: last.Dot()}
	copy(sig.Sig[:], l.d.sign(crdt.SigningBytes(last.Hash)))
	chains.AddSignature(sig)
	return chains.AppendBatch(nil, made[without:])
}

// garbage returns bytes that are no message, or one that says nothing true.
func (l *liar) garbage() []byte {
	var b []byte
	if len(l.said) > 0 && l.rng.IntN(3) > 0 {
		b = l.said[l.rng.IntN(len(l.said))].AppendTo(nil)
		b = b[:min(len(b), 64<<10)]
		if l.rng.IntN(2) == 0 {
			return b[:l.rng.IntN(len(b))]
		}
	} else {
		b = make([]byte, 1+l.rng.IntN(2_000))
	}
	for range 1 + l.rng.IntN(8) {
		b[l.rng.IntN(len(b))] = byte(l.rng.Uint32())
	}
	return b
}

// tell sends a batch over links.
func (l *liar) tell(kind LieKind, to []*link, batch []byte) {
	if batch == nil {
		return
	}
	for _, link := range to {
		l.send(kind, link, &replica.Changes{Batch: batch}, nil)
	}
}

// send sends a message, or bytes.
func (l *liar) send(kind LieKind, to *link, m replica.Message, raw []byte) {
	size := len(raw)
	if m != nil {
		size = l.d.sim.size(m)
	}
	l.d.sim.dispatch(parcel{link: to, from: l.d, to: to.peer(l.d), size: size, index: -1, message: m, raw: raw, lie: kind})
}
