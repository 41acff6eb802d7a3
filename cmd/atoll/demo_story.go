package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
)

// The devices of the demo, as indexes.
const (
	laptop = iota
	phone
	tablet
	deviceCount
)

var deviceNames = [deviceCount]string{"laptop", "phone", "tablet"}

// scene is one slice of the demo's store: how it begins, what each device does to it
// while it is alone, and what must come of it.
type scene struct {
	slice string
	kind  crdt.Kind
	begin func(*crdt.Tx)
	moves []move
	// end returns the value that must stand once all have met, and why.
	end func(cast) (want any, why string)
}

// move is one change by one device.
type move struct {
	device int
	says   string
	do     func(*crdt.Tx)
}

// cast is what an outcome may depend on: who wrote what when.
type cast struct {
	actors [deviceCount]crdt.Actor
	// last are the scene's last changes, by device.
	last [deviceCount]peerChange
}

// peerChange is a change as the log has it.
type peerChange struct {
	dot       crdt.Dot
	time      int64
	effective crdt.EffectiveTime
}

// latest returns the device whose last change of the scene is later than the others'.
func (c cast) latest() int {
	winner := 0
	for d := range c.last {
		a, b := c.last[d], c.last[winner]
		if a.effective > b.effective || a.effective == b.effective && a.dot.Compare(b.dot) > 0 {
			winner = d
		}
	}
	return winner
}

// inOrder returns two devices by ascending actor.
func (c cast) inOrder(a, b int) (int, int) {
	if c.actors[b].Compare(c.actors[a]) < 0 {
		return b, a
	}
	return a, b
}

