package crdt

// Rest makes s take less memory for as long as nothing is written: texts take little more than their bytes, and what
// lists and texts keep in order to go on merging is let go of. The next ops build again what they need. What s shows is
// as before, and so is all that it will show. Its cost is that of what s holds, and during a transaction it does nothing.
func (s *State) Rest() {
	if !s.writing {
		s.root.rest()
	}
}

func (c *mapContent) rest() {
	for _, p := range c.places {
		p.rest()
	}
}

func (c *listContent) rest() {
	c.ops.Rest()
	for _, p := range c.places {
		p.rest()
	}
}

func (c *textContent) rest() {
	c.ops.Rest()
	c.rope.Compact()
}

func (p *place) rest() {
	for _, e := range p.entries {
		if c, ok := e.content.(interface{ rest() }); ok {
			c.rest()
		}
	}
}
