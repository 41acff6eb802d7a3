package simulations

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a scenario file: it may come from anywhere.
const (
	maxFileBytes   = 4 << 20
	maxFileMarks   = 600_000 // line breaks, colons, commas, dashes and brackets
	maxFileDepth   = 24
	maxFileIndent  = 96
	maxProblems    = 50
	maxShownInText = 60 // bytes of what a problem quotes
)

// yamlKind is what a node of a YAML file is.
type yamlKind uint8

const (
	yamlNull yamlKind = iota
	yamlBool
	yamlNumber
	yamlString
	yamlList
	yamlObject
)

// yamlNode is a node of a YAML file. Scenarios use no anchors, aliases, merges, tags or several documents, so none is here.
type yamlNode struct {
	kind      yamlKind
	text      string // of a scalar
	line, col int
	keys      []*yamlNode // of an object
	items     []*yamlNode // of a list, or the values of an object
}

// Problem is something wrong with a scenario file.
type Problem struct {
	Line, Column int
	Text         string
}

// ScenarioError says all that is wrong with a scenario file.
type ScenarioError struct {
	// Name is that of the file.
	Name     string
	Problems []Problem
}

// Error names all problems, a line each.
func (e *ScenarioError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.Name, p.Line, p.Column, p.Text)
	}
	return strings.Join(lines, "\n")
}

// fileReader reads a scenario file and collects what is wrong with it.
type fileReader struct {
	problems []Problem
	more     int // problems beyond maxProblems
}

// bad notes a problem at a node.
func (r *fileReader) bad(n *yamlNode, format string, args ...any) {
	if len(r.problems) == maxProblems {
		r.more++
		return
	}
	r.problems = append(r.problems, Problem{Line: n.line, Column: n.col, Text: fmt.Sprintf(format, args...)})
}

// tree reads YAML. It returns nil if there is nothing that could be read on.
func (r *fileReader) tree(data []byte) *yamlNode {
	start := &yamlNode{line: 1, col: 1}
	switch {
	case len(data) > maxFileBytes:
		r.bad(start, "the file has %d bytes; at most %d are read", len(data), maxFileBytes)
		return nil
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		r.bad(start, "the file is no text in UTF-8")
		return nil
	}
	marks := 0
	for _, c := range data {
		switch c {
		case '\n', ':', ',', '-', '[', '{', '?', '&', '*', '!', '"', '\'', '#', '|', '>', '\r':
			marks++
		}
	}
	if marks > maxFileMarks {
		r.bad(start, "the file has too many parts")
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if !r.shallow(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &at) && at.GetToken() != nil {
			r.bad(nodeAt(at.GetToken()), "no YAML: %s", at.GetMessage())
		} else {
			r.bad(start, "no YAML: %v", err)
		}
		return nil
	}
	var root *yamlNode
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			r.bad(nodeAt(doc.Body.GetToken()), "a second document: a file holds one scenario")
			return nil
		}
		root = r.node(doc.Body, 0)
	}
	if root == nil {
		r.bad(start, "the file is empty")
	}
	return root
}

// shallow reports whether tokens nest as deep as the parser, which calls itself, should be asked to go.
func (r *fileReader) shallow(tokens token.Tokens) bool {
	flow, dashes, line := 0, 0, -1
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
			if t.Position.IndentNum > maxFileIndent && flow == 0 {
				r.bad(nodeAt(t), "indented too deep")
				return false
			}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.AliasType:
			dashes++
		case token.MappingValueType:
			if flow == 0 {
				dashes++
			}
		}
		if flow > maxFileDepth || dashes > maxFileDepth {
			r.bad(nodeAt(t), "nested too deep")
			return false
		}
	}
	return true
}

// nodeAt returns an empty node where t is.
func nodeAt(t *token.Token) *yamlNode {
	if t == nil || t.Position == nil {
		return &yamlNode{line: 1, col: 1}
	}
	return &yamlNode{line: t.Position.Line, col: t.Position.Column}
}

// node returns a node of the parser's as one of ours.
func (r *fileReader) node(n ast.Node, depth int) *yamlNode {
	out := nodeAt(n.GetToken())
	if depth > maxFileDepth {
		r.bad(out, "nested too deep")
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		out.kind, out.text = yamlBool, fmt.Sprint(n.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		out.kind, out.text = yamlNumber, n.GetToken().Value
	case *ast.StringNode:
		out.kind, out.text = yamlString, n.Value
		if n.Token.Type == token.StringType && isNumber(n.Value) { // too large for the parser to call it one
			out.kind = yamlNumber
		}
	case *ast.LiteralNode:
		out.kind, out.text = yamlString, n.Value.Value
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = yamlString, n.GetToken().Value
	case *ast.SequenceNode:
		out.kind = yamlList
		for _, v := range n.Values {
			out.items = append(out.items, r.node(v, depth+1))
		}
	case *ast.MappingNode:
		out.kind = yamlObject
		for i, v := range n.Values {
			r.entry(out, v, depth)
			if i == 0 && n.Start.Type != token.MappingStartType && len(out.keys) > 0 {
				out.line, out.col = out.keys[0].line, out.keys[0].col
			}
		}
	case *ast.MappingValueNode:
		out.kind = yamlObject
		r.entry(out, n, depth)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		r.bad(out, "anchors and aliases are not for scenarios: write it out")
	case *ast.TagNode:
		r.bad(out, "tags are not for scenarios")
	default:
		r.bad(out, "a %s is not for scenarios", strings.ToLower(n.Type().String()))
	}
	return out
}

// isNumber reports whether s is a number in JSON.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

// entry adds an entry to an object.
func (r *fileReader) entry(out *yamlNode, v *ast.MappingValueNode, depth int) {
	key := nodeAt(v.Key.GetToken())
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key.kind, key.text = yamlString, k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key.kind, key.text = yamlString, k.GetToken().Value
	default:
		r.bad(key, "a key is a word")
		return
	}
	var value *yamlNode
	if v.Value == nil {
		value = &yamlNode{line: key.line, col: key.col}
	} else {
		value = r.node(v.Value, depth+1)
	}
	if value.kind == yamlNull {
		value.line, value.col = key.line, key.col // what is not written stands nowhere
	}
	for _, other := range out.keys {
		if other.text == key.text && len(out.keys) < 256 {
			r.bad(key, "%s again: it is on line %d already", clip(key.text, maxShownInText), other.line)
			return
		}
	}
	out.keys, out.items = append(out.keys, key), append(out.items, value)
}

// describe says what a node is, to say that it is not what it should be.
func (n *yamlNode) describe() string {
	switch n.kind {
	case yamlNull:
		return "nothing"
	case yamlList:
		return "a list"
	case yamlObject:
		return "fields"
	}
	return fmt.Sprintf("%q", clip(n.text, maxShownInText))
}
