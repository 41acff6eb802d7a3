// Package simulations runs whole networks of replicas in one process, to know what an application's state does under partitions
// before its users do.
//
// The replicas are those that ship (package replica). Around each stands a device with a virtual disk and a clock of its own; between them a
// virtual network loses, delays, doubles and cuts as a Scenario says. Time is virtual: one goroutine takes one
// event after the other from a queue that is ordered by (time, number), and everything random is drawn from one seed. The same seed
// and the same binary give the same trace, to the byte.
//
// A Scenario is a YAML file (see ParseScenario) or a few lines of Go in a test (see Run). Every run checks, always: equal
// versions mean equal state, the state is what the oracle says, nothing acknowledged is lost, watchers see each change once
// and in causal order, memory stays bounded, honest devices converge when all is healed, and each
// fault that was asked for happened. What fails is made smaller (see Shrink) and written out as a scenario that still fails.
//
// Nothing here is safe for concurrent use, and nothing starts a goroutine or reads a clock.
package simulations
