package replica

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// deliveryTag separates signatures over delivery records from all others.
const deliveryTag = "atoll delivery v1\x00"

// Record is a delivery record: a device's signed word that it holds the changes that Tips end, durably. Of
// each device the one with the greatest Counter counts; it is kept and passed on by everyone, so that
// an author learns of deliveries to devices it never meets.
type Record struct {
	Device  causal.Device
	Counter uint64
	Tips    []crdt.Tip // sorted by actor
	Sig     [ed25519.SignatureSize]byte
}

// AppendTo appends the encoding of rec (canonical msgpack) to buf.
func (rec *Record) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, 4)
	buf = appendBin(buf, rec.Device[:])
	buf = appendUint(buf, rec.Counter)
	buf = appendTips(buf, rec.Tips)
	return appendBin(buf, rec.Sig[:])
}

// DecodeRecord reads what AppendTo wrote. Errors wrap ErrMessage.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) > MaxMessageBytes {
		return Record{}, fmt.Errorf("%w: a record of %d bytes", ErrMessage, len(b))
	}
	r := reader{b: b}
	rec := r.record()
	return rec, r.end()
}

// String renders rec on one line, without its counter, which is a time.
func (rec *Record) String() string { return rec.Device.String() + formatTips(rec.Tips) }

// signingBytes returns what the device of rec signs.
func (rec *Record) signingBytes(store crdt.StoreID) []byte {
	buf := append([]byte(deliveryTag), store[:]...)
	buf = append(buf, rec.Device[:]...)
	buf = appendUint(buf, rec.Counter)
	return appendTips(buf, rec.Tips)
}

// authored returns the tips of rec's own device.
func (rec *Record) authored() []crdt.Tip {
	var out []crdt.Tip
	for _, t := range rec.Tips {
		if t.Actor.Device == rec.Device {
			out = append(out, t)
		}
	}
	return out
}

func (rec *Record) size() int {
	return 128 + len(rec.Tips)*(causal.ActorSize+48)
}

// recordTable holds the latest delivery record of each device, this one's among them, sorted
// by device.
type recordTable struct {
	list    []Record
	last    uint64    // the last counter this device used
	at      int64     // when its record was made
	lv      causal.LV // and how long the graph was then; or is, if the record still says what it did; -1: there is none
	due     bool      // a new one is to be made in the next Ready
	version uint64    // counts changes of list
	changed int64     // when the last of them was
	sum     crdt.Hash // digest, if summed
	summed  bool
}

func (t *recordTable) find(d causal.Device) (int, bool) {
	return slices.BinarySearchFunc(t.list, d, func(rec Record, d causal.Device) int { return rec.Device.Compare(d) })
}

// counter returns the counter of d's record, 0 if there is none.
func (t *recordTable) counter(d causal.Device) uint64 {
	if i, ok := t.find(d); ok {
		return t.list[i].Counter
	}
	return 0
}

func (t *recordTable) set(rec Record, now int64) {
	t.version, t.changed = t.version+1, now
	i, ok := t.find(rec.Device)
	if ok {
		t.list[i] = rec
	} else {
		t.list = slices.Insert(t.list, i, rec)
	}
	t.summed = false
}

// drop takes out the i-th record.
func (t *recordTable) drop(i int, now int64) {
	t.version, t.changed = t.version+1, now
	t.list = slices.Delete(t.list, i, i+1)
	t.summed = false
}

// counters names the records of the table.
func (t *recordTable) counters() []Counter {
	out := make([]Counter, len(t.list))
	for i := range t.list {
		out[i] = Counter{Device: t.list[i].Device, Counter: t.list[i].Counter}
	}
	return out
}

// digest is equal for two tables that hold the same records.
func (t *recordTable) digest() crdt.Hash {
	if !t.summed {
		h := sha256.New()
		h.Write([]byte(recordsTag))
		for i := range t.list {
			h.Write(t.list[i].Device[:])
			h.Write(binary.BigEndian.AppendUint64(nil, t.list[i].Counter))
		}
		t.sum, t.summed = crdt.Hash(h.Sum(nil)), true
	}
	return t.sum
}

// errRecords is wrapped by RefusedError for records that do not verify.
var errRecords = errors.New("replica: delivery record with a bad signature")

// stepRecords takes in delivery records that are newer than those held.
func (r *Replica) stepRecords(p *peer, m *Records) error {
	var fresh []Record
	for i := range m.Records {
		rec := m.Records[i]
		if rec.Counter <= r.records.counter(rec.Device) || rec.Device == r.cfg.Device && rec.Counter <= r.records.last {
			continue
		}
		if !r.cfg.Verify(rec.Device, rec.signingBytes(r.cfg.Store), rec.Sig[:]) {
			return r.refuse(p.device, BadSignature, fmt.Errorf("%w: of %s", errRecords, rec.Device))
		}
		fresh = append(fresh, rec)
	}
	// Nothing below can fail.
	for i := range m.Records {
		rec := &m.Records[i]
		if _, ok := p.counters[rec.Device]; ok || len(p.counters) < MaxMessageRecords {
			p.counters[rec.Device] = max(p.counters[rec.Device], rec.Counter)
		}
	}
	for _, rec := range fresh {
		if rec.Device == p.device && !r.gossip {
			r.seek(p, rec.authored()) // what the peer wrote it has sent before: unless it was lost
		}
		r.meetRecord(p, rec)
		r.addRecord(rec)
	}
	return nil
}