// scenes are the slices of the store, with a conflict of each kind.
func scenes() []scene {
	titles := [deviceCount]string{"Trip to Rome", "Rome and Naples", "Italy by train"}
	packed := [deviceCount][]string{laptop: {"socks", "shirts"}, phone: {"sunscreen", "hat"}}
	noted := [deviceCount]string{laptop: " Bring water.", phone: " Bring cash."}
	const flight = "We fly at nine."
	all := []scene{
		{
			slice: "title", kind: crdt.Register,
			begin: func(tx *crdt.Tx) { tx.Register("title").Put("Trip") },
			moves: []move{
				{laptop, fmt.Sprintf("put %q", titles[laptop]), func(tx *crdt.Tx) { tx.Register("title").Put(titles[laptop]) }},
				{phone, fmt.Sprintf("put %q", titles[phone]), func(tx *crdt.Tx) { tx.Register("title").Put(titles[phone]) }},
				{tablet, fmt.Sprintf("put %q", titles[tablet]), func(tx *crdt.Tx) { tx.Register("title").Put(titles[tablet]) }},
			},
			end: func(c cast) (any, string) {
				w := c.latest()
				return titles[w], fmt.Sprintf("a register shows its latest write, the %s's (%s); the other two are kept as conflicts",
					deviceNames[w], strings.Fields(clock(c.last[w].time))[1])
			},
		},
		{
			slice: "budget", kind: crdt.Counter,
			begin: func(tx *crdt.Tx) { tx.Counter("budget").Add(100) },
			moves: []move{
				{laptop, "add 20", func(tx *crdt.Tx) { tx.Counter("budget").Add(20) }},
				{phone, "add -35", func(tx *crdt.Tx) { tx.Counter("budget").Add(-35) }},
				{tablet, "add 5", func(tx *crdt.Tx) { tx.Counter("budget").Add(5) }},
			},
			end: func(cast) (any, string) { return 90, "a counter is the sum of all that was added: 100 + 20 - 35 + 5" },
		},
		{
			slice: "tags", kind: crdt.Set,
			begin: func(tx *crdt.Tx) { tx.Set("tags").Add("food", "museums") },
			moves: []move{
				{laptop, `remove "museums"`, func(tx *crdt.Tx) { tx.Set("tags").Remove("museums") }},
				{phone, `add "museums" again`, func(tx *crdt.Tx) { tx.Set("tags").Add("museums") }},
				{tablet, `add "hiking"`, func(tx *crdt.Tx) { tx.Set("tags").Add("hiking") }},
			},
			end: func(cast) (any, string) {
				return []string{"food", "hiking", "museums"}, "in a set a remove affects only adds it saw, and the laptop had not seen the phone's"
			},
		},
		{
			slice: "guests", kind: crdt.RemoveWinsSet,
			begin: func(tx *crdt.Tx) { tx.RemoveWinsSet("guests").Add("ana", "bo") },
			moves: []move{
				{laptop, `remove "bo"`, func(tx *crdt.Tx) { tx.RemoveWinsSet("guests").Remove("bo") }},
				{phone, `add "bo" again`, func(tx *crdt.Tx) { tx.RemoveWinsSet("guests").Add("bo") }},
				{tablet, `add "cy"`, func(tx *crdt.Tx) { tx.RemoveWinsSet("guests").Add("cy") }},
			},
			end: func(cast) (any, string) {
				return []string{"ana", "cy"}, "in a remove-wins set an add must have seen every remove, and the phone's had not seen the laptop's"
			},
		},
		{
			slice: "todos", kind: crdt.Map,
			begin: func(tx *crdt.Tx) {
				for _, todo := range [][2]string{{"tickets", "Buy tickets"}, {"hotel", "Book a hotel"}} {
					m := tx.Map("todos").Map(todo[0])
					m.Put("title", todo[1])
					m.Put("done", false)
				}
			},
			moves: []move{
				{laptop, "delete tickets", func(tx *crdt.Tx) { tx.Map("todos").Delete("tickets") }},
				{phone, "put tickets/done true", func(tx *crdt.Tx) { tx.Map("todos").Map("tickets").Put("done", true) }},
				{tablet, "delete hotel", func(tx *crdt.Tx) { tx.Map("todos").Delete("hotel") }},
			},
			end: func(cast) (any, string) {
				return map[string]any{"tickets": map[string]any{"title": "Buy tickets", "done": true}},
					"in a map an edit beats a delete that had not seen it, and brings back the whole entry, title and all; nobody edited the hotel"
			},
		},
		{
			slice: "bookings", kind: crdt.DeleteWinsMap,
			begin: func(tx *crdt.Tx) {
				tx.DeleteWinsMap("bookings").Map("train").Put("seat", "12A")
			},
			moves: []move{
				{laptop, "delete train", func(tx *crdt.Tx) { tx.DeleteWinsMap("bookings").Delete("train") }},
				{phone, `put train/seat "14B"`, func(tx *crdt.Tx) { tx.DeleteWinsMap("bookings").Map("train").Put("seat", "14B") }},
				{tablet, `put bus/seat "3"`, func(tx *crdt.Tx) { tx.DeleteWinsMap("bookings").Map("bus").Put("seat", "3") }},
			},
			end: func(cast) (any, string) {
				return map[string]any{"bus": map[string]any{"seat": "3"}},
					"in a delete-wins map an entry stands only by writes that had seen the delete, and the phone's had not"
			},
		},
		{
			slice: "packing", kind: crdt.List,
			begin: func(tx *crdt.Tx) { tx.List("packing").Insert(0, "passport", "charger") },
			moves: []move{
				{laptop, `insert "socks", "shirts" at 2`, func(tx *crdt.Tx) { tx.List("packing").Insert(2, "socks", "shirts") }},
				{laptop, `set 1 to "USB charger"`, func(tx *crdt.Tx) { tx.List("packing").Set(1, "USB charger") }},
				{phone, `insert "sunscreen", "hat" at 2`, func(tx *crdt.Tx) { tx.List("packing").Insert(2, "sunscreen", "hat") }},
				{tablet, "delete 1", func(tx *crdt.Tx) { tx.List("packing").Delete(1, 1) }},
			},
			end: func(c cast) (any, string) {
				a, b := c.inOrder(laptop, phone)
				return slices.Concat([]string{"passport"}, packed[a], packed[b]),
					fmt.Sprintf("runs inserted at one place never mix: the %s's comes first, since its actor is the smaller; in a list a delete beats a set", deviceNames[a])
			},
		},
		{
			slice: "notes", kind: crdt.Text,
			begin: func(tx *crdt.Tx) { tx.Text("notes").Insert(0, flight) },
			moves: []move{
				{laptop, fmt.Sprintf("insert %q at %d", noted[laptop], len(flight)), func(tx *crdt.Tx) { tx.Text("notes").Insert(len(flight), noted[laptop]) }},
				{phone, fmt.Sprintf("insert %q at %d", noted[phone], len(flight)), func(tx *crdt.Tx) { tx.Text("notes").Insert(len(flight), noted[phone]) }},
				{tablet, `"nine" becomes "eight"`, func(tx *crdt.Tx) {
					at := strings.Index(flight, "nine")
					tx.Text("notes").Delete(at, len("nine"))
					tx.Text("notes").Insert(at, "eight")
				}},
			},
			end: func(c cast) (any, string) {
				a, b := c.inOrder(laptop, phone)
				return strings.Replace(flight, "nine", "eight", 1) + noted[a] + noted[b],
					fmt.Sprintf("edits of different places both stand; of the two at the end, the %s's comes first, since its actor is the smaller", deviceNames[a])
			},
		},
	}
	return all
}

// canonicalJSON returns v as the engine writes it: keys sorted, no spaces.
func canonicalJSON(v any) (string, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	value, err := crdt.ParseJSON(doc)
	if err != nil {
		return "", err
	}
	return string(value.AppendJSON(nil)), nil
}
