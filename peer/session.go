package peer

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

const (
	// heartbeatsMissed is after how many silent heartbeats a peer counts as gone.
	heartbeatsMissed = 3
	// writeTimeout is how long a peer that lets us hear from it may take to read what we send.
	writeTimeout = 30 * time.Second
	// pokeTimeout is how long a peer has to answer when there is reason to think it is gone.
	pokeTimeout = 2 * time.Second
	bufferSize  = 64 << 10
)

// Why a session ended.
var (
	errSilent    = errors.New("peer: nothing heard for too long")
	errReplaced  = errors.New("peer: another stream to the same peer is kept")
	errSlowPeer  = errors.New("peer: the peer does not read what is sent to it")
	errShutdown  = errors.New("peer: the network is shutting down")
	errCrowded   = errors.New("peer: too many peers that share no store")
	errViolation = errors.New("peer: the peer broke the protocol")
	errVersion   = errors.New("peer: the peer speaks another version of " + string(syncProtocol))
)

// session is the one long-lived stream to a peer. It carries every store both hold.
//
// Two goroutines serve it: one reads and handles frames in order, one writes what the stores and the
// reader put into out. Neither waits for the other, so two sessions cannot block each other.
type session struct {
	net    *network
	peer   peer.ID
	device crdt.Device
	opened bool // by us
	stream lnet.Stream
	nonce  [nonceSize]byte // drawn by us
	out    outQueue

	ctx    context.Context // ends with the session; its cause says why
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when nothing of the session is left
	// written is closed when nothing more will be written.
	written chan struct{}

	heard  atomic.Int64 // when the last bytes came in, unix ns
	poked  chan struct{}
	rtt    atomic.Int64 // ns, 0: unknown
	pinged atomic.Int64 // when the ping that is under way was sent, unix ns
	began  time.Time

	// The reader's own.
	theirs     [nonceSize]byte // drawn by the peer
	greeted    bool            // its Hello has come
	theirCount int             // tags it has offered

	mu       sync.Mutex
	addrs    []ma.Multiaddr // where the peer says that it listens
	next     uint64         // the next number to offer
	offers   []offer
	offered  map[uint64]*Store // numbers we gave out
	links    map[uint64]*link  // by number, whoever gave it; a link may have two
	byStore  map[*Store]*link
	parked   []parkedHave
	settled  chan struct{} // closed when the first offer has been answered
	answered bool          // settled is closed
}

// offer is an offer of ours that awaits its answer.
type offer struct {
	numbers  []uint64
	digests  map[*Store]crdt.Hash // what each store held, for those in the offer's digest
	attached []*link              // connected before the peer has proved itself, since it has before
}

// link is one store in one session: how the store's replica reaches the peer's.
type link struct {
	session *session
	store   *Store
	device  crdt.Device
	number  uint64
	// verified: the peer has proved that it holds the store. Until then, what we send is sealed.
	verified atomic.Bool
	// confirmed: the peer has said that we have proved it too.
	confirmed atomic.Bool
	lastPeers [32]byte // digest of the members last sent; the housekeeper's
}

// parkedHave is a Have that waits until what is queued for the peer has drained: answering it may queue much more.
type parkedHave struct {
	link *link
	have *replica.Have
}

func newSession(net *network, stream lnet.Stream, device crdt.Device, opened bool) *session {
	s := &session{
		net: net, stream: stream, peer: stream.Conn().RemotePeer(), device: device, opened: opened,
		done: make(chan struct{}), written: make(chan struct{}), poked: make(chan struct{}, 1), began: time.Now(),
		offered: make(map[uint64]*Store), links: make(map[uint64]*link), byStore: make(map[*Store]*link),
		settled: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancelCause(net.ctx)
	rand.Read(s.nonce[:]) // never fails
	if !opened {
		s.next = 1
	}
	s.out.init()
	s.heard.Store(time.Now().UnixNano())
	return s
}

// smallerOpened reports whether the stream was opened by the peer with the smaller ID.
func (s *session) smallerOpened() bool { return s.opened == (s.net.id < s.peer) }

// run serves the session until it ends, and returns why it did.
func (s *session) run() error {
	defer close(s.done)
	s.net.metrics.sessions.Inc()
	defer s.net.metrics.sessions.Dec()
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(s.written)
		if err := s.writeLoop(); err != nil {
			s.fail(err)
		}
	})
	s.out.control(s.helloFrame())
	if s.opened {
		s.offer(s.net.node.opened(), true)
	}
	err := s.readLoop()
	if s.ctx.Err() == nil {
		s.bye(err)
	}
	s.fail(err)

	// Nothing comes in any more, and soon nothing goes out.
	writer.Wait()
	s.mu.Lock()
	links := make([]*link, 0, len(s.byStore))
	for _, l := range s.byStore {
		links = append(links, l)
	}
	s.settle()
	s.mu.Unlock()
	for _, l := range links {
		l.store.detach(l)
	}
	s.net.gossipDrop(s)
	return context.Cause(s.ctx)
}

