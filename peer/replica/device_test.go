package replica_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// device is a replica with the disk and the driver around it, as package peer has them but for the
// network. Its disk keeps what Ready asked to keep, and nothing else survives crash.
type device struct {
	liar   bool // it goes on under one actor whatever it hears, and tells what it wrote as it is
	name   string
	key    ed25519.PrivateKey
	id     causal.Device
	actor  causal.Actor
	store  crdt.StoreID
	limits replica.Limits

	// The disk.
	log     *replica.MemoryLog
	peers   map[causal.Device][]byte
	records map[causal.Device][]byte
	self    []byte

	r      *replica.Replica // nil while crashed
	events []crdt.Event
	moved  []replica.Moved
	now    int64 // as of the last step, for connecting anew
	actors byte  // nonces handed out
	series byte  // of the copies of a device each has nonces of its own
	// announce says whether the store has a topic.
	announce bool
	decode   func([]byte) (*crdt.Batch, error)
}

var testStore = crdt.StoreID(sha256.Sum256([]byte("test store")))

func newDevice(name string, limits replica.Limits) *device {
	seed := sha256.Sum256([]byte("device " + name))
	d := &device{name: name, key: ed25519.NewKeyFromSeed(seed[:]), store: testStore, limits: limits,
		log: &replica.MemoryLog{}, peers: map[causal.Device][]byte{}, records: map[causal.Device][]byte{}}
	copy(d.id[:], d.key.Public().(ed25519.PublicKey))
	d.actor = d.newActor()
	return d
}

func (d *device) newActor() causal.Actor {
	a := causal.Actor{Device: d.id}
	a.Nonce[0] = d.actors
	a.Nonce[1] = d.actors
	a.Nonce[2] = d.series
	d.actors++
	return a
}

// clone returns a device with a copy of d's key and disk: a restored backup.
func (d *device) clone(name string) *device {
	c := *d
	c.name = name
	c.log = &replica.MemoryLog{}
	if err := c.log.Append(d.log.Blocks()...); err != nil {
		panic(err)
	}
	c.series++
	c.peers, c.records = map[causal.Device][]byte{}, map[causal.Device][]byte{}
	c.r, c.events = nil, nil
	return &c
}

// start opens the replica from the disk.
func (d *device) start() error {
	fresh := d.newActor
	if d.liar {
		fresh = nil
	}
	r, err := replica.New(replica.Config{Store: d.store, Device: d.id, Actor: d.actor, Log: d.log, Limits: d.limits, Decode: d.decode,
		NewActor: fresh, Sign: func(msg []byte) []byte { return ed25519.Sign(d.key, msg) }})
	if err != nil {
		return err
	}
	for _, b := range d.log.Blocks() {
		if err := r.Restore(b.Batch); err != nil {
			return err
		}
	}
	if d.self != nil {
		if err := r.RestoreSelf(d.self); err != nil {
			return err
		}
	}
	for _, id := range sortedDevices(d.peers) {
		if err := r.RestorePeer(id, d.peers[id]); err != nil {
			return err
		}
	}
	for _, id := range sortedDevices(d.records) {
		if err := r.RestoreRecord(d.records[id]); err != nil {
			return err
		}
	}
	r.SetGossip(d.announce)
	d.r = r
	return nil
}

func sortedDevices(m map[causal.Device][]byte) []causal.Device {
	var out []causal.Device
	for id := range m {
		out = append(out, id)
	}
	slices.SortFunc(out, causal.Device.Compare)
	return out
}

// crash loses everything that is not on the disk.
func (d *device) crash() { d.r, d.events = nil, nil }

// write puts what must be durable on the disk.
func (d *device) write(rd replica.Ready) error {
	if rd.Err != nil {
		return rd.Err
	}
	if !rd.Actor.IsZero() {
		d.actor = rd.Actor
	}
	if rd.Rewrite != nil {
		d.moved = append(d.moved, rd.Rewrite.Moved...)
		return d.log.Rewrite(rd.Rewrite)
	}
	if rd.Self != nil {
		d.self = bytes.Clone(rd.Self)
	}
	if err := d.log.Append(rd.Blocks...); err != nil {
		return err
	}
	for _, p := range rd.Peers {
		d.peers[p.Device] = bytes.Clone(p.State)
	}
	for _, rec := range rd.Records {
		d.records[rec.Device] = bytes.Clone(rec.Record)
	}
	d.events = append(d.events, rd.Events...)
	return nil
}

// drive does all the work there is, handing what is to be sent to send, as it travels.
func (d *device) drive(send func(to causal.Device, gossip bool, message []byte)) error {
	for rounds := 0; d.r != nil && d.r.HasReady(); rounds++ {
		if rounds == 10_000 {
			return fmt.Errorf("%s always has more to do", d.name)
		}
		rd := d.r.Ready()
		if err := d.write(rd); err != nil {
			return err
		}
		if rd.Rewrite != nil {
			if err := d.rebuild(); err != nil {
				return err
			}
			continue
		}
		d.r.Advance()
		for _, m := range rd.Announce {
			send(causal.Device{}, true, m.AppendTo(nil))
		}
		for _, e := range rd.Messages {
			send(e.To, false, e.Message.AppendTo(nil))
		}
	}
	return nil
}

// rebuild starts d again after its log was rewritten, and connects it to those it was connected to.
func (d *device) rebuild() error {
	var connected []causal.Device
	for _, p := range d.r.Status(d.now).Peers {
		if p.Connected {
			connected = append(connected, p.Device)
		}
	}
	d.events = nil
	if err := d.start(); err != nil {
		return err
	}
	for _, p := range connected {
		d.r.Connect(p, d.now)
		d.r.SetSubscribed(p, d.announce)
	}
	return nil
}

// step takes in a message as it travels.
func (d *device) step(from causal.Device, gossip bool, message []byte, now int64) error {
	d.now = now
	m, err := replica.DecodeMessage(message)
	if err != nil {
		return err
	}
	if gossip {
		return d.r.StepGossip(from, m, now)
	}
	return d.r.Step(from, m, now)
}
