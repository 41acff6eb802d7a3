//go:build !race

package peer

// sizes are the numbers of nodes on the simulated network.
var sizes = []int{2, 5, 10, 20}