// fail ends the session for a reason. The first reason counts. Both ends notice at once.
func (s *session) fail(err error) {
	s.cancel(err)
	_ = s.stream.Reset() // it may be gone already
	s.out.close()
}

// byeTimeout is how long the peer has to take in why the session ends.
const byeTimeout = time.Second

// bye tells the peer why it is cut, for its log, if it is to blame or too old or too new.
func (s *session) bye(err error) {
	if !errors.Is(err, errViolation) && !errors.Is(err, errVersion) {
		return
	}
	reason := strings.ToValidUTF8(err.Error(), "")
	w := newFrame(frameBye, 1)
	w.string(reason[:min(len(reason), maxReason)])
	s.out.last(w.done())
	timer := time.NewTimer(byeTimeout)
	defer timer.Stop()
	select {
	case <-s.written:
	case <-timer.C:
	}
}

// violation makes an error that is the peer's fault.
func violation(points int, err error) error { return &violationError{points: points, err: err} }

type violationError struct {
	points int
	err    error
}

func (e *violationError) Error() string   { return errViolation.Error() + ": " + e.err.Error() }
func (e *violationError) Unwrap() []error { return []error{errViolation, e.err} }

// settle says that the first exchange of tags is over. s.mu is held.
func (s *session) settle() {
	if !s.answered {
		s.answered = true
		close(s.settled)
	}
}

// shared returns the stores that both have proved to hold.
func (s *session) shared() []*Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Store
	for st, l := range s.byStore {
		if l.verified.Load() {
			out = append(out, st)
		}
	}
	return out
}

// silence returns how long the peer may say nothing.
func (s *session) silence() time.Duration { return heartbeatsMissed * s.net.node.cfg.Heartbeat }

// liveReader reads from the stream and gives up when nothing comes for too long.
type liveReader struct{ s *session }

func (r liveReader) Read(p []byte) (int, error) {
	s := r.s
	if err := s.stream.SetReadDeadline(time.Now().Add(s.silence())); err != nil {
		return 0, err
	}
	n, err := s.stream.Read(p)
	if n > 0 {
		s.heard.Store(time.Now().UnixNano())
		s.net.node.traffic.in.Add(uint64(n))
		s.net.metrics.received.Add(float64(n))
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		err = errSilent
	}
	return n, err
}

// readLoop reads frames and handles them, one by one, until one cannot be read or handled.
func (s *session) readLoop() error {
	r := bufio.NewReaderSize(liveReader{s}, bufferSize)
	for {
		limit := maxStrangerFrame
		if s.proven() {
			limit = maxFrame
		}
		raw, err := readFrame(r, limit)
		if errors.Is(err, errFrame) {
			return violation(blameFrame, err)
		}
		if err != nil {
			return err
		}
		s.net.metrics.framesIn.Inc()
		if err := s.handle(raw); err != nil {
			return err
		}
	}
}

// proven reports whether the peer has proved to hold one of our stores.
func (s *session) proven() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byStore {
		if l.verified.Load() {
			return true
		}
	}
	return false
}

