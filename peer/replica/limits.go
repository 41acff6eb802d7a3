package replica

import "errors"

// Limits bounds what peers can cost a replica, and paces the exchange. Zero fields mean the
// default. Times are in milliseconds of the caller's clock.
type Limits struct {
	// Window is how many bytes of Changes may be on their way to one peer without an
	// Ack (default 8 MiB): it bounds what a slow reader makes this replica's driver queue. It is overrun by at most one batch.
	Window int
	// MaxInFlight is the same as a number of messages (default 1024).
	MaxInFlight int
	// PendingBytes and PendingBatches bound the batches kept, unverified, until what they
	// depend on arrives (defaults 32 MiB and 4096). The oldest go first.
	PendingBytes   int
	PendingBatches int
	// MaxPeers is of how many peers that are not connected something is remembered (default 1024).
	// Forgetting costs a longer Have at the next meeting, nothing else.
	MaxPeers int
	// MaxRecords is of how many devices a delivery record is kept (default 1024).
	MaxRecords int
	// MaxForks is how many forks are reported (default 64).
	MaxForks int
	// AnnounceBytes is the largest batch that is gossiped whole (default 128 KiB); of a
	// larger one only the heads are announced.
	AnnounceBytes int
	// RetryInterval is how long a peer may stay silent about what was sent to it before it is asked
	// what it has (default 2,000). It doubles with each attempt in vain, up to MaxRetryInterval (default 60,000).
	RetryInterval    int64
	MaxRetryInterval int64
	// DigestInterval is the time between two comparisons of digests with a peer (default 10,000); while nothing comes it
	// grows up to MaxDigestInterval (default 600,000). SettleInterval is that from the last change to the first comparison (default 1,000).
	DigestInterval    int64
	MaxDigestInterval int64
	SettleInterval    int64
	// StateInterval is how long nothing must have changed before states are compared with a peer (default 15,000).
	StateInterval int64
	// RecordInterval is the least time between two delivery records of this device (default
	// 1,000); it is stretched in stores of many devices and actors, where records are many and large.
	RecordInterval int64
	// RestAfter is how long a replica may have taken in nothing before its state and chains go to rest (default 30,000): long enough that
	// what merging needs is not built again and again between two who write to each other.
	RestAfter int64
	// MaxSkew is how far ahead of the local clock a change may be before its author is listed as
	// skewed in Status (default 60,000). No change is refused for its clock.
	MaxSkew int64
}

func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	fill := func(name string, v *int, def int) {
		if *v < 0 {
			errs = append(errs, errors.New("replica: Limits."+name+" is negative"))
		}
		if *v == 0 {
			*v = def
		}
	}
	fill64 := func(name string, v *int64, def int64) {
		if *v < 0 {
			errs = append(errs, errors.New("replica: Limits."+name+" is negative"))
		}
		if *v == 0 {
			*v = def
		}
	}
	fill("Window", &l.Window, 8<<20)
	fill("MaxInFlight", &l.MaxInFlight, 1024)
	fill("PendingBytes", &l.PendingBytes, 32<<20)
	fill("PendingBatches", &l.PendingBatches, 4096)
	fill("MaxPeers", &l.MaxPeers, 1024)
	fill("MaxRecords", &l.MaxRecords, 1024)
	fill("MaxForks", &l.MaxForks, 64)
	fill("AnnounceBytes", &l.AnnounceBytes, 128<<10)
	fill64("RetryInterval", &l.RetryInterval, 2_000)
	fill64("MaxRetryInterval", &l.MaxRetryInterval, 60_000)
	fill64("DigestInterval", &l.DigestInterval, 10_000)
	fill64("MaxDigestInterval", &l.MaxDigestInterval, 600_000)
	fill64("SettleInterval", &l.SettleInterval, 1_000)
	fill64("StateInterval", &l.StateInterval, 15_000)
	fill64("RecordInterval", &l.RecordInterval, 1_000)
	fill64("RestAfter", &l.RestAfter, 30_000)
	fill64("MaxSkew", &l.MaxSkew, 60_000)
	l.MaxRetryInterval = max(l.MaxRetryInterval, l.RetryInterval)
	l.MaxDigestInterval = max(l.MaxDigestInterval, l.DigestInterval)
	return l, errors.Join(errs...)
}
