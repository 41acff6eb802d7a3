package sequence

import (
	"fmt"
	"unicode/utf8"
)

// Check returns an error if r breaks an invariant.
func (r *Rope) Check() error {
	if r.root == (ropeLink{}) {
		if r.height != 0 || r.size != (ropeSize{}) {
			return fmt.Errorf("no root, height %d, size %v", r.height, r.size)
		}
		return nil
	}
	size, err := r.checkBelow(r.root, r.height)
	if err == nil && size != r.size {
		err = fmt.Errorf("size %v, is %v", r.size, size)
	}
	if c := &r.last; err == nil && c.leaf != nil {
		link, at := r.root, 0
		for h := range r.height {
			s := c.path[h]
			if s.node != link.node || s.at != at || s.node.gen != r.gen {
				return fmt.Errorf("the cursor is in another node at level %d, or at %d, not %d", h, s.at, at)
			}
			for _, size := range s.node.sizes[:s.i] {
				at += size.runes
			}
			link = s.node.kids[s.i]
		}
		if c.leaf != link.leaf || c.at != at || c.leaf.gen != r.gen {
			return fmt.Errorf("the cursor is in another leaf, or at %d, not %d", c.at, at)
		}
	}
	return err
}

func (r *Rope) checkBelow(link ropeLink, h int) (sum ropeSize, err error) {
	if h == 0 {
		l := link.leaf
		left, right := l.pieces(0, l.size.bytes)
		sum = sizeOf(left)
		if sum.bytes != l.gap || sum.runes != l.gapRunes || !utf8.Valid(left) || !utf8.Valid(right) {
			return sum, fmt.Errorf("a leaf has its gap at %d, %d, %q before it", l.gap, l.gapRunes, left)
		}
		if sum.add(sizeOf(right)); sum != l.size || len(l.text) > ropeLeafCap || l.size.bytes == 0 && r.height > 0 {
			return sum, fmt.Errorf("a leaf of size %v, is %v, takes %d", l.size, sum, len(l.text))
		}
		return sum, nil
	}
	n := link.node
	if n.n == 0 || h == r.height && n.n == 1 {
		return sum, fmt.Errorf("a node at height %d of %d has %d children", h, r.height, n.n)
	}
	for i, kid := range n.kids[:n.n] {
		size, err := r.checkBelow(kid, h-1)
		if err != nil {
			return sum, err
		}
		if size != n.sizes[i] {
			return sum, fmt.Errorf("child %d at height %d has size %v, is %v", i, h, n.sizes[i], size)
		}
		sum.add(size)
	}
	return sum, nil
}

// Memory returns what the text takes, in bytes, as the allocator has it.
func (r *Rope) Memory() int {
	const leaf, node = 80, 8 + 8 + ropeNodeCap*(16+24) // a leaf without its text, to the next size of the allocator
	var below func(link ropeLink, h int) int
	below = func(link ropeLink, h int) int {
		if h == 0 {
			return leaf + len(link.leaf.text)
		}
		sum := node
		for _, kid := range link.node.kids[:link.node.n] {
			sum += below(kid, h-1)
		}
		return sum
	}
	if r.root == (ropeLink{}) {
		return 0
	}
	return below(r.root, r.height)
}
