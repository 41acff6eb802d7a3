package simulations

// Device is one device of a simulation.
type Device struct{}
