package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes v as one line of JSON if --json was given, else what people calls for.
func (a *app) print(v any, people func(w io.Writer)) error {
	if a.json {
		return writeJSONLine(a.out, v)
	}
	var b bytes.Buffer
	people(&b)
	_, err := a.out.Write(b.Bytes())
	return err
}

func writeJSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// indentJSON returns doc laid out for people, its numbers and key order as they are.
func indentJSON(doc []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "  "); err != nil {
		return string(doc)
	}
	return b.String()
}

// table writes rows in aligned columns, under a head if there is one.
func table(w io.Writer, head []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if head != nil {
		fmt.Fprintln(t, strings.Join(head, "\t"))
	}
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
}

// plural returns n and the word, with an s unless n is 1.
func plural[N ~int | ~int64 | ~uint64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// byteSize returns n bytes in words.
func byteSize(n int64) string {
	switch {
	case n < 1000:
		return plural(n, "byte")
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// clock returns a change's time as people read it.
func clock(unixMilli int64) string {
	return time.UnixMilli(unixMilli).Format("2006-01-02 15:04:05.000")
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// style colours text for a terminal; the zero value leaves it plain.
type style struct{ color bool }

// newStyle colours what goes to a terminal, unless NO_COLOR is set or the terminal cannot.
func newStyle(w io.Writer) style {
	return style{isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s style) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }
func (s style) red(text string) string    { return s.paint("1;31", text) }
func (s style) green(text string) string  { return s.paint("1;32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) cyan(text string) string   { return s.paint("36", text) }

// progress shows how far long work has come, on one line of a terminal that is
// rewritten in place. Where there is no terminal it shows nothing.
type progress struct {
	w     io.Writer // nil: shows nothing
	label string
	total int64 // 0: not known
	begun time.Time
	shown time.Time
}

// newProgress returns a progress line on standard error.
func (a *app) newProgress(label string, total int64) *progress {
	p := &progress{label: label, total: total, begun: time.Now()}
	if isTerminal(a.err) && !a.json {
		p.w = a.err
	}
	return p
}

// set says that n of the total are done.
func (p *progress) set(n int64) {
	if p.w == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	rate := float64(n) / max(time.Since(p.begun).Seconds(), 1e-3)
	if p.total <= 0 {
		fmt.Fprintf(p.w, "\r\x1b[K%s  %d  %.0f/s", p.label, n, rate)
		return
	}
	const width = 30
	done := int(min(n, p.total) * width / p.total)
	fmt.Fprintf(p.w, "\r\x1b[K%s  [%s%s] %3d%%  %.0f/s", p.label, strings.Repeat("=", done), strings.Repeat(" ", width-done),
		min(n, p.total)*100/p.total, rate)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
