package simulations

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
)

// command is one command of an op.
type command struct {
	verb string
	keys []string
	kind crdt.Kind // --kind, or with isNew --new; 0 if not given
	// at holds the INDEX, INDEX and COUNT, or FROM and TO. atEnd is the end.
	at     []int
	values []crdt.Value
	name   string // of a mark
	growth string // --grow, "" if not given
	isNew  bool
}

const atEnd = -1

// verb says what arguments a command takes after its PATH.
type verb struct {
	name string
	// least and most are how many indexes it takes, valuesLeast and valuesMost how many values (-1: any number).
	least, most             int
	valuesLeast, valuesMost int
	named                   bool // takes a NAME between indexes and values
	flags                   []string
}

var verbs = []verb{
	{name: "put", valuesLeast: 1, valuesMost: 1, flags: []string{"--kind"}},
	{name: "touch", flags: []string{"--kind"}},
	{name: "delete", most: 2},
	{name: "add", valuesMost: -1, flags: []string{"--kind"}},
	{name: "remove", valuesLeast: 1, valuesMost: -1, flags: []string{"--kind"}},
	{name: "clear", flags: []string{"--kind"}},
	{name: "insert", least: 1, most: 1, valuesMost: -1, flags: []string{"--kind", "--new"}},
	{name: "set", least: 1, most: 1, valuesLeast: 1, valuesMost: 1},
	{name: "move", least: 1, most: 1},
	{name: "mark", least: 2, most: 2, named: true, valuesMost: 1, flags: []string{"--grow"}},
	{name: "unmark", least: 2, most: 2, named: true, flags: []string{"--grow"}},
	{name: "undo"},
}

// verbNames are the names of all verbs.
func verbNames() []string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	return names
}

var growths = map[string]crdt.Growth{"none": crdt.GrowNone, "start": crdt.GrowStart, "end": crdt.GrowEnd, "both": crdt.GrowBoth}

// word is one word of a line: as it stands, or what it quotes.
type word struct {
	text   string
	quoted bool // it is JSON of a string, list or object
}

// splitWords parts a line into words.
func splitWords(line string) ([]word, error) {
	if len(line) > maxOpText {
		return nil, fmt.Errorf("longer than %d bytes", maxOpText)
	}
	if !utf8.ValidString(line) {
		return nil, errors.New("not valid UTF-8")
	}
	var words []word
	for {
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" {
			return words, nil
		}
		if !strings.ContainsRune(`"{[`, rune(line[0])) {
			end := strings.IndexFunc(line, unicode.IsSpace)
			if end < 0 {
				end = len(line)
			}
			words = append(words, word{text: line[:end]})
			line = line[end:]
			continue
		}
		var raw json.RawMessage
		d := json.NewDecoder(strings.NewReader(line))
		if err := d.Decode(&raw); err != nil {
			return nil, fmt.Errorf("%s is no JSON: %w", clip(line, 40), err)
		}
		words = append(words, word{text: string(raw), quoted: true})
		line = line[d.InputOffset():]
		if r, _ := utf8.DecodeRuneInString(line); line != "" && !unicode.IsSpace(r) {
			return nil, fmt.Errorf("after %s comes no space", clip(string(raw), 40))
		}
	}
}

// parseCommands reads all commands of a line.
func parseCommands(line string) ([]*command, error) {
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	var out []*command
	for {
		end := slices.Index(words, word{text: ";"})
		last := end < 0
		if last {
			end = len(words)
		}
		c, err := parseCommand(words[:end])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		if len(out) > 1 && slices.ContainsFunc(out, func(c *command) bool { return c.verb == "undo" }) {
			return nil, errors.New("undo stands alone")
		}
		if last {
			return out, nil
		}
		words = words[end+1:]
	}
}

// parseCommand reads one command.
func parseCommand(words []word) (*command, error) {
	if len(words) == 0 {
		return nil, errors.New("no command: one of " + strings.Join(verbNames(), ", "))
	}
	i := slices.IndexFunc(verbs, func(v verb) bool { return !words[0].quoted && v.name == words[0].text })
	if i < 0 {
		return nil, fmt.Errorf("no verb %s%s: one of %s", clip(words[0].text, 40), didYouMean(words[0].text, verbNames()), strings.Join(verbNames(), ", "))
	}
	v, c := verbs[i], &command{verb: verbs[i].name}
	args, err := c.flags(v, words[1:])
	if err != nil {
		return nil, err
	}
	if v.name == "undo" {
		if len(args) > 0 {
			return nil, errors.New("undo takes no arguments")
		}
		return c, nil
	}
	if len(args) == 0 {
		return nil, errors.New(v.name + " takes a PATH")
	}
	path, err := args[0].str()
	if err != nil {
		return nil, err
	}
	if c.keys, err = crdt.ParsePointer(path); err != nil {
		return nil, err
	}
	if len(c.keys) == 0 {
		return nil, errors.New("an empty PATH: say which slice")
	}
	return c, c.arguments(v, args[1:])
}

