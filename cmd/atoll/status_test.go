package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is not as it should be is said, and names are short for people.
func TestStatusText(t *testing.T) {
	actor := strings.Repeat("3fa91c02", 8) + "81d0000000000000"
	ours, theirs := tip{actor + ":17", "00112233aabb"}, tip{actor + ":17", "44556677aabb"}
	device := strings.Repeat("7c6e", 16)
	st := storeStatus{
		storeListing: storeListing{Name: "s", Outbox: 5, Error: "its log is damaged"},
		Problem:      "no peer speaks its version",
		Void:         2, Unknown: 1, Opaque: []string{"todos"}, Pending: 3,
		Deliveries: []delivery{{Device: device, Connected: true}, {Device: device, Changes: 4}},
		Skewed:     []skewStatus{{actor, device, 3 * 3600 * 1000}, {actor, device, 365 * 86400 * 1000}},
		Diverged:   []divergedStatus{{"notes", device, "", ""}},
		Forks:      []forkStatus{{actor, ours, theirs, device, true}, {Actor: actor, Ours: ours, Theirs: theirs}},
	}
	var b bytes.Buffer
	st.write(&b, style{})
	for _, want := range []string{
		"outbox: 5 ops",
		"device 7c6e7c6e (connected) holds all changes of this device",
		"device 7c6e7c6e (away) is not known to hold 4 changes of this device",
		"waiting for what they build on: 3",
		"2 ops void: kept, without effect (1 of kinds this version does not know)",
		"neither shown nor writable here: todos",
		"the clock of device 7c6e7c6e is 3h0m0s ahead of this one",
		"the clock of device 7c6e7c6e is 365 days ahead of this one",
		"BUG: slice notes is another at device 7c6e7c6e, which holds the same changes",
		"FORK: 3fa91c02.81d0 wrote 3fa91c02.81d0:17#00112233 and 3fa91c02.81d0:17#44556677, proven by its own signatures, shown by 7c6e7c6e",
		"as claimed by a device no longer known",
		"no peer speaks its version",
		"its log is damaged",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, b.String())
		}
	}
}
