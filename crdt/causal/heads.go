package causal

import "slices"

// manyHeads is how many heads it takes for it to matter which of them move.
const manyHeads = 64

// nextHeads returns the heads after an op at lv, above all others, that saw parents, all ascending. It
// writes to the array of heads. Where there are many, its cost is that of finding the parents among them, and of
// moving those on the shorter side.
func nextHeads(heads, parents []LV, lv LV) []LV {
	if n := len(heads); len(parents) == 1 && n > 0 && heads[n-1] == parents[0] {
		heads[n-1] = lv
		return heads
	}
	for _, p := range parents {
		if len(heads) == 0 || p < heads[0] {
			continue // not one of them: as what a crowd starts from
		}
		at, ok := slices.BinarySearch(heads, p)
		switch {
		case !ok:
		case len(heads) > manyHeads && at < len(heads)/2:
			copy(heads[1:], heads[:at])
			heads = heads[1:]
		default:
			heads = slices.Delete(heads, at, at+1)
		}
	}
	return append(heads, lv)
}
