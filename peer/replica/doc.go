// Package replica is one replica's protocol as a pure state machine: how a copy of a
// store takes in local commits and peers' messages, and what it then wants written, sent
// and shown.
//
// It has no goroutine, clock, randomness, I/O, logger, context or lock. Time is a number in
// milliseconds that the caller passes in; output is a value, Ready, whose comments say what
// must be durable before what may leave. So the same code runs in the node (package peer), in a simulation of a
// thousand devices in one process, and in a test that replays a bug from its seed. The
// shape is that of etcd raft: Step, Tick and Commit in; Ready out; Advance when done.
//
//	r, err := replica.New(cfg)        // then Restore every block of the log
//	r.Connect(peer, now)              // a stream to a peer opened
//	r.Step(peer, message, now)        // one of its messages came in
//	r.Commit(now, func(tx *crdt.Tx) error { ... })
//	r.Tick(now)                       // about ten times a second
//	for r.HasReady() {
//		rd := r.Ready()
//		log.Append(rd.Blocks...)      // durable first,
//		show(rd.Events)               // then everything else
//		send(rd.Messages)
//		r.Advance()
//	}
//
// # The exchange
//
// Two replicas that meet each send a Have at once: every tip (actor, seq, hash) they hold, or only
// what differs from a summary both are known to share. Each sends the other what it lacks,
// in Changes, and acknowledges what it got, in Ack, once that is durable. So catching up takes one
// round trip and the transfer, whatever the depth of the history. Afterwards own changes
// are pushed as they are made, others' changes are forwarded on a later Tick to peers not known to
// hold them, and digests are compared now and then.
//
// Every message may be lost, doubled, delayed or overtaken. All repair goes one way: a Digest that
// differs is answered by a Have, and a Have says what to send from there on. What to send is decided
// by what the peer says now, never by what it once had; what was kept about it only makes the summary
// short.
//
// # What a peer can cost
//
// Everything a peer can make a replica hold is bounded by Limits and by the limits in message.go: batches that wait
// for what they depend on, bytes sent and not acknowledged, summaries, delivery records,
// evidence of forks.
package replica
