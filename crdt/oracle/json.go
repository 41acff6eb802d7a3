package oracle

import "github.com/atollsync/atoll/crdt"

// JSON returns what s shows as a JSON object, slices and keys sorted.
func (s *Store) JSON() string { return string(s.Root.AppendJSON(nil)) }

// AppendJSON appends e's value to buf: a Register its latest value, a Counter a number, a Text a
// string, sets and Lists arrays, Maps objects. An element where nothing stands is null.
func (e *Entry) AppendJSON(buf []byte) []byte {
	switch e.Kind {
	case crdt.Register:
		if len(e.Writes) == 0 {
			return append(buf, "null"...)
		}
		return e.Writes[0].Value.AppendJSON(buf)
	case crdt.Counter:
		return crdt.IntValue(e.Sum).AppendJSON(buf)
	case crdt.Text:
		return appendString(buf, e.Text)
	case crdt.Set, crdt.RemoveWinsSet:
		buf = append(buf, '[')
		for i, v := range e.Set {
			buf = v.AppendJSON(comma(buf, i))
		}
		return append(buf, ']')
	case crdt.List:
		buf = append(buf, '[')
		for i, p := range e.Places {
			buf = p.AppendJSON(comma(buf, i))
		}
		return append(buf, ']')
	default: // Map, DeleteWinsMap
		buf = append(buf, '{')
		for i, p := range e.Places {
			buf = append(appendString(comma(buf, i), p.Key), ':')
			buf = p.AppendJSON(buf)
		}
		return append(buf, '}')
	}
}

// AppendJSON appends what is shown at p, null if nothing stands.
func (p *Place) AppendJSON(buf []byte) []byte {
	if len(p.Standing) == 0 {
		return append(buf, "null"...)
	}
	return p.Shown().AppendJSON(buf)
}

func comma(buf []byte, i int) []byte {
	if i > 0 {
		buf = append(buf, ',')
	}
	return buf
}

func appendString(buf []byte, s string) []byte {
	v, err := crdt.StringValue(s)
	if err != nil { // every key and text of an op that is not void is valid UTF-8
		panic("oracle: " + err.Error())
	}
	return v.AppendJSON(buf)
}