// handle does what a frame asks for.
func (s *session) handle(raw []byte) error {
	kind, f := openFrame(raw)
	if f.err == nil && (kind == frameHello) == s.greeted {
		return violation(blameFrame, fmt.Errorf("%w: frame type %d out of place", errFrame, kind))
	}
	var err error
	switch {
	case f.err != nil:
		err = f.err
	case kind == frameHello:
		err = s.onHello(f)
	case kind == frameOffer:
		err = s.onOffer(f)
	case kind == frameAccept:
		err = s.onAccept(f)
	case kind == frameConfirm:
		err = s.onConfirm(f)
	case kind == frameStore:
		err = s.onStore(f)
	case kind == frameDrop:
		err = s.onDrop(f)
	case kind == framePing:
		n := f.uint()
		if err = f.end(); err == nil {
			w := newFrame(framePong, 1)
			w.uint(n)
			s.out.control(w.done())
		}
	case kind == framePong:
		n := f.uint()
		if err = f.end(); err == nil && n != 0 && n == uint64(s.pinged.Load()) {
			s.rtt.Store(time.Now().UnixNano() - int64(n))
			s.pinged.Store(0)
		}
	case kind == frameBye:
		reason := f.bytes(maxReason)
		if err = f.end(); err == nil {
			return fmt.Errorf("peer: the other side ended the session: %q", reason)
		}
	default:
		// A frame of a later version; this one cannot need it.
	}
	if errors.Is(err, errFrame) {
		return violation(blameFrame, fmt.Errorf("frame type %d: %w", kind, err))
	}
	return err
}

// onStore handles a frame about one store.
func (s *session) onStore(f *frameReader) error {
	number, flags := f.uint(), f.uint()
	payload := f.bytes(maxPlain + sealOverhead)
	if err := f.end(); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.links[number]
	s.mu.Unlock()
	if l == nil {
		return nil // not ours, or not any more
	}
	if flags&flagSealed != 0 {
		plain, err := unseal(l.store.keys.frames, payload, framePlace(s.peer, s.net.id, s.theirs, number))
		if err != nil {
			return violation(blameTag, err)
		}
		payload = plain
	} else if !l.verified.Load() {
		return violation(blameFrame, fmt.Errorf("%w: a frame in the clear from a peer that has proved nothing", errFrame))
	}
	if flags&flagZstd != 0 {
		plain, err := s.net.node.packer.unpack(payload)
		if err != nil {
			return violation(blameFrame, err)
		}
		payload = plain
	}
	if len(payload) == 0 {
		return violation(blameFrame, fmt.Errorf("%w: empty payload", errFrame))
	}
	switch payload[0] {
	case payloadMessage:
		return s.onMessage(l, payload[1:])
	case payloadPeers:
		if !l.verified.Load() {
			return nil
		}
		return s.net.onPeers(l, payload[1:])
	}
	return nil // of a later version
}

// onMessage gives a message to the replica it is for.
func (s *session) onMessage(l *link, raw []byte) error {
	m, err := replica.DecodeMessage(raw)
	if err != nil {
		return violation(blameMessage, err)
	}
	if have, ok := m.(*replica.Have); ok && s.park(l, have) {
		return nil
	}
	return s.stepped(l, m, l.store.step(s.ctx, l, m))
}

// stepped judges what came of a message.
func (s *session) stepped(l *link, m replica.Message, err error) error {
	var refused *replica.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		s.net.metrics.refused.Inc()
		return violation(refused.Reason.Points(), err)
	case s.ctx.Err() != nil:
		return err
	}
	// Not the peer's fault, and the replica repairs what is missing: the log could not be
	// written (the store says so), or the link is gone.
	s.net.log.Debug("message lost", logPeer, s.peer, logStore, l.store.Name(), logMessage, m.Type(), logError, err)
	return nil
}

// Marks of the queue to a peer, in bytes.
const (
	outHigh = 8 << 20 // above it, Haves wait
	outLow  = 4 << 20 // below it, they are answered
)

// park keeps a Have for later if much is queued for the peer already. One that waits is replaced by a newer one.
func (s *session) park(l *link, have *replica.Have) bool {
	if s.out.size() < outHigh {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.parked {
		if s.parked[i].link == l {
			s.parked[i].have = have
			return true
		}
	}
	s.parked = append(s.parked, parkedHave{l, have})
	return true
}

// unpark answers Haves that waited, as long as there is room.
func (s *session) unpark() error {
	for s.out.size() < outLow {
		s.mu.Lock()
		if len(s.parked) == 0 {
			s.mu.Unlock()
			return nil
		}
		p := s.parked[0]
		s.parked = s.parked[1:]
		s.mu.Unlock()
		if err := s.stepped(p.link, p.have, p.link.store.step(s.ctx, p.link, p.have)); err != nil {
			return err
		}
	}
	return nil
}

// poke asks the peer for a sign of life, and ends the session if none comes soon.
func (s *session) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}
