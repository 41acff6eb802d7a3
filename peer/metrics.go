package peer

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atollsync/atoll/crdt"
)

// metrics are the node's Prometheus collectors. They count whether or not anybody asked for them.
type metrics struct {
	registry   prometheus.Registerer // nil: nobody asked
	registered []prometheus.Collector

	updates       prometheus.Counter
	changes       *prometheus.CounterVec // by origin
	own, foreign  prometheus.Counter     // of changes
	renewals      prometheus.Counter
	appends       prometheus.Histogram // seconds
	sessions      prometheus.Gauge
	topics        prometheus.Gauge
	received      prometheus.Counter // bytes
	sent          prometheus.Counter
	framesIn      prometheus.Counter
	framesOut     prometheus.Counter
	diverged      prometheus.Counter
	refused       prometheus.Counter
	violations    prometheus.Counter
	bans          prometheus.Counter
	dials         prometheus.Counter
	dialsFailed   prometheus.Counter
	gossipIn      prometheus.Counter
	gossipOut     prometheus.Counter
	gossipRefused prometheus.Counter
	gossipLost    prometheus.Counter
}

// newMetrics makes n's collectors and registers them if registry is not nil.
func newMetrics(registry prometheus.Registerer, n *Node) (*metrics, error) {
	m := &metrics{registry: registry}
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "atoll", Name: name, Help: help})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "atoll", Name: name, Help: help})
		all = append(all, g)
		return g
	}
	m.updates = counter("updates_total", "Calls of Update that made a change.")
	m.renewals = counter("renewed_actors_total", "Times this device went on as a new actor since somebody else held more of its log, or another one.")
	m.changes = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "atoll", Name: "changes_total", Help: "Changes made durable, by origin."}, []string{"origin"})
	m.own, m.foreign = m.changes.WithLabelValues("own"), m.changes.WithLabelValues("peer")
	m.appends = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "atoll", Name: "append_seconds",
		Help: "Duration of writes to the log, until durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)})
	all = append(all, m.changes, m.appends)
	m.sessions = gauge("sessions", "Streams to other nodes.")
	m.topics = gauge("gossip_topics", "Stores that have a gossip topic.")
	m.received = counter("received_bytes_total", "Bytes read from the streams between nodes.")
	m.sent = counter("sent_bytes_total", "Bytes written to the streams between nodes.")
	m.framesIn = counter("received_frames_total", "Frames read from the streams between nodes.")
	m.framesOut = counter("sent_frames_total", "Frames written to the streams between nodes.")
	m.diverged = counter("diverged_slices_total", "Slices that a peer with the same changes was found to show otherwise: bugs.")
	m.refused = counter("refused_messages_total", "Messages of peers that a replica refused.")
	m.bans = counter("bans_total", "Times a peer was cut off for a while since it broke the protocol again and again.")
	m.violations = counter("violations_total", "Sessions ended because the peer broke the protocol.")
	m.dials = counter("dials_total", "Attempts to reach a peer.")
	m.dialsFailed = counter("failed_dials_total", "Attempts to reach a peer that failed.")
	m.gossipIn = counter("gossip_received_total", "Gossiped messages taken in.")
	m.gossipOut = counter("gossip_sent_total", "Messages gossiped.")
	m.gossipRefused = counter("gossip_refused_total", "Gossiped messages that did not open or were malformed.")
	m.gossipLost = counter("gossip_lost_total", "Announcements dropped before they were gossiped.")
	all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "atoll", Name: "stores", Help: "Stores on this device."}, func() float64 {
		n.mu.Lock()
		defer n.mu.Unlock()
		return float64(len(n.entries))
	}))
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range all {
		if err := registry.Register(c); err != nil {
			errs = append(errs, err)
			continue
		}
		m.registered = append(m.registered, c)
	}
	if len(errs) > 0 {
		m.close()
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// close takes the collectors out of the registry.
func (m *metrics) close() {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
	m.registered = nil
}

func (m *metrics) appended(d time.Duration) { m.appends.Observe(d.Seconds()) }

func (m *metrics) shown(device crdt.Device, e crdt.Event) {
	for _, c := range e.Changes {
		if c.Actor.Device == device {
			m.own.Inc()
		} else {
			m.foreign.Inc()
		}
	}
}
