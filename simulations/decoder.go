package simulations

import "github.com/atollsync/atoll/crdt"

// decoder decodes batches, each once for all devices, or a few times: it remembers those that were asked for lately. What it gives is shared and must
// not be written to. The zero value remembers none.
type decoder struct {
	young, old map[encoded]*crdt.Batch
	changes    int // in young
}

// encoded are bytes, by where they are.
type encoded struct {
	first *byte
	len   int
}

// maxDecoded is up to how many changes what was asked for lately has, and again what was asked for before that.
const maxDecoded = 1 << 16

func (d *decoder) decode(b []byte) (*crdt.Batch, error) {
	if len(b) == 0 {
		return crdt.DecodeBatch(b)
	}
	key := encoded{&b[0], len(b)}
	if got := d.young[key]; got != nil {
		return got, nil
	}
	got := d.old[key]
	if got == nil {
		var err error
		if got, err = crdt.DecodeBatch(b); err != nil {
			return nil, err
		}
	}
	if d.changes += got.Len(); d.changes > maxDecoded || d.young == nil {
		d.young, d.old, d.changes = make(map[encoded]*crdt.Batch), d.young, got.Len()
	}
	d.young[key] = got
	return got, nil
}
