package peer

import "time"

const (
	// quietTicks is for how many ticks a replica must have had nothing to do before its log is merged.
	quietTicks = 20
	// keepInterval is how often housekeeping is done at least; nudges do it sooner, but not before keepPause.
	keepInterval = 5 * time.Second
	keepPause    = 50 * time.Millisecond
	// collectInterval is how often the datastore is asked to give back the space of what was merged.
	collectInterval = 10 * time.Minute
	// maxStrangers is how many sessions that share no store are kept, in case one comes to be shared.
	maxStrangers = 64
)

// keepHouse does, now and then and when nudged, what need not be done at once.
func (w *network) keepHouse() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	remembered, collected := time.Now(), time.Now()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-timer.C:
		case <-w.nudged:
			select { // many nudges come at once
			case <-time.After(keepPause):
			case <-w.ctx.Done():
				return
			}
		}
		w.dropStrangers()
		w.exchangePeers()
		if w.gossip != nil {
			for _, s := range w.node.opened() {
				w.gossip.adjust(s)
			}
		}
		if time.Since(remembered) > keepInterval {
			w.rememberMembers()
			w.tend()
			remembered = time.Now()
		}
		if time.Since(collected) > collectInterval {
			if err := w.node.cfg.Storage.Collect(); err != nil {
				w.log.Warn("disk space could not be given back", logError, err)
			}
			collected = time.Now()
		}
		timer.Reset(keepInterval)
	}
}

// tend does what a store needs now and then.
func (w *network) tend() {
	for _, s := range w.node.opened() {
		s.keep()
		if s.watchers.Load() == 0 {
			s.forgetEvents()
		}
		if w.node.ticks()-s.active.Load() > quietTicks {
			s.merge()
		}
		if w.ctx.Err() != nil {
			return
		}
	}
}

// mergeSteps is how many steps of merging one round of housekeeping does for a store.
const mergeSteps = 16

// merge makes few large blocks of many small ones.
func (s *Store) merge() {
	size := s.log.Len()
	if size == s.merged {
		return // nothing has come since there was nothing to do
	}
	for range mergeSteps {
		more, err := s.log.Merge()
		if err != nil { // a full disk, most likely: appending says so too
			s.node.log.Warn("small blocks of the log could not be merged", logStore, s.Name(), logError, err)
		}
		if err != nil || !more {
			s.merged = size
			return
		}
	}
}

// dropStrangers ends the oldest sessions that share no store, beyond the number kept. Nobody is to blame.
func (w *network) dropStrangers() {
	var strangers []*session
	for _, s := range w.list() {
		select {
		case <-s.settled:
			if len(s.shared()) == 0 && !w.dialer.configured(s.peer) {
				strangers = append(strangers, s)
			}
		default:
			if time.Since(s.began) > openTimeout { // says nothing of itself
				s.fail(errCrowded)
			}
		}
	}
	for len(strangers) > maxStrangers {
		oldest := 0
		for i, s := range strangers {
			if s.began.Before(strangers[oldest].began) {
				oldest = i
			}
		}
		strangers[oldest].fail(errCrowded)
		_ = w.host.Network().ClosePeer(strangers[oldest].peer) // it may be gone already
		strangers = append(strangers[:oldest], strangers[oldest+1:]...)
	}
}
