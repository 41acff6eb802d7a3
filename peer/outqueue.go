package peer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/atollsync/atoll/peer/replica"
)

const (
	// What may wait for one peer. The replicas bound what is under way by their windows, so only a peer
	// that reads nothing while it asks for more gets here. It is cut.
	maxOutBytes  = 64 << 20
	maxOutFrames = 1 << 17
)

// outQueue holds what is to be written to a peer. Putting something in never waits.
type outQueue struct {
	mu     sync.Mutex
	items  []outItem
	bytes  int
	full   bool
	ending bool // the last item is in it
	closed bool
	wake   chan struct{}
}

// outItem is a finished control frame, or the payload of a frameStore.
type outItem struct {
	frame   []byte
	link    *link // nil: frame is finished
	payload []byte
	last    bool // nothing is written after it
}

func (q *outQueue) init() { q.wake = make(chan struct{}, 1) }

func (q *outQueue) put(it outItem) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.full || q.ending {
		return
	}
	q.ending = it.last
	q.bytes += len(it.frame) + len(it.payload)
	q.items = append(q.items, it)
	q.full = q.bytes > maxOutBytes || len(q.items) > maxOutFrames
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// control queues a finished frame.
func (q *outQueue) control(frame []byte) { q.put(outItem{frame: frame}) }

// last replaces all that is queued by a frame, after which nothing is taken any more.
func (q *outQueue) last(frame []byte) {
	q.mu.Lock()
	q.items, q.bytes, q.full = nil, 0, false
	q.mu.Unlock()
	q.put(outItem{frame: frame, last: true})
}

// size returns the bytes queued.
func (q *outQueue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// next takes the first item, and says whether the queue has overflowed or is closed.
func (q *outQueue) next() (it outItem, ok, full, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full || q.closed || len(q.items) == 0 {
		return outItem{}, false, q.full, q.closed
	}
	it = q.items[0]
	q.items[0] = outItem{}
	q.items = q.items[1:]
	q.bytes -= len(it.frame) + len(it.payload)
	return it, true, false, false
}

func (q *outQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.items, q.bytes = true, nil, 0
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// send queues a message for the link's peer. It is called under the store's lock and never waits.
func (l *link) send(m replica.Message) {
	l.session.out.put(outItem{link: l, payload: m.AppendTo([]byte{payloadMessage})})
}

// frame makes the frame of a payload: compressed if that helps, sealed unless the peer has proved itself.
func (l *link) frame(payload []byte) []byte {
	s := l.session
	flags := uint64(0)
	if packed, ok := s.net.node.packer.pack(payload); ok {
		payload, flags = packed, flags|flagZstd
	}
	if !l.verified.Load() {
		payload = seal(l.store.keys.frames, payload, framePlace(s.net.id, s.peer, s.nonce, l.number))
		flags |= flagSealed
	}
	w := newFrame(frameStore, 3)
	w.uint(l.number)
	w.uint(flags)
	w.bytes(payload)
	return w.done()
}

// countingWriter writes to the stream, with a deadline each time, and counts.
type countingWriter struct{ s *session }

func (w countingWriter) Write(p []byte) (int, error) {
	s := w.s
	if err := s.stream.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := s.stream.Write(p)
	s.net.node.traffic.out.Add(uint64(n))
	s.net.metrics.sent.Add(float64(n))
	return n, err
}

// writeLoop writes what is queued, and a ping with each heartbeat.
func (s *session) writeLoop() error {
	w := bufio.NewWriterSize(countingWriter{s}, bufferSize)
	beat := time.NewTicker(s.net.node.cfg.Heartbeat)
	defer beat.Stop()
	var deadline <-chan time.Time // of a poke
	var pokedAt int64
	var head [binary.MaxVarintLen64]byte
	for {
		it, ok, full, closed := s.out.next()
		switch {
		case full:
			return violation(blameSlow, fmt.Errorf("%w: over %d bytes or %d frames wait", errSlowPeer, maxOutBytes, maxOutFrames))
		case closed:
			return nil
		case ok:
			frame := it.frame
			if it.link != nil {
				frame = it.link.frame(it.payload)
			}
			s.net.metrics.framesOut.Inc()
			if _, err := w.Write(head[:binary.PutUvarint(head[:], uint64(len(frame)))]); err != nil {
				return err
			}
			if _, err := w.Write(frame); err != nil {
				return err
			}
			if it.last {
				if err := w.Flush(); err != nil {
					return err
				}
				return s.stream.CloseWrite()
			}
			if err := s.unpark(); err != nil {
				return err
			}
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		select {
		case <-s.out.wake:
		case <-s.ctx.Done():
			return nil
		case <-beat.C:
			s.ping()
		case <-s.poked:
			if deadline == nil {
				pokedAt = time.Now().UnixNano()
				deadline = time.After(min(pokeTimeout, s.silence()))
				s.ping()
			}
		case <-deadline:
			if deadline = nil; s.heard.Load() < pokedAt {
				return errSilent
			}
		}
	}
}

// ping asks for an answer. The number is the time, so that the answer tells how long it took.
func (s *session) ping() {
	now := time.Now().UnixNano()
	s.pinged.Store(now)
	w := newFrame(framePing, 1)
	w.uint(uint64(now))
	s.out.control(w.done())
}
