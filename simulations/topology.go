package simulations

import "math/rand/v2"

// edges returns who is linked to whom in a network of n devices, each pair once, the lower number first. meeting are the devices in the
// middle of a star, or the ferries. island says on which island a device is.
func edges(t Topology, n, degree int, meeting []int, rng *rand.Rand) (pairs [][2]int, island []int) {
	seen := make(map[[2]int]bool)
	add := func(a, b int) {
		p := [2]int{min(a, b), max(a, b)}
		if a != b && !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	switch t {
	case Ring:
		for i := range n {
			add(i, (i+1)%n)
		}
	case Star:
		for _, m := range meeting {
			for i := range n {
				add(i, m)
			}
		}
	case Random:
		graph(rng, all(n), degree, add)
	case Islands:
		isFerry := make([]bool, n)
		for _, m := range meeting {
			isFerry[m] = true
		}
		island = make([]int, n)
		var sides [2][]int
		for i := range n {
			if !isFerry[i] {
				side := 0
				if len(sides[0])*2 >= n-len(meeting) {
					side = 1
				}
				island[i] = side
				sides[side] = append(sides[side], i)
			}
		}
		for _, side := range sides {
			graph(rng, side, degree, add)
		}
		for _, m := range meeting {
			island[m] = -1
			for _, side := range sides {
				for i := 0; i < len(side) && i < max(2, degree); i++ {
					add(m, side[i])
				}
			}
		}
	default:
		for i := range n {
			for j := i + 1; j < n; j++ {
				add(i, j)
			}
		}
	}
	return pairs, island
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// graph links devices at random to about degree others each, all of them to one another in some way.
func graph(rng *rand.Rand, devices []int, degree int, add func(a, b int)) {
	order := append([]int(nil), devices...)
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i := 1; i < len(order); i++ {
		add(order[i], order[rng.IntN(i)])
	}
	for range len(order) * max(0, degree-2) / 2 {
		add(order[rng.IntN(len(order))], order[rng.IntN(len(order))])
	}
}
