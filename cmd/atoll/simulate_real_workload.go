package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// realKinds name what the devices write: each kind of slice, and each op on it.
var realKinds = []string{"put in a register", "add to a counter", "add to a set", "remove from a set", "add to an rwset", "remove from an rwset",
	"put in a map", "delete from a map", "put in a dwmap", "delete from a dwmap", "insert in a list", "delete from a list", "set in a list", "move in a list",
	"insert in a text", "delete from a text", "mark a text", "unmark a text", "undo"}

// realContainers makes what cannot be told from an op alone.
func realContainers() []edit {
	value := func(text string) []json.RawMessage { return []json.RawMessage{json.RawMessage(text)} }
	end := -1
	return []edit{
		{Do: "put", Path: "drafts", Kind: "dwmap", Values: value(`{"first":1}`)},
		{Do: "insert", Path: "steps", Kind: "list", Index: &end, Values: value(`"first"`)},
		{Do: "insert", Path: "notes", Kind: "text", Index: &end, Values: value(`"In the beginning "`)},
	}
}

// randomEdit draws the n-th edit of a device and says what kind it is. Some do not fit what stands there.
func randomEdit(rng *rand.Rand, device string, n int) (string, edit) {
	kind := realKinds[rng.IntN(len(realKinds))]
	if kind == "undo" && rng.IntN(4) != 0 {
		kind = "put in a register" // finding what to undo reads the log
	}
	key := strconv.Itoa(rng.IntN(5))
	at := rng.IntN(4)
	word := fmt.Sprintf("%s%d ", device, n)
	e := edit{Index: &at}
	quoted := func(s string) []json.RawMessage {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string
		}
		return []json.RawMessage{b}
	}
	number := []json.RawMessage{json.RawMessage(strconv.Itoa(n))}
	switch kind {
	case "put in a register":
		e = edit{Do: "put", Path: "title", Values: quoted(word)}
	case "add to a counter":
		e = edit{Do: "add", Path: "visits", Kind: "counter", Values: []json.RawMessage{json.RawMessage(strconv.Itoa(rng.IntN(9) - 3))}}
	case "add to a set":
		e = edit{Do: "add", Path: "tags", Kind: "set", Values: quoted(key)}
	case "remove from a set":
		e = edit{Do: "remove", Path: "tags", Kind: "set", Values: quoted(key)}
	case "add to an rwset":
		e = edit{Do: "add", Path: "members", Kind: "rwset", Values: quoted(key)}
	case "remove from an rwset":
		e = edit{Do: "remove", Path: "members", Kind: "rwset", Values: quoted(key)}
	case "put in a map":
		e = edit{Do: "put", Path: "todos/" + key + "/" + device, Values: number}
	case "delete from a map":
		e = edit{Do: "delete", Path: "todos/" + key}
	case "put in a dwmap":
		e = edit{Do: "put", Path: "drafts/" + key, Values: number}
	case "delete from a dwmap":
		e = edit{Do: "delete", Path: "drafts/" + key}
	case "insert in a list":
		e.Do, e.Path, e.Kind, e.Values = "insert", "steps", "list", quoted(word)
	case "delete from a list":
		e.Do, e.Path, e.Count = "delete", "steps", 1
	case "set in a list":
		e = edit{Do: "put", Path: "steps/" + strconv.Itoa(at), Values: quoted(word)}
	case "move in a list":
		e.Do, e.Path = "move", "steps/"+key
	case "insert in a text":
		e.Do, e.Path, e.Kind, e.Values = "insert", "notes", "text", quoted(word)
	case "delete from a text":
		e.Do, e.Path, e.Count = "delete", "notes", 1+rng.IntN(3)
	case "mark a text", "unmark a text":
		to := at + 1 + rng.IntN(8)
		e.To, e.Path, e.Name = &to, "notes", []string{"bold", "italic"}[rng.IntN(2)]
		e.Do, e.Growth = "unmark", uint8(growthOf(e.Name))
		if kind == "mark a text" {
			e.Do, e.Values = "mark", []json.RawMessage{json.RawMessage("true")}
		}
	case "undo":
		e = edit{Do: "undo"}
	}
	return kind, e
}

// commandOf returns the command line that makes an edit.
func commandOf(e edit) []string {
	place := func(i *int) string {
		if *i < 0 {
			return "end"
		}
		return strconv.Itoa(*i)
	}
	if e.Do == "undo" {
		return []string{"undo", realStore}
	}
	args := []string{e.Do, realStore, e.Path}
	switch e.Do {
	case "insert", "move":
		args = append(args, place(e.Index))
	case "delete":
		if e.Index != nil {
			args = append(args, place(e.Index), strconv.Itoa(e.Count))
		}
	case "mark", "unmark":
		args = append(args, place(e.Index), place(e.To), e.Name)
	}
	if e.Do != "mark" {
		for _, v := range e.Values {
			args = append(args, string(v))
		}
	}
	if e.Kind != "" {
		args = append(args, "--kind", e.Kind)
	}
	return args
}
