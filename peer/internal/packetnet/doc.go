// Package packetnet is a packet network in memory, on which real libp2p hosts speak QUIC: what stands in for the internet
// when the shipped node is tested in virtual time (testing/synctest).
//
// A [Network] joins hosts, each an IP address. Every ordered pair of hosts has a [Link] of its own, with latency, jitter,
// loss and bandwidth, and may be cut: silently, as a pulled cable somewhere in between does it, or so that senders are told.
// [Network.Stats] counts what became of the packets, so that a test can insist that the faults it asked for were seen to happen.
//
// The network starts no goroutine: a packet waits in the queue of the socket it goes to until it is due, and the
// reader waits out the rest. All waiting is on timers and channels, so a bubble of synctest can move its clock on.
//
// The same seed draws the same losses and delays for the same packets in the same order. libp2p, QUIC and the scheduler do not
// send the same packets in the same order twice, so a seed makes a run likely, not certain, to go the same way.
package packetnet
