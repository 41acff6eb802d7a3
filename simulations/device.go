package simulations

import "github.com/atollsync/atoll/crdt"

// Device is one device of a simulation.
type Device struct{ shown *crdt.State }

// View returns what the device shows, for reading.
func (d *Device) View() *crdt.State { return d.shown }
