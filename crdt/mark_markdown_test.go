package crdt

import "testing"

// The expected Markdown is checked by hand, and was read back by another implementation (goldmark), which also read a million
// texts with random marks as they were.
func TestMarkdown(t *testing.T) {
	mark := func(from, to int, name string) func(x *TxText) {
		return func(x *TxText) { x.Mark(from, to, name, true, GrowEnd) }
	}
	link := func(from, to int, url any) func(x *TxText) {
		return func(x *TxText) { x.Mark(from, to, MarkLink, url, GrowNone) }
	}
	type does = []func(x *TxText)
	for _, tt := range []struct {
		name, text string
		marks      does
		want       string
	}{
		{"nothing", "", nil, ""},
		{"plain", "The fox.", nil, "The fox."},
		{"each format", "a b c d e", does{mark(0, 1, MarkBold), mark(2, 3, MarkItalic), mark(4, 5, MarkStrike), mark(6, 7, MarkCode), link(8, 9, "http://x.org/")},
			"**a** _b_ ~~c~~ `d` [e](http://x.org/)"},
		{"nested", "one two three", does{mark(0, 13, MarkBold), mark(4, 7, MarkItalic)}, "**one _two_ three**"},
		{"all at once", "abc", does{mark(0, 3, MarkStrike), mark(0, 3, MarkItalic), mark(0, 3, MarkBold), mark(0, 3, MarkCode), link(0, 3, "u")},
			"[**_~~`abc`~~_**](u)"},
		{"overlapping: what goes on longer is outside", "one two three", does{mark(0, 7, MarkBold), mark(4, 13, MarkItalic)}, "**one _two_** _three_"},
		{"overlapping a link: the link stays whole", "one two three", does{mark(0, 7, MarkBold), link(4, 13, "u")}, "**one** [**two** three](u)"},
		{"two links side by side", "ab", does{link(0, 1, "u"), link(1, 2, "v")}, "[a](u)[b](v)"},
		{"white space stays outside", "a b c", does{mark(1, 4, MarkBold)}, "a **b** c"},
		{"white space alone bears nothing", "a b", does{mark(1, 2, MarkBold)}, "a b"},
		{"half a word, bold", "unbelievable", does{mark(2, 6, MarkBold)}, "un**beli**evable"},
		{"half a word, italic", "unbelievable", does{mark(2, 6, MarkItalic)}, "un<em>beli</em>evable"},
		{"punctuation inside, a word outside", `say "no"w`, does{mark(4, 8, MarkBold)}, `say <strong>"no"</strong>w`},
		{"punctuation inside and outside", `(“no”).`, does{mark(1, 5, MarkBold)}, `(**“no”**).`},
		{"beside what looks like a mark", "a*b", does{mark(2, 3, MarkBold)}, `a\*<strong>b</strong>`},
		{"code with backticks", "a `b`` c", does{mark(0, 8, MarkCode)}, "```a `b`` c```"},
		{"code that starts with one", "`a", does{mark(0, 2, MarkCode)}, "`` `a ``"},
		{"code is not escaped", "a*b*<c>", does{mark(0, 7, MarkCode)}, "`a*b*<c>`"},
		{"code in bold", "run go test now", does{mark(0, 15, MarkBold), mark(4, 11, MarkCode)}, "**run `go test` now**"},
		{"code that could end a link", "a]b", does{mark(0, 3, MarkCode), link(0, 3, "u")}, `[<code>a\]b</code>](u)`},
		{"code over lines", "a\nb", does{mark(0, 3, MarkCode)}, "`a`\\\n`b`"},
		{"escaped", `*a* _b_ [c](d) <e> &amp; ~f~ \g`, nil, `\*a\* \_b\_ \[c\](d) \<e\> \&amp; \~f\~ \\g`},
		{"no heading, list, quote, rule or number", "# a\n- b\n+ c\n> d\n---\n1. e\n22) f\n=", nil,
			"\\# a\\\n\\- b\\\n\\+ c\\\n\\> d\\\n\\---\\\n1\\. e\\\n22\\) f\\\n\\="},
		{"these inside a line are left", "a # - + 1. (2) =", nil, "a # - + 1. (2) ="},
		{"no code by indentation", "    a", nil, "&#32;   a"},
		{"white space at the end of a line", "a  \nb\t", nil, "a &#32;\\\nb&#9;"},
		{"a line break", "a\nb", nil, "a\\\nb"},
		{"paragraphs", "\n\na\n\nb\n\n\n\nc\n", nil, "a\n\nb\n\nc"},
		{"other line ends", "a\r\nb\rc", nil, "a\\\nb\\\nc"},
		{"bold over lines and paragraphs", "a\nb\n\nc d", does{mark(0, 6, MarkBold)}, "**a\\\nb**\n\n**c** d"},
		{"an exclamation mark before a link", "a!b", does{link(2, 3, "u")}, `a\![b](u)`},
		{"a link that needs brackets", "abcd", does{link(0, 1, "u v"), link(1, 2, "u(v"), link(2, 3, "<&\\\n"), link(3, 4, "")},
			`[a](<u v>)[b](<u(v>)[c](<\<&amp;\\%0A>)[d](<>)`},
		{"off", "abc", does{
			func(x *TxText) { x.Mark(0, 1, MarkBold, false, GrowNone) }, func(x *TxText) { x.Mark(1, 2, MarkBold, nil, GrowNone) }, link(2, 3, 7)}, "abc"},
		{"comments and others are left out, and part nothing", "abc", does{
			mark(0, 3, MarkBold), func(x *TxText) { x.Mark(1, 2, CommentMark("7"), "why?", GrowNone) }, mark(0, 2, "color")}, "**abc**"},
		{"beyond ASCII", "a😀é", does{mark(1, 2, MarkBold), mark(2, 3, MarkItalic)}, "a<strong>😀</strong><em>é</em>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(0)
			d.update(t, func(tx *Tx) {
				tx.Text("t").Insert(0, tt.text)
				for _, mark := range tt.marks {
					mark(tx.Text("t"))
				}
			})
			if got := d.state.Text("t").Markdown(); got != tt.want {
				t.Errorf("\n%s\nwant\n%s", got, tt.want)
			}
			if got := d.state.Path("t").Markdown(); got != tt.want {
				t.Errorf("by path\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	d := newDevice(0)
	d.update(t, func(tx *Tx) { tx.Map("m").Touch() })
	if v := d.state.Path("m"); v.Markdown() != "" || v.Spans() != nil || v.Marks() != nil {
		t.Error("a map is read as text")
	}
}

func TestCommentMark(t *testing.T) {
	if id, ok := CommentID(CommentMark("a:b")); !ok || id != "a:b" {
		t.Errorf("%q, %v", id, ok)
	}
	if id, ok := CommentID(MarkBold); ok {
		t.Errorf("bold is the comment %q", id)
	}
}
