// Package model is the anti-entropy exchange of peer/replica reduced to sets of changes, small enough that every
// interleaving can be looked at.
//
// A State holds, for up to three devices and four changes, what is durable where, what waits for what it builds on, what
// each end of each stream thinks, and the messages on their way. Explore visits every state that can be reached, breadth
// first, and checks in each of them, and for each step between them, what DESIGN and the package comment of peer/replica
// promise:
//
//   - nothing leaves a device before it is durable there, be it a change or word of one;
//   - no dot is issued twice;
//   - nothing that was acknowledged to its author, or that another device holds, is lost by its author;
//   - what a device said it holds, it holds, and so does what others know of it;
//   - nothing waits for what is held;
//   - there is no deadlock, and from every state, however it was come by, the devices can still come to agree without
//     any further fault. Since what is durable only grows without faults, every terminal strongly connected component of
//     the graph of fault-free steps is then one in which all devices agree, and a fair schedule ends there.
//
// # What a step is
//
// A device takes in a message, or commits, and is then busy: it makes durable what is new (fsync) and only then sends what
// is due, as the driver of a replica does with each Ready. Meanwhile it may take in more, commit more, or crash, and
// nobody else moves. That leaves nothing out: what a busy device does is seen by no other before it sends.
//
// Streams keep their order and lose what is under way when they break. Each end notices that for itself; what had been sent to an end
// that has not noticed still arrives, even after the sender crashed. A device that crashes loses what was not durable and all it
// knew of others, and is up again at once: a device that is down is one that does nothing. Any number of crashes and broken
// streams is allowed; messages lost, doubled or overtaken within a stream that lives, and disks lost, are bounded by Bounds.
//
// Timers are steps that may be taken at any time, but for those that compare digests: they wait, unless Bounds.Early says otherwise,
// until nothing is on its way between the two.
//
// # What is left out
//
// Gossip, delivery records, forks, how a Have is abbreviated against a summary both share (it names the same set), credit in bytes
// (a stream holds Bounds.Queue messages, and changes wait for room), pacing, and that a digest equal to what its receiver said a moment
// ago stands for that. A change is one op, and depends on all its author held.
//
// # That it is a model of the code
//
// TestConformance lets real replicas do all this at random, and has the model follow: same messages, same changes held, durable and
// waiting after each step.
package model