// addRecord keeps a verified record that is newer than what is held.
func (r *Replica) addRecord(rec Record) {
	if rec.Device == r.cfg.Device {
		// This device said more than it remembers: a new record must outbid that.
		r.records.last = rec.Counter
		if i, ok := r.records.find(rec.Device); ok {
			r.records.drop(i, r.now)
			r.records.lv = -1
		}
		return
	}
	if _, ok := r.records.find(rec.Device); !ok && len(r.records.list) >= r.limits.MaxRecords && !r.evictRecord(rec.Device) {
		return
	}
	r.records.set(rec, r.now)
	r.retimeAll()
	r.out.records = append(r.out.records, DeviceRecord{Device: rec.Device, Record: rec.AppendTo(nil)})
}

// evictRecord makes room for the record of a device that is connected or wrote something here, at the price of one
// that neither is nor did. It returns false if d is no such device or there is no such record.
func (r *Replica) evictRecord(d causal.Device) bool {
	tips := r.summary().tips
	known := func(d causal.Device) bool {
		if p := r.peers[d]; p != nil && p.connected || d == r.cfg.Device {
			return true
		}
		return len(tips.ofDevice(d)) > 0
	}
	if !known(d) {
		return false
	}
	i := slices.IndexFunc(r.records.list, func(rec Record) bool { return !known(rec.Device) })
	if i < 0 {
		return false
	}
	r.records.drop(i, r.now)
	return true
}

// tickRecord decides whether this device's own record is due: when what it holds has changed, and not too often
// for the record's size.
func (r *Replica) tickRecord() {
	if at, ok := r.recordAt(); r.records.due || !ok || r.now < at {
		return
	}
	if i, ok := r.records.find(r.cfg.Device); ok && r.summary().tips.equal(r.records.list[i].Tips) {
		r.records.lv = r.graph.Len()
		return
	}
	r.records.due = true
}

// recordsPerInterval is how many tips, of all devices' records together, a device is to be sent in one Limits.RecordInterval: every
// record comes to every device, so what they cost grows with the devices that make them and with what is in each.
const recordsPerInterval = 256

// recordInterval is Limits.RecordInterval stretched by how much all devices' records are.
func (r *Replica) recordInterval() int64 {
	return r.limits.RecordInterval * int64(1+len(r.graph.Actors())*len(r.records.list)/recordsPerInterval)
}

// recordAt returns when this device's record is due, and false if the last one still says what it holds.
func (r *Replica) recordAt() (int64, bool) {
	n := r.graph.Len()
	return r.records.at + r.recordInterval(), n > 0 && n != r.records.lv
}

// makeRecord signs this device's record of what it holds as of the Ready being made, whose blocks will be
// durable before it leaves. The counter is the clock, so that a device which lost its memory still outbids
// what it said before.
func (r *Replica) makeRecord() {
	if !r.records.due {
		return
	}
	r.records.due = false
	r.records.at = r.now
	t := &r.records
	t.last = min(max(t.last+1, uint64(max(r.wall, 0))), maxCounter)
	rec := Record{Device: r.cfg.Device, Counter: t.last, Tips: r.wholeSummary()}
	copy(rec.Sig[:], r.cfg.Sign(rec.signingBytes(r.cfg.Store)))
	t.set(rec, r.now)
	t.lv = r.graph.Len()
	r.out.records = append(r.out.records, DeviceRecord{Device: rec.Device, Record: rec.AppendTo(nil)})
	for _, p := range r.order {
		p.sayRecords = true
		r.touch(p)
	}
}

// RestoreRecord takes back what an earlier Ready asked to keep in Records. Call it before anything
// but Restore.
func (r *Replica) RestoreRecord(record []byte) error {
	rec, err := DecodeRecord(record)
	if err != nil {
		return fmt.Errorf("replica: restore record: %w", err)
	}
	if !r.cfg.Verify(rec.Device, rec.signingBytes(r.cfg.Store), rec.Sig[:]) {
		return fmt.Errorf("replica: restore record: %w: of %s", errRecords, rec.Device)
	}
	if rec.Device == r.cfg.Device {
		r.records.last = max(r.records.last, rec.Counter)
	}
	if rec.Counter > r.records.counter(rec.Device) && len(r.records.list) < r.limits.MaxRecords {
		r.records.set(rec, r.now)
	}
	return nil
}

// recordBytes is about how many bytes of records go into one message.
const recordBytes = 256 << 10

// owesRecord reports whether p is not known to have rec.
func (p *peer) owesRecord(rec *Record) bool {
	return p.heard && rec.Device != p.device && rec.Counter > p.counters[rec.Device]
}

// recordsDue reports whether there is a record to send to p.
func (r *Replica) recordsDue(p *peer) bool {
	if !p.heard || p.told == r.records.version || r.now < p.recordsAt {
		return false
	}
	for i := range r.records.list {
		if p.owesRecord(&r.records.list[i]) {
			return true
		}
	}
	p.told = r.records.version
	return false
}

// takeRecords returns the records that p is not known to have, up to a size, and counts them as sent. The rest goes
// with a later Tick, as do those that come before p has had time for these.
func (r *Replica) takeRecords(p *peer) *Records {
	m := &Records{}
	size, tips := 0, 0
	for i := range r.records.list {
		rec := &r.records.list[i]
		if !p.owesRecord(rec) {
			continue
		}
		if size > 0 && (size+rec.size() > recordBytes || tips >= recordsPerInterval) {
			break
		}
		size += rec.size()
		m.Records = append(m.Records, *rec)
		p.counters[rec.Device] = rec.Counter
		tips += 1 + len(rec.Tips)
	}
	p.recordsAt = r.now + r.limits.RecordInterval*int64(tips)/recordsPerInterval
	return m
}