// flags reads the flags of a command, and returns the other words.
func (c *command) flags(v verb, words []word) ([]word, error) {
	var args []word
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w.quoted || !strings.HasPrefix(w.text, "--") {
			args = append(args, w)
			continue
		}
		if !slices.Contains(v.flags, w.text) {
			return nil, fmt.Errorf("%s takes no %s", v.name, clip(w.text, 40))
		}
		i++
		if i == len(words) || words[i].quoted {
			return nil, fmt.Errorf("%s takes a word", w.text)
		}
		if w.text == "--grow" {
			if _, ok := growths[words[i].text]; !ok || c.growth != "" {
				return nil, errors.New("--grow takes one of none, start, end, both, once")
			}
			c.growth = words[i].text
			continue
		}
		if c.kind != 0 {
			return nil, errors.New("more than one kind")
		}
		var err error
		if c.kind, err = crdt.ParseKind(words[i].text); err != nil {
			return nil, err
		}
		c.isNew = w.text == "--new"
	}
	return args, nil
}

// arguments reads what follows a PATH.
func (c *command) arguments(v verb, args []word) error {
	for len(args) > 0 && len(c.at) < v.most {
		at, ok := args[0].index()
		if !ok {
			return fmt.Errorf("%s is no index: a number from 0, or end", clip(args[0].text, 40))
		}
		c.at = append(c.at, at)
		args = args[1:]
	}
	if len(c.at) < v.least {
		return fmt.Errorf("%s takes an INDEX after its PATH%s", v.name, map[bool]string{true: ", and one more"}[v.least == 2])
	}
	if v.name == "delete" && len(c.at) == 2 && c.at[1] < 1 {
		return errors.New("delete takes a COUNT of 1 and more")
	}
	if v.named {
		if len(args) == 0 {
			return errors.New(v.name + " takes the NAME of a mark")
		}
		var err error
		if c.name, err = args[0].str(); err != nil {
			return err
		}
		if c.name == "" {
			return errors.New("a mark without a name")
		}
		args = args[1:]
	}
	for _, w := range args {
		value, err := w.value()
		if err != nil {
			return err
		}
		c.values = append(c.values, value)
	}
	switch n := len(c.values); {
	case c.isNew && n > 0:
		return errors.New("insert takes values or --new, not both")
	case v.name == "insert" && !c.isNew && n == 0:
		return errors.New("insert takes a VALUE, or --new KIND")
	case v.name == "mark" && c.name == crdt.MarkLink && n == 0:
		return errors.New("a link takes a VALUE: its URL")
	case n < v.valuesLeast:
		return errors.New(v.name + " takes a VALUE")
	case v.valuesMost >= 0 && n > v.valuesMost:
		return fmt.Errorf("%s is more than %s takes", clip(c.values[v.valuesMost].String(), 40), v.name)
	}
	return nil
}

// str returns what w says as a string.
func (w word) str() (string, error) {
	if !w.quoted {
		return w.text, nil
	}
	v, err := crdt.ParseJSON([]byte(w.text))
	if err != nil {
		return "", err
	}
	s, ok := v.Str()
	if !ok {
		return "", fmt.Errorf("%s is no string", clip(w.text, 40))
	}
	return s, nil
}

// value returns what w says as a value: JSON, or a bare word.
func (w word) value() (crdt.Value, error) {
	if w.quoted || json.Valid([]byte(w.text)) {
		return crdt.ParseJSON([]byte(w.text))
	}
	return crdt.StringValue(w.text)
}

// index returns what w says as an index.
func (w word) index() (int, bool) {
	if w == (word{text: "end"}) {
		return atEnd, true
	}
	n, err := strconv.Atoi(w.text)
	return n, err == nil && n >= 0
}

// String returns the command in canonical form.
func (c *command) String() string {
	b := []byte(c.verb)
	add := func(s string) { b = append(append(b, ' '), s...) }
	if c.keys != nil {
		add(quoteWord(crdt.FormatPointer(c.keys)))
	}
	for _, at := range c.at {
		if at == atEnd {
			add("end")
		} else {
			add(strconv.Itoa(at))
		}
	}
	if c.name != "" {
		add(quoteWord(c.name))
	}
	for _, v := range c.values {
		add(v.String())
	}
	switch {
	case c.isNew:
		add("--new " + c.kind.String())
	case c.kind != 0:
		add("--kind " + c.kind.String())
	}
	if c.growth != "" {
		add("--grow " + c.growth)
	}
	return string(b)
}

// quoteWord returns s as a word that is read as s: itself, or a JSON string.
func quoteWord(s string) string {
	if s != "" && s != ";" && !strings.ContainsRune(`"{[-`, rune(s[0])) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return s
	}
	return string(crdt.AppendJSONString(nil, s))
}
