package peer

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

const (
	agent = "atoll"
	// minPadding is the least number of tags in an offer: whoever sees fewer stores than that learns nothing.
	minPadding = 8
	// maxEarly is how many stores known to be shared send their Have with the offer. More send one
	// digest over all of them first.
	maxEarly = 64
	// maxNumbers bounds the lists of numbers in one frame.
	maxNumbers = maxOffer
)

func (s *session) helloFrame() []byte {
	// libp2p tells everybody where we listen, but takes its time.
	addrs := s.net.host.Addrs()
	addrs = addrs[:min(len(addrs), maxToldAddrs)]
	w := newFrame(frameHello, 4+len(addrs))
	w.uint(protocolVersion)
	w.bytes(s.nonce[:])
	w.string(agent)
	w.uint(uint64(len(addrs)))
	for _, a := range addrs {
		w.bytes(a.Bytes())
	}
	return w.done()
}

func (s *session) onHello(f *frameReader) error {
	version := f.uint()
	nonce := f.fixed(nonceSize)
	f.string(maxReason)
	n := f.uint()
	var addrs []ma.Multiaddr
	for i := uint64(0); i < n && f.err == nil; i++ {
		if a, err := ma.NewMultiaddrBytes(f.bytes(maxAddrBytes)); err == nil && i < maxToldAddrs {
			addrs = append(addrs, a)
		}
	}
	if err := f.end(); err != nil && version == protocolVersion {
		return err
	}
	if version != protocolVersion {
		return fmt.Errorf("%w: %d, and this node %d", errVersion, version, protocolVersion)
	}
	copy(s.theirs[:], nonce)
	s.greeted = true
	s.mu.Lock()
	s.addrs = addrs
	s.mu.Unlock()
	return nil
}

// listens returns where the peer says that it listens.
func (s *session) listens() []ma.Multiaddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addrs)
}

// offer tells the peer, by tags that only members can make out, which stores this node holds. first: as
// the opening of the session.
//
// To a peer that has proved before to hold a store, the store's Have goes along, sealed. So two nodes that know each other
// need one round trip.
func (s *session) offer(stores []*Store, first bool) {
	s.mu.Lock()
	stores = slices.DeleteFunc(slices.Clone(stores), func(st *Store) bool {
		l := s.byStore[st]
		return l != nil && l.verified.Load()
	})
	s.mu.Unlock()
	for start := 0; first || start < len(stores); start += maxOffer {
		s.offerSome(stores[start:min(len(stores), start+maxOffer)])
		if first = false; start+maxOffer >= len(stores) {
			break
		}
	}
}

func (s *session) offerSome(stores []*Store) {
	// Shuffled padding would hide nothing more: the tags of a stranger's stores are random to it anyway.
	o := offer{digests: make(map[*Store]crdt.Hash)}
	count := minPadding
	for count < len(stores) {
		count *= 2
	}
	tags := make([]byte, count*tagSize)
	rand.Read(tags) // never fails: crypto/rand ends the process first
	var known []*Store
	for _, st := range stores {
		if st.knows(s.device) {
			known = append(known, st)
		}
	}
	goesEarly := make(map[*Store]bool, len(known))
	for _, st := range known {
		goesEarly[st] = len(known) <= maxEarly
	}
	var digest []byte
	if len(known) > 0 {
		digest = digestOf(known, o.digests)
	}

	s.mu.Lock()
	from := s.next
	s.next += 2 * uint64(count)
	var early []*link
	for i, st := range stores {
		number := from + 2*uint64(i)
		t := st.keys.tagFor(roleOffer, s.net.id, s.peer, s.nonce)
		copy(tags[i*tagSize:], t[:])
		s.offered[number] = st
		o.numbers = append(o.numbers, number)
		if goesEarly[st] && s.byStore[st] == nil {
			l := &link{session: s, store: st, device: s.device, number: number}
			s.links[number], s.byStore[st] = l, l
			early = append(early, l)
		}
	}
	o.attached = early
	s.offers = append(s.offers, o)
	s.mu.Unlock()

	w := newFrame(frameOffer, 3)
	w.uint(from)
	w.bytes(digest)
	w.bytes(tags)
	s.out.control(w.done())
	for _, l := range early {
		s.attach(l, nil)
	}
}

