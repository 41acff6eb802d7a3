//go:build race

package peer

// sizes are the numbers of nodes on the simulated network. The race detector makes libp2p five times as slow.
var sizes = []int{2, 5}
