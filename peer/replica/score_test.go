package replica_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

func TestScores(t *testing.T) {
	var s replica.Scores
	now := int64(1_000)
	p, q := causal.Device{1}, causal.Device{2}
	for range 20 {
		if until := s.Blame(p, 9, "slow", now); until != 0 {
			t.Fatalf("banned until %d for offences far apart", until)
		}
		now += 9 * 2_000
	}
	last := int64(0)
	for ban := range 20 {
		until := int64(0)
		for i := 0; until == 0; i++ {
			if i > 20 {
				t.Fatal("never banned")
			}
			until = s.Blame(p, replica.BadSignature.Points(), "bad signature", now)
		}
		if !s.Banned(p, now) || s.Banned(q, now) {
			t.Fatal("the offender, and only it, is to be banned")
		}
		took := until - now
		if took < last || took > 24*3_600_000 || ban > 0 && ban < 7 && took != 2*last {
			t.Fatalf("ban %d lasts %d ms, the one before it %d", ban, took, last)
		}
		list := s.List(now)
		if len(list) != 1 || list[0].Device != p || list[0].Until != until || list[0].Reason != "bad signature" || list[0].Bans != ban+1 {
			t.Fatalf("listed as %+v", list)
		}
		last, now = took, until
		if s.Banned(p, now) {
			t.Fatal("a ban ends")
		}
	}
	now += 30 * 24 * 3_600_000
	if list := s.List(now); len(list) != 0 {
		t.Errorf("a month later: %+v", list)
	}
	for i := range 10_000 {
		var d causal.Device
		binary.BigEndian.PutUint32(d[:], uint32(i+1))
		s.Blame(d, 1, "", now)
	}
	if n := len(s.List(now)); n == 0 || n > 4096 {
		t.Errorf("%d scores kept", n)
	}
}

// A member that asks and repeats without end is refused for that; one that repeats as much as losses explain is not.
func TestFlood(t *testing.T) {
	w, messages := meeting(t)
	d, from := w.devices[0], w.devices[1].id
	for _, typ := range []replica.MessageType{replica.HaveType, replica.DigestType, replica.NeedFullType, replica.RecordsType, replica.StatesType, replica.ChangesType} {
		if err := d.step(from, false, messages[replica.ChangesType].AppendTo(nil), w.now); err != nil {
			t.Fatal(err)
		}
		flood := 0
		for i := range 100_000 {
			err := d.r.Step(from, messages[typ], w.now)
			if i%100 == 0 {
				if err := d.drive(func(causal.Device, bool, []byte) {}); err != nil {
					t.Fatal(err)
				}
			}
			var refused *replica.RefusedError
			if errors.As(err, &refused) && refused.Reason == replica.Flood {
				flood = i
				break
			}
			if err != nil {
				t.Fatalf("type %d: %v", typ, err)
			}
		}
		if flood < 500 {
			t.Errorf("type %d: refused after %d messages", typ, flood)
		}
		// It is heard again after a while.
		w.now += 60_000
		if err := d.r.Step(from, messages[typ], w.now); err != nil {
			t.Errorf("type %d, a minute later: %v", typ, err)
		}
		w.now += 60_000
	}
}