// attach connects l's store to the peer. digest, if not nil, is what both held when they compared.
func (s *session) attach(l *link, digest *crdt.Hash) {
	err := l.store.attach(s.ctx, l, digest)
	if errors.Is(err, ErrForgotten) {
		s.drop(l.store) // since it was offered: the peer must not take us for a member
	}
	if err != nil {
		s.net.log.Debug("store not connected", logPeer, s.peer, logStore, l.store.Name(), logError, err)
	}
}

// digestOf returns one digest over what all stores hold, and puts that of each into each.
func digestOf(stores []*Store, each map[*Store]crdt.Hash) []byte {
	stores = slices.Clone(stores)
	slices.SortFunc(stores, func(a, b *Store) int { return slices.Compare(a.id[:], b.id[:]) })
	h := sha256.New()
	for _, st := range stores {
		d := st.digest()
		each[st] = d
		h.Write(st.id[:])
		h.Write(d[:])
	}
	return h.Sum(nil)
}

// onOffer answers with the stores that this node holds too.
func (s *session) onOffer(f *frameReader) error {
	from := f.uint()
	digest := f.bytes(sha256.Size)
	tags := f.bytes(maxOffer * tagSize)
	if err := f.end(); err != nil {
		return err
	}
	theirParity := uint64(0)
	if s.opened {
		theirParity = 1
	}
	count := len(tags) / tagSize
	if len(tags)%tagSize != 0 || from > 1<<32 || from%2 != theirParity {
		return fmt.Errorf("%w: an offer of %d tags from %d", errFrame, count, from)
	}
	// An offer costs a MAC for each of our stores, however few tags it has.
	if s.theirCount += max(count, maxOffered/512); s.theirCount > maxOffered {
		return fmt.Errorf("peer: %v has made so many offers that a new session is due", s.peer)
	}
	index := make(map[tag]int, count)
	for i := range count {
		index[tag(tags[i*tagSize:])] = i
	}
	type match struct {
		store  *Store
		number uint64
	}
	var matches []match
	var stores []*Store
	for _, st := range s.net.node.opened() {
		if i, ok := index[st.keys.tagFor(roleOffer, s.peer, s.net.id, s.theirs)]; ok {
			matches = append(matches, match{st, from + 2*uint64(i)})
			stores = append(stores, st)
		}
	}
	equal := false
	digests := make(map[*Store]crdt.Hash)
	if len(digest) > 0 && len(stores) > 0 {
		equal = string(digestOf(stores, digests)) == string(digest)
	}

	w := newFrame(frameAccept, 1+2*len(matches))
	w.bool(equal)
	var attach []*link
	s.mu.Lock()
	for _, m := range matches {
		l := s.byStore[m.store]
		if l == nil {
			l = &link{session: s, store: m.store, device: s.device, number: m.number}
			s.byStore[m.store] = l
		}
		if !l.verified.Swap(true) {
			attach = append(attach, l)
		}
		s.links[m.number] = l
		t := m.store.keys.tagFor(roleAccept, s.net.id, s.peer, s.nonce)
		w.uint(m.number)
		w.bytes(t[:])
	}
	s.settle()
	s.mu.Unlock()
	s.out.control(w.done())
	for _, l := range attach {
		l.store.proved(s.device)
		if d, ok := digests[l.store]; ok && equal {
			s.attach(l, &d)
		} else {
			s.attach(l, nil)
		}
	}
	s.net.met(s)
	return nil
}

