package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// What an offence costs, in points.
var reasonPoints = [...]int{
	Malformed:    35,
	Invalid:      35,
	BadSignature: 50, // never by accident
	OverLimit:    35,
	WrongSummary: 35,
	Withheld:     10, // perhaps it cannot read its disk
	Flood:        50,
}

// Points returns what an offence costs the peer. See Scores.
func (r Reason) Points() int {
	if int(r) < len(reasonPoints) && reasonPoints[r] > 0 {
		return reasonPoints[r]
	}
	return 35
}

const (
	scoreBan   = 100            // at this score a peer is banned
	scoreDecay = 2_000          // ms in which one point is forgiven
	banTime    = 10 * 60_000    // ms, for the first ban; each one doubles it
	maxBanTime = 24 * 3_600_000 // ms
	banMemory  = 7 * 24 * 3_600_000
	maxScores  = 4096
)

// Scores counts the offences of peers by points, which are forgiven with time. A peer that has too many is banned: whoever drives a
// replica cuts it, and neither dials nor accepts it until the ban ends. Each ban is twice as long as the last.
//
// They are not kept over a restart: a device that was at fault may have been repaired, and one that still is is found out
// as soon as it does harm again. The zero value has no offences. It is not safe for concurrent use. Times are milliseconds that only
// go forward.
type Scores struct {
	of    map[causal.Device]*score
	swept int64 // when those that are forgiven were last forgotten
}

type score struct {
	points int
	at     int64 // when points was right
	bans   int
	until  int64 // banned until
	reason string
}

// PeerScore describes a peer's offences to a person.
type PeerScore struct {
	Device causal.Device
	Points int   // not forgiven yet; 100 are a ban
	Bans   int   // so far
	Until  int64 // banned until, 0 if it is not
	Reason string
}

// Blame adds points to a peer's score and returns until when it is banned, 0 if it is not. Of very many offenders, no more than some thousands are
// remembered.
func (s *Scores) Blame(d causal.Device, points int, reason string, now int64) (until int64) {
	p := s.of[d]
	if p == nil {
		if len(s.of) >= maxScores && now-s.swept >= scoreDecay {
			s.forgive(now)
		}
		if len(s.of) >= maxScores {
			return 0
		}
		if s.of == nil {
			s.of = make(map[causal.Device]*score)
		}
		p = &score{at: now}
		s.of[d] = p
	}
	p.decay(now)
	p.reason = reason
	if p.points += points; p.points >= scoreBan {
		p.points = scoreBan / 2 // the next ban comes sooner
		p.until = now + min(int64(banTime)<<min(p.bans, 10), maxBanTime)
		p.bans++
	}
	if now >= p.until {
		return 0
	}
	return p.until
}

func (p *score) decay(now int64) {
	if gone := (now - p.at) / scoreDecay; gone > 0 {
		p.points = int(max(0, int64(p.points)-gone))
		p.at = now
	}
}

// forgive forgets peers that have paid for what they did.
func (s *Scores) forgive(now int64) {
	s.swept = now
	for d, p := range s.of {
		p.decay(now)
		if p.points == 0 && (p.bans == 0 && now >= p.until || now-p.until >= banMemory) {
			delete(s.of, d)
		}
	}
}

// Banned reports whether a peer is banned.
func (s *Scores) Banned(d causal.Device, now int64) bool {
	p := s.of[d]
	return p != nil && now < p.until
}

// List returns the peers with offences that are not forgiven, by device.
func (s *Scores) List(now int64) []PeerScore {
	s.forgive(now)
	out := make([]PeerScore, 0, len(s.of))
	for d, p := range s.of {
		e := PeerScore{Device: d, Points: p.points, Bans: p.bans, Reason: p.reason}
		if now < p.until {
			e.Until = p.until
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b PeerScore) int { return a.Device.Compare(b.Device) })
	return out
}
