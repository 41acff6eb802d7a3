package replica

import "fmt"

// An honest peer repeats itself only when something was lost. What it says without being any use is metered, so that nobody can keep a replica
// busy for nothing; it is refused as a Flood when there is far more of it than any loss explains.
const (
	idleMessages    = 1_000 // that taught nothing, at once
	idlePerSecond   = 20    // and for ever
	idleBytes       = 64 << 20
	idleBytesPerSec = 1 << 20
)

// meter counts what a peer says for nothing. Both fields shrink with time.
type meter struct {
	messages int64 // thousandths
	bytes    int64
	at       int64
}

// drain forgets what may be forgotten by now.
func (m *meter) drain(now int64) {
	passed := now - m.at
	m.at = now
	m.messages = max(0, m.messages-passed*idlePerSecond)
	m.bytes = max(0, m.bytes-passed*idleBytesPerSec/1000)
}

// idle counts one message of the given size that was no use.
func (r *Replica) idle(p *peer, what MessageType, size int) error {
	m := &p.idle
	m.drain(r.now)
	if m.messages+1000 > idleMessages*1000 || m.bytes+int64(size) > idleBytes {
		return r.refuse(p.device, Flood, fmt.Errorf("replica: message after message of type %d that is no use", what))
	}
	m.messages += 1000
	m.bytes += int64(size)
	return nil
}

// metered refuses a message that only asks or repeats, if there were too many of them.
func (r *Replica) metered(p *peer, m Message) error {
	size := 64
	switch m := m.(type) {
	case *Have:
		size += 64*len(m.Tips) + 40*len(m.Counters)
	case *NeedFull, *Digest, *States:
	case *Records:
		for i := range m.Records {
			rec := &m.Records[i]
			if rec.Counter > r.records.counter(rec.Device) {
				return nil
			}
			size += rec.size()
		}
	default:
		return nil
	}
	return r.idle(p, m.Type(), size)
}
