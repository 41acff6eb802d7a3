package model

// Suite names a list of bounds.
type Suite []Named

// Named is bounds and what they are for.
type Named struct {
	Name   string
	Bounds Bounds
}

// Usual is explored by every test run: some seconds each.
func Usual() Suite {
	return Suite{
		{"two devices, three changes, one message lost, doubled and overtaken", Bounds{Quota: []int{2, 1}, Crashes: true, Cuts: true, Group: true, Drops: 1, Doubles: 1, Overtakings: 1}},
		{"one writes four, a change to a message", Bounds{Quota: []int{4, 0}, Crashes: true, Cuts: true, Split: true, Queue: 4, Drops: 1, Doubles: 1, Overtakings: 1}},
		{"hasty timers", Bounds{Quota: []int{1, 1}, Crashes: true, Cuts: true, Pace: Hasty, Group: true}},
		{"impatient", Bounds{Quota: []int{2, 1}, Crashes: true, Cuts: true, Impatient: true, Drops: 1}},
		{"a lost disk", Bounds{Quota: []int{2, 2}, Crashes: true, Cuts: true, Wipe: true}},
		{"three devices, four changes, two meet at a time", Bounds{Quota: []int{2, 1, 1}, Crashes: true, Cuts: true, Links: 1, Drops: 1}},
		{"three devices, two changes, two streams", Bounds{Quota: []int{1, 1, 0}, Crashes: true, Cuts: true, Links: 2}},
		{"three devices, two changes, three streams, slow timers", Bounds{Quota: []int{1, 1, 0}, Crashes: true, Cuts: true, Pace: Calm}},
	}
}

// Full takes some minutes and two gigabytes: every way in which three devices can share four changes, with any two streams open at
// once, or three changes with all three; and more faults.
func Full() Suite {
	two := Bounds{Crashes: true, Cuts: true, Pace: Calm, Links: 2}
	three := Bounds{Crashes: true, Cuts: true, Pace: Calm}
	all := Bounds{Crashes: true, Cuts: true, Links: 1, Drops: 1, Doubles: 1, Overtakings: 1}
	with := func(b Bounds, quota ...int) Bounds { b.Quota = quota; return b }
	return Suite{
		{"three devices, four changes 4-0-0, two streams, slow timers", with(two, 4, 0, 0)},
		{"three devices, four changes 3-1-0, two streams, slow timers", with(two, 3, 1, 0)},
		{"three devices, four changes 2-2-0, two streams, slow timers", with(two, 2, 2, 0)},
		{"three devices, four changes 2-1-1, two streams, slow timers", with(two, 2, 1, 1)},
		{"three devices, four changes 4-0-0, three streams, slow timers", with(three, 4, 0, 0)},
		{"three devices, three changes 3-0-0, three streams, slow timers", with(three, 3, 0, 0)},
		{"three devices, three changes 2-1-0, three streams, slow timers", with(three, 2, 1, 0)},
		{"three devices, three changes 1-1-1, three streams, slow timers", with(three, 1, 1, 1)},
		{"three devices, four changes, two meet at a time, all faults", with(all, 2, 1, 1)},
		{"three devices, four changes, two meet at a time, a lost disk", Bounds{Quota: []int{2, 1, 1}, Crashes: true, Cuts: true, Links: 1, Wipe: true}},
		{"two devices, four changes, hasty timers", Bounds{Quota: []int{2, 2}, Crashes: true, Cuts: true, Pace: Hasty}},
		{"two devices, four changes, all faults", Bounds{Quota: []int{2, 2}, Crashes: true, Cuts: true, Group: true, Drops: 1, Doubles: 1, Overtakings: 1}},
	}
}