// onAccept checks the answer to the oldest offer that has none.
func (s *session) onAccept(f *frameReader) error {
	equal := f.bool()
	type accept struct {
		number uint64
		tag    tag
	}
	if f.left > 2*maxNumbers || f.left%2 != 0 {
		f.fail()
	}
	accepts := make([]accept, 0, max(0, f.left/2))
	for f.err == nil && f.left > 0 {
		number := f.uint()
		accepts = append(accepts, accept{number, tag(f.fixed(tagSize))})
	}
	if err := f.end(); err != nil {
		return err
	}

	s.mu.Lock()
	if len(s.offers) == 0 {
		s.mu.Unlock()
		return fmt.Errorf("%w: an answer to no offer", errFrame)
	}
	o := s.offers[0]
	s.offers = s.offers[1:]
	var attach []*link
	confirm := make([]uint64, 0, len(accepts))
	for _, a := range accepts {
		st := s.offered[a.number]
		_, mine := slices.BinarySearch(o.numbers, a.number)
		if st == nil || !mine || st.keys.tagFor(roleAccept, s.peer, s.net.id, s.theirs) != a.tag {
			s.mu.Unlock()
			return violation(blameTag, fmt.Errorf("the peer accepted a store without proof that it holds it"))
		}
		l := s.byStore[st]
		if l == nil {
			l = &link{session: s, store: st, device: s.device, number: a.number}
			s.byStore[st] = l
		}
		s.links[a.number] = l
		if !l.verified.Swap(true) || !slices.Contains(o.attached, l) {
			attach = append(attach, l)
		}
		l.confirmed.Store(true) // it accepted because our tag verified
		confirm = append(confirm, a.number)
	}
	var gone []*link
	for _, l := range o.attached {
		if !l.verified.Load() {
			delete(s.byStore, l.store)
			delete(s.links, l.number)
			gone = append(gone, l)
		}
	}
	s.settle()
	s.mu.Unlock()

	for _, l := range gone {
		l.store.detach(l)
	}
	if len(confirm) > 0 {
		w := newFrame(frameConfirm, len(confirm))
		for _, n := range confirm {
			w.uint(n)
		}
		s.out.control(w.done())
	}
	for _, l := range attach {
		l.store.proved(s.device)
		d, compared := o.digests[l.store]
		switch {
		case equal && compared && slices.Contains(o.attached, l):
			s.stepDigest(l, d)
		case equal && compared:
			s.attach(l, &d)
		default:
			s.attach(l, nil)
		}
	}
	s.net.met(s)
	return nil
}

// stepDigest tells l's replica, on the peer's behalf, that both held the same.
func (s *session) stepDigest(l *link, d crdt.Hash) {
	m := &replica.Digest{Digest: d}
	if err := l.store.step(s.ctx, l, m); err != nil {
		s.net.log.Debug("message lost", logPeer, s.peer, logStore, l.store.Name(), logMessage, m.Type(), logError, err)
	}
}

// onConfirm learns that the peer has checked our tags too.
func (s *session) onConfirm(f *frameReader) error {
	if f.left > maxNumbers {
		f.fail()
	}
	for f.err == nil && f.left > 0 {
		n := f.uint()
		s.mu.Lock()
		if l := s.links[n]; l != nil && l.verified.Load() {
			l.confirmed.Store(true)
		}
		s.mu.Unlock()
	}
	if err := f.end(); err != nil {
		return err
	}
	s.net.met(s)
	return nil
}

// onDrop learns that the peer has forgotten a store.
func (s *session) onDrop(f *frameReader) error {
	n := f.uint()
	if err := f.end(); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.links[n]
	if l != nil {
		s.unlink(l)
	}
	s.mu.Unlock()
	if l != nil {
		l.store.detach(l)
		s.net.nudge()
	}
	return nil
}

// unlink forgets l under all its numbers. s.mu is held.
func (s *session) unlink(l *link) {
	delete(s.byStore, l.store)
	for n, other := range s.links {
		if other == l {
			delete(s.links, n)
		}
	}
}

// drop tells the peer that this node has forgotten a store.
func (s *session) drop(st *Store) {
	s.mu.Lock()
	l := s.byStore[st]
	if l != nil {
		s.unlink(l)
	}
	s.mu.Unlock()
	if l == nil {
		return
	}
	w := newFrame(frameDrop, 1)
	w.uint(l.number)
	s.out.control(w.done())
	st.detach(l)
}
