package simulations

import (
	"github.com/atollsync/atoll/peer/replica"
)

// liar is what makes a device lie.
type liar struct{ d *Device }

var lieFaults = map[LieKind]fault{Forge: faultForge, Fork: faultFork, Withhold: faultWithhold, Garbage: faultGarbage, Flood: faultFlood, Replay: faultReplay}

func newLiar(d *Device, lies []Lie) *liar { return &liar{d: d} }

func (l *liar) schedule()                                    {}
func (l *liar) noticed(reason replica.Reason, s *Sim)        {}
func (l *liar) keepsBack(link *link, m replica.Message) bool { return false }
func (s *Sim) lie(d *Device, kind LieKind)                   {}
